"""The commands ``stream`` and ``policies``: online policies on streams of workflows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from autoscale.cli.options import Json  # noqa: TC001 - cyclopts reads it

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from simulator.streaming.report import StreamReport
    from simulator.streaming.scenario import Scenario


COLUMNS = {
    "deadlines": ("cost", "missed", "tardiness", "turnaround", "utilised", "launches", "regret"),
    "turnaround": ("cost", "over budget", "turnaround", "utilised", "launches"),
    "ensemble": ("score", "ended", "cost", "over budget", "utilised", "launches"),
}
"""What the table shows, by what the scenario's policies are for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outputs:
    """Where the figures go."""

    folder: str | None
    csv: str | None
    plot: str | None
    json: bool

    def check(self) -> None:
        """Refuse what could not be written."""
        from autoscale.cli.output import PICTURES, check_writable
        from autoscale.errors import InputError

        check_writable("--csv", self.csv, kinds=(".csv",))
        check_writable("--plot", self.plot, kinds=PICTURES)
        if self.folder is not None:
            check_writable("--output", self.folder.rstrip("/") + "/")
            if Path(self.folder).exists() and not Path(self.folder).is_dir():
                raise InputError(f"--output: {self.folder} is not a folder")


def stream(
    scenario: Annotated[str, Parameter(help="A TOML file, or a shipped scenario by name.")],
    /,
    *,
    policy: Annotated[
        str,
        Parameter(
            help="Names, e.g. lp,scs, or all that suit the scenario; `autoscale policies` lists "
            "them."
        ),
    ] = "all",
    seeds: Annotated[int, Parameter(help="Number of streams, each with luck of its own.")] = 5,
    seed: Annotated[int, Parameter(help="The first seed; the others count up from it.")] = 0,
    bound: Annotated[
        bool,
        Parameter(help="Bound what the stream costs in hindsight.", negative="--no-bound"),
    ] = True,
    bound_time: Annotated[str, Parameter(help="For each seed's bound, about.")] = "20",
    confidence: Annotated[str, Parameter(help="Level of confidence of intervals.")] = "95%",
    output: Annotated[
        str | None,
        Parameter(
            name=("--output", "-o"),
            help="A folder for everything: runs.csv, jobs.csv, policies.csv, fleet.png.",
        ),
    ] = None,
    csv: Annotated[str | None, Parameter(help="Write one row a run: a .csv file.")] = None,
    plot: Annotated[
        str | None,
        Parameter(help="Draw each policy's fleet against demand, first seed: .png, .svg or .pdf."),
    ] = None,
    json: Json = False,
) -> int:
    """Run online policies on streams of workflows: cost, misses, turnaround, regret.

    Every policy meets the same streams and the same luck. The exit code is 5 if a policy
    misbehaved and was stopped, 3 if all runs were.
    """
    from autoscale.cli.output import note, progress
    from autoscale.cli.planning import parse_time_limit
    from autoscale.errors import InputError
    from autoscale.units import parse_share
    from simulator.statistics import check_level
    from simulator.streaming import read_scenario, run_stream

    outputs = _Outputs(folder=output, csv=csv, plot=plot, json=json)
    outputs.check()
    if seeds < 1 or seed < 0:
        raise InputError(f"--seeds, --seed: expected numbers >= 1 and >= 0, got {seeds} and {seed}")
    level = parse_share("--confidence", confidence)
    check_level(level)
    bound_s = parse_time_limit(bound_time)
    found = read_scenario(scenario)
    for doubt in found.doubts:
        note(doubt)
    names = _names(policy, found)
    with progress(f"{found.name}: {len(names)} policies on {seeds} streams") as tell:
        report = run_stream(
            found, names, seeds=range(seed, seed + seeds), bound=bound, bound_s=bound_s, tell=tell
        )
    failures = _write(report, outputs, level)
    _report(report, level, as_json=json)
    return _ending(report, failures)


def _names(text: str, scenario: Scenario) -> list[str]:
    """Return the policies that are asked for."""
    from autoscale.errors import InputError
    from autoscale.policies import POLICIES, about_policy

    if text.strip() == "all":
        names = [name for name in POLICIES if about_policy(name).aim == scenario.aim]
    else:
        names = list(dict.fromkeys(n.strip() for n in text.split(",") if n.strip()))
        for name in names:
            about_policy(name)
    if not names:
        raise InputError(f"--policy: expected names of policies for {scenario.aim}, got {text!r}")
    return names


def _write(report: StreamReport, outputs: _Outputs, level: float) -> list[str]:
    """Write what is asked for; return what failed, so that the rest is not lost."""
    from autoscale.cli.output import run_steps

    steps: list[Callable[[], None]] = []
    if outputs.csv is not None:
        table = outputs.csv
        steps.append(lambda: _write_table(report.to_frame(), table))
    if outputs.plot is not None:
        picture = outputs.plot
        steps.append(lambda: _draw(report, picture))
    if outputs.folder is not None:
        folder = Path(outputs.folder)
        steps += [
            lambda: _make_folder(folder),
            lambda: _write_table(report.to_frame(), str(folder / "runs.csv")),
            lambda: _write_table(report.jobs_frame(), str(folder / "jobs.csv")),
            lambda: _write_table(report.summary(level), str(folder / "policies.csv")),
            lambda: _draw(report, str(folder / "fleet.png")),
        ]
    return run_steps(steps)


def _make_folder(folder: Path) -> None:
    from autoscale.errors import InputError

    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from None


