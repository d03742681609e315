"""The command ``pareto``: what speed costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from autoscale.cli.options import Json, Offer, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.plan.front import ParetoFront

_OFFER, _READING = Offer(), Reading()

TABLES = (".csv", ".json")
"""Kinds of files that a front is written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outputs:
    """Where the front goes."""

    table: str | None
    plans: str | None
    plot: str | None

    def check(self) -> None:
        """Refuse what could not be written."""
        from autoscale.cli.output import PICTURES, check_writable
        from autoscale.errors import InputError

        check_writable("--output", self.table, kinds=TABLES)
        check_writable("--plot", self.plot, kinds=PICTURES)
        if self.plans is not None:
            if not self.plans.strip() or (Path(self.plans).exists() and not _is_folder(self.plans)):
                raise InputError(f"--plans: expected a folder, got {self.plans!r}")
            check_writable("--plans", str(Path(self.plans).absolute()) + "/")


def _is_folder(path: str) -> bool:
    return Path(path).is_dir()


def pareto(
    workflow: Annotated[
        str, Parameter(help="A file of WfFormat JSON, Pegasus DAX or CSV, or example:NAME.")
    ],
    /,
    *,
    points: Annotated[int, Parameter(help="Deadlines to plan for.")] = 10,
    max_deadline: Annotated[
        str | None,
        Parameter(help="Where the front ends, e.g. 4h; where time saves no more, if not given."),
    ] = None,
    offer: Offer = _OFFER,
    reading: Reading = _READING,
    time_limit: Annotated[str, Parameter(help="Nothing further is begun after this.")] = "60",
    seed: Annotated[int, Parameter(help="Seed of all randomness.")] = 0,
    output: Annotated[
        str | None,
        Parameter(name=("--output", "-o"), help="Write the table: .csv, or .json."),
    ] = None,
    plans: Annotated[str | None, Parameter(help="Write every plan into this folder.")] = None,
    plot: Annotated[
        str | None, Parameter(help="Draw cost against makespan: .png, .svg or .pdf.")
    ] = None,
    json: Json = False,
) -> int:
    """Show what speed costs: plans from the quickest to the cheapest, each with its bound."""
    from autoscale.cli.entry import DONE, PARTLY_DONE
    from autoscale.cli.output import note, progress
    from autoscale.cli.planning import parse_time_limit
    from autoscale.errors import InputError
    from autoscale.optimize.pareto import pareto_front

    outputs = _Outputs(table=output, plans=plans, plot=plot)
    outputs.check()
    for option, value, least in (("--points", points, 2), ("--seed", seed, 0)):
        if value < least:
            raise InputError(f"{option}: expected a whole number >= {least}, got {value}")
    limit_s = parse_time_limit(time_limit)
    problem = offer.problem(reading.read(workflow), deadline=max_deadline)
    with progress(f"planning {len(problem.workflow):,} tasks for {points} deadlines") as tell:
        front = pareto_front(problem, points=points, seed=seed, time_limit_s=limit_s, tell=tell)
    failures = _write(front, outputs)
    _report(front, json)
    for failure in failures:
        note(f"not written: {failure}")
    return PARTLY_DONE if failures else DONE


def front_facts(front: ParetoFront) -> dict[str, Any]:
    """Return the front as plain data."""
    rows = front.to_frame().rename(
        columns={
            "deadline_s": "deadline_seconds",
            "makespan_s": "makespan_seconds",
            "bound_usd": "lower_bound_usd",
        }
    )
    problem = front.points[0].problem
    return {
        "workflow": {
            "name": problem.workflow.name,
            "path": problem.workflow.path,
            "tasks": len(problem.workflow),
        },
        "regions": list(problem.catalog.regions),
        "points": rows.to_dict("records"),
        "lower_bounds": [
            {"deadline_seconds": float(s), "lower_bound_usd": float(usd)}
            for s, usd in zip(front.deadline_s, front.bound_usd, strict=True)
        ],
    }


def _report(front: ParetoFront, as_json: bool) -> None:
    from rich.text import Text

    from autoscale.cli.output import emit, emit_json
    from autoscale.cli.render import front_table

    facts = front_facts(front)
    if as_json:
        emit_json(facts)
        return
    hint = "no plan that ends by a deadline costs less than the bound in its row"
    emit(front_table(facts), Text(hint))


def _write(front: ParetoFront, outputs: _Outputs) -> list[str]:
    """Write what is asked for; return what failed, so that the rest is not lost."""
    from autoscale.cli.output import run_steps

    steps: list[Callable[[], None]] = []
    if outputs.table is not None:
        table = outputs.table
        steps.append(lambda: _write_table(front, table))
    if outputs.plans is not None:
        folder = outputs.plans
        steps.append(lambda: _write_plans(front, folder))
    if outputs.plot is not None:
        picture = outputs.plot
        steps.append(lambda: _draw(front, picture))
    return run_steps(steps)


def _write_table(front: ParetoFront, path: str) -> None:
    import msgspec

    from autoscale.formats.files import atomic_write

    if path.lower().endswith(".csv"):
        data = front.to_frame().to_csv(index=False, lineterminator="\n").encode()
    else:
        data = msgspec.json.format(msgspec.json.encode(front_facts(front)), indent=2) + b"\n"
    with atomic_write(path) as out:
        out.write(data)


def _write_plans(front: ParetoFront, folder: str) -> None:
    from autoscale.errors import InputError
    from autoscale.formats.plan_json import write_plan

    try:
        Path(folder).mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"--plans: {folder} cannot be written: {error.strerror}") from None
    for number, plan in enumerate(front.points, 1):
        write_plan(plan, Path(folder) / f"plan-{number:02d}.json")


def _draw(front: ParetoFront, path: str) -> None:
    from autoscale.cli.output import save_picture
    from autoscale.plotting.pareto import plot_pareto

    save_picture(plot_pareto(front), path)
