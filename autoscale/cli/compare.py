"""The command ``compare``: planners side by side with the certified bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from autoscale.cli.options import Json, Offer, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.problem import Problem
    from autoscale.plan.comparison import Comparison

_OFFER, _READING = Offer(), Reading()

REASON = 160
"""Characters that are shown of why a planner has no plan; ``--json`` and ``--csv`` have all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outputs:
    """Where the comparison goes."""

    csv: str | None
    plot: str | None

    def check(self) -> None:
        """Refuse what could not be written."""
        from autoscale.cli.output import PICTURES, check_writable

        check_writable("--csv", self.csv, kinds=(".csv",))
        check_writable("--plot", self.plot, kinds=PICTURES)


def compare(
    workflow: Annotated[
        str, Parameter(help="A file of WfFormat JSON, Pegasus DAX or CSV, or example:NAME.")
    ],
    /,
    *,
    deadline: Annotated[
        str | None, Parameter(help="Every task ends by then, e.g. 2h; costs are compared.")
    ] = None,
    budget: Annotated[
        str | None,
        Parameter(help="Plans cost at most so many dollars; alone, makespans are compared."),
    ] = None,
    planners: Annotated[
        str, Parameter(help="Names, e.g. lp,heft,ic-pcp, or all; `autoscale planners` lists them.")
    ] = "all",
    offer: Offer = _OFFER,
    reading: Reading = _READING,
    time_limit: Annotated[str, Parameter(help="For each planner.")] = "20",
    gap: Annotated[str, Parameter(help="Planner lp ends once this close to its bound.")] = "1%",
    seed: Annotated[int, Parameter(help="Seed of all randomness.")] = 0,
    csv: Annotated[str | None, Parameter(help="Write the table: a .csv file.")] = None,
    plot: Annotated[
        str | None, Parameter(help="Draw the planners side by side: .png, .svg or .pdf.")
    ] = None,
    json: Json = False,
) -> int:
    """Compare planners on a workflow: cost, makespan, gap to the certified bound, time."""
    from autoscale.cli.entry import DONE, INFEASIBLE, INTERRUPTED, PARTLY_DONE
    from autoscale.cli.output import note
    from autoscale.cli.planning import parse_time_limit
    from autoscale.errors import InputError
    from autoscale.units import parse_share

    outputs = _Outputs(csv=csv, plot=plot)
    outputs.check()
    if seed < 0:
        raise InputError(f"--seed: expected a whole number >= 0, got {seed}")
    names = _names(planners)
    limits = {"time_limit_s": parse_time_limit(time_limit), "gap": parse_share("--gap", gap)}
    problem = offer.problem(reading.read(workflow), deadline=deadline, budget=budget)
    found, interrupted = _compared(problem, names, seed, limits)
    failures = _write(found, outputs)
    _report(found, json)
    if interrupted:
        note("interrupted: the planners that had not begun are left out")
    for failure in failures:
        note(f"not written: {failure}")
    if failures:
        return PARTLY_DONE
    if interrupted:
        return INTERRUPTED
    return DONE if any(o.found for o in found.outcomes) else INFEASIBLE


def _names(text: str) -> list[str]:
    """Return the planners that are asked for."""
    from autoscale.errors import InputError
    from autoscale.optimize.planner import PLANNERS, require_planner

    if text.strip() == "all":
        return list(PLANNERS)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"--planners: expected names or all, got {text!r}")
    for name in names:
        require_planner(name)
    return names


def _compared(
    problem: Problem, names: list[str], seed: int, limits: dict[str, float]
) -> tuple[Comparison, bool]:
    """Return the comparison, and whether Ctrl-C cut it short."""
    from autoscale.cli.output import progress
    from autoscale.cli.planning import noticing_interrupts
    from autoscale.optimize.compare import compare as side_by_side

    what = f"planning {len(problem.workflow):,} tasks with {len(names)} planners"
    with noticing_interrupts() as interrupted, progress(what) as tell:
        found = side_by_side(problem, names, seed=seed, tell=tell, over=interrupted, **limits)
    return found, interrupted()


def comparison_facts(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data; figures that are not known are null."""
    import math

    problem, certificate = comparison.problem, comparison.certificate
    rows = comparison.to_frame().to_dict("records")
    known = [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        for row in rows
    ]
    return {
        "workflow": {
            "name": problem.workflow.name,
            "path": problem.workflow.path,
            "tasks": len(problem.workflow),
        },
        "regions": list(problem.catalog.regions),
        "deadline_seconds": problem.deadline_s,
        "budget_usd": problem.budget_usd,
        "certificate": None
        if certificate is None
        else {
            "objective": certificate.objective,
            "lower_bound": certificate.lower_bound,
            "method": certificate.method,
        },
        "planners": known,
    }


def _report(comparison: Comparison, as_json: bool) -> None:
    from rich.text import Text

    from autoscale.cli.output import emit, emit_json
    from autoscale.cli.render import comparison_table

    facts = comparison_facts(comparison)
    if as_json:
        emit_json(facts)
        return
    lines = [_bound_line(comparison)]
    for outcome in comparison.outcomes:
        if not outcome.found:
            cut = outcome.reason[:REASON] + ("..." if len(outcome.reason) > REASON else "")
            lines.append(f"{outcome.planner}: {cut}")
    emit(comparison_table(facts), *(Text(line) for line in lines))


def _bound_line(comparison: Comparison) -> str:
    from autoscale.units import format_duration, format_money

    if comparison.certificate is None:
        return "no planner found a plan for the goal"
    bound = comparison.certificate.lower_bound
    if comparison.about_time:
        return f"gaps are to the certified bound: no plan ends before {format_duration(bound)}"
    return f"gaps are to the certified bound: no plan costs less than {format_money(bound)}"


def _write(comparison: Comparison, outputs: _Outputs) -> list[str]:
    """Write what is asked for; return what failed, so that the rest is not lost."""
    from autoscale.cli.output import run_steps

    steps: list[Callable[[], None]] = []
    if outputs.csv is not None:
        table = outputs.csv
        steps.append(lambda: _write_table(comparison, table))
    if outputs.plot is not None:
        picture = outputs.plot
        steps.append(lambda: _draw(comparison, picture))
    return run_steps(steps)


def _write_table(comparison: Comparison, path: str) -> None:
    from autoscale.formats.files import atomic_write

    data = comparison.to_frame().to_csv(index=False, lineterminator="\n").encode()
    with atomic_write(path) as out:
        out.write(data)


def _draw(comparison: Comparison, path: str) -> None:
    from autoscale.cli.output import save_picture
    from autoscale.errors import InputError
    from autoscale.plotting.comparison import plot_comparison

    if not any(outcome.found for outcome in comparison.outcomes):
        raise InputError(f"{path}: no planner found a plan, so there is nothing to draw")
    save_picture(plot_comparison(comparison), path)