def _write_table(table: Any, path: str) -> None:
    from autoscale.formats.files import atomic_write

    data = table.to_csv(index=False, lineterminator="\n").encode()
    with atomic_write(path) as out:
        out.write(data)


def _draw(report: StreamReport, path: str) -> None:
    from autoscale.cli.output import save_picture
    from simulator.streaming.plotting import plot_fleets

    save_picture(plot_fleets(report), path)


def _ending(report: StreamReport, failures: list[str]) -> int:
    from autoscale.cli.entry import DONE, INFEASIBLE, INTERRUPTED, PARTLY_DONE
    from autoscale.cli.output import note

    for run in report.runs:
        if run.stopped:
            note(f"seed {run.seed}: stopped: {run.stopped}")
    for failure in failures:
        note(f"not written: {failure}")
    if report.interrupted:
        note("interrupted: the figures are of the runs that were completed")
        return INTERRUPTED
    if all(run.stopped for run in report.runs):
        return INFEASIBLE
    return PARTLY_DONE if failures or any(run.stopped for run in report.runs) else DONE


def stream_facts(report: StreamReport, level: float) -> dict[str, Any]:
    """Return what the runs say, as plain data; figures that are not known are null."""
    scenario = report.scenario
    return {
        "scenario": scenario.name,
        "aim": scenario.aim,
        "horizon_seconds": scenario.horizon_s,
        "budget_usd_per_hour": scenario.budget_usd_per_hour,
        "budget_usd": scenario.budget_usd,
        "late": scenario.late,
        "seeds": list(dict.fromkeys(run.seed for run in report.runs)),
        "confidence": level,
        "interrupted": report.interrupted,
        "bounds": [
            {"seed": seed, "usd": _known(b.usd), "work_usd": _known(b.work_usd), "late": b.late,
             "method": b.method}
            for seed, b in report.bounds.items()
        ],
        "policies": _rows(report.summary(level)),
        "runs": _rows(report.to_frame()),
    }  # fmt: skip


def _rows(table: Any) -> list[dict[str, Any]]:
    return [{k: _known(v) for k, v in row.items()} for row in table.to_dict("records")]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _report(report: StreamReport, level: float, *, as_json: bool) -> None:
    from autoscale.cli.output import emit, emit_json

    facts = stream_facts(report, level)
    if as_json:
        emit_json(facts)
        return
    emit(*_parts(facts))


def _parts(facts: dict[str, Any]) -> list[RenderableType]:
    """Return the policies as a table, and what has to be known to read it."""
    from rich.markup import escape
    from rich.text import Text

    from autoscale.cli.render import new_table

    shown = COLUMNS[facts["aim"]]
    table = new_table("policy", *shown)
    for row in facts["policies"]:
        cells = {
            "cost": _interval(row, "cost_usd", "${:,.2f}"),
            "missed": _interval(row, "missed_share", "{:.1%}"),
            "tardiness": _minutes(row["tardiness_mean_s"]),
            "turnaround": _minutes(row["turnaround_weighted_s"]),
            "utilised": _plain(row["utilisation"], "{:.0%}"),
            "launches": _plain(row["launches"], "{:,.0f}"),
            "ended": f"{row['ended']:,}",
            "score": _interval(row, "score", "{:.3g}"),
            "over budget": _plain(row["over_budget_usd"], "${:,.2f}"),
            "regret": _plain(row["regret_median"], "{:.1%}"),
        }
        table.add_row(escape(row["policy"]), *(cells[name] for name in shown))
    return [table, *(Text(line) for line in _notes(facts))]


def _notes(facts: dict[str, Any]) -> list[str]:
    n_jobs = sum(row["jobs"] for row in facts["policies"][:1])
    lines = [
        f"{facts['scenario']}: {len(facts['seeds'])} streams, {n_jobs:,} jobs in all; means with "
        f"{facts['confidence']:.0%} intervals; turnaround is weighted by priority"
    ]
    first = facts["policies"][0] if facts["policies"] else {}
    if first.get("hopeless") or first.get("rejected"):
        lines.append(
            f"deadlines that could not be met on arrival: {first['rejected']:,} jobs rejected, "
            f"{first['hopeless']:,} run all the same"
        )
    usd = [b["usd"] for b in facts["bounds"] if b["usd"] is not None]
    if usd and facts["aim"] == "deadlines":
        lines.append(
            f"regret (median) is to the bound in hindsight, ${sum(usd) / len(usd):,.2f} on "
            "average: no schedule that meets every deadline costs less, however much it knows"
        )
    return lines


def _interval(row: dict[str, Any], name: str, form: str) -> str:
    if row[name] is None:
        return "-"
    high = row[f"{name}_high"]
    about = "" if high is None else f" ±{form.format(high - row[name])}"
    return form.format(row[name]) + about


def _plain(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _minutes(value: float | None) -> str:
    return "-" if value is None else f"{value / 60:,.1f} min"


def policies(*, json: Json = False) -> None:
    """List the online policies: what each is for, what it does, and where it comes from."""
    from dataclasses import asdict

    from rich.markup import escape

    from autoscale.cli.output import emit, emit_json
    from autoscale.cli.render import new_table
    from autoscale.policies import POLICIES, about_policy

    rows = [{"policy": name, **asdict(about_policy(name))} for name in POLICIES]
    if json:
        emit_json(rows)
        return
    table = new_table("policy", "for", "what it does", left=3)
    table.columns[2].no_wrap = False
    for row in rows:
        source = f" ({row['source']})" if row["source"] else ""
        table.add_row(escape(row["policy"]), row["aim"], escape(f"{row['summary']}{source}"))
    emit(table)
