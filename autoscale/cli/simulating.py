"""The command ``simulate``: a plan against chance."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.cli.luck import Luck
    from autoscale.cli.options import Reading
    from autoscale.plan.plan import Plan
    from simulator.chance import Chance
    from simulator.records import SimulationResult
    from simulator.replay import Replications
    from simulator.statistics import Spread

RUNS = 1000
"""Replications where chance is on and none are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateRequest:
    """What the command was asked for; see its options."""

    workflow: str
    plan: str
    runs: int | None
    seed: int
    deadline: str | None
    start: str
    precision: str | None
    confidence: str
    plot: str | None
    run: int
    run_plot: str | None
    trace: str | None
    records: str | None
    json: bool

    def check(self) -> None:
        """Refuse what cannot be done, before any work."""
        from autoscale.cli.output import PICTURES, check_writable
        from autoscale.errors import InputError

        for option, value, least in (
            ("--runs", self.runs, 1), ("--seed", self.seed, 0), ("--run", self.run, 0),
        ):  # fmt: skip
            if value is not None and value < least:
                raise InputError(f"{option}: expected a whole number >= {least}, got {value}")
        if self.start not in ("planned", "early"):
            raise InputError(f"--start: expected planned or early, got {self.start!r}")
        check_writable("--plot", self.plot, kinds=PICTURES)
        check_writable("--run-plot", self.run_plot, kinds=PICTURES)
        check_writable("--trace", self.trace, kinds=(".json",))
        if self.records is not None:
            check_writable("--records", self.records.rstrip("/") + "/")


def run_simulate(request: SimulateRequest, luck: Luck, reading: Reading) -> int:
    """Play the plan once, chance off, or many times against chance."""
    from autoscale.formats.plan_json import read_plan

    request.check()
    plan = read_plan(request.plan, reading.read(request.workflow))
    chance = luck.made(plan.problem.boot_s)
    if request.runs is None and not chance.sources and request.start == "planned":
        return _reproduce(request, plan)
    return _against_chance(request, plan, chance)


def _reproduce(request: SimulateRequest, plan: Plan) -> int:
    from autoscale.cli import facts
    from autoscale.cli.entry import DONE, INFEASIBLE, PARTLY_DONE
    from autoscale.cli.output import emit, emit_json, progress, run_steps
    from simulator.running import simulate

    with progress("simulating"):
        result = simulate(plan, events=_wants_events(request))
    report = facts.simulation_facts(plan, result)
    failures = run_steps(_played_steps(request, result))
    if request.json:
        emit_json(report)
    else:
        from autoscale.cli.render import simulation_parts

        emit(*simulation_parts(report))
    if failures:
        return PARTLY_DONE
    return DONE if report["reproduces"] else INFEASIBLE


def _against_chance(request: SimulateRequest, plan: Plan, chance: Chance) -> int:
    from autoscale.cli.entry import DONE, INFEASIBLE, INTERRUPTED, PARTLY_DONE
    from autoscale.cli.output import note, progress, run_steps
    from autoscale.errors import InputError
    from autoscale.units import parse_duration, parse_share
    from simulator.replay import replicate
    from simulator.running import simulate
    from simulator.statistics import Precision, check_level

    deadline_s = plan.problem.deadline_s
    if request.deadline is not None:
        try:
            deadline_s = parse_duration(request.deadline)
        except InputError as error:
            raise InputError(f"--deadline: {error}") from None
    level = parse_share("--confidence", request.confidence)
    check_level(level)
    stop = None
    if request.precision is not None:
        width = parse_share("--precision", request.precision)
        stop = Precision(width=width, level=level, deadline_s=deadline_s)
    wanted = request.runs if request.runs is not None else RUNS
    early = request.start == "early"
    with progress(f"playing {len(plan.problem.workflow):,} tasks {wanted:,} times") as tell:
        runs = replicate(
            plan, chance, runs=wanted, seed=request.seed, early=early, stop=stop,
            on_progress=lambda done: tell(f"{done:,} runs"),
        )  # fmt: skip
    if runs.interrupted:
        note(f"interrupted: the figures are of the {len(runs):,} runs that were completed")
    steps = _spread_steps(request, runs, deadline_s)
    if _wants_events(request):
        result = simulate(
            plan, chance, seed=request.seed, run=request.run, early=early, events=True
        )
        steps += _played_steps(request, result, runs)
    failures = run_steps(steps)
    facts = chance_facts(runs, chance, request.seed, deadline_s, level)
    _report(facts, as_json=request.json)
    for failure in failures:
        note(f"not written: {failure}")
    if runs.interrupted:
        return INTERRUPTED
    if facts["given_up"]["runs"] == len(runs):
        return INFEASIBLE
    return PARTLY_DONE if failures else DONE


def _wants_events(request: SimulateRequest) -> bool:
    return any(path is not None for path in (request.run_plot, request.trace, request.records))


def _spread_steps(
    request: SimulateRequest, runs: Replications, deadline_s: float | None
) -> list[Callable[[], None]]:
    from autoscale.cli.output import save_picture

    if request.plot is None:
        return []
    path = request.plot

    def draw() -> None:
        from simulator.plotting import plot_spread

        save_picture(plot_spread(runs, deadline_s), path)

    return [draw]


def _played_steps(
    request: SimulateRequest, result: SimulationResult, runs: Replications | None = None
) -> list[Callable[[], None]]:
    """Return what is to be written of one run."""
    from autoscale.cli.output import save_picture

    steps: list[Callable[[], None]] = []
    if request.run_plot is not None:
        picture = request.run_plot

        def draw() -> None:
            from simulator.plotting import plot_run

            save_picture(plot_run(result), picture)

        steps.append(draw)
    if request.trace is not None:
        trace = request.trace

        def write_trace() -> None:
            from simulator import tables

            tables.write_trace(trace, result)

        steps.append(write_trace)
    if request.records is not None:
        folder = request.records

        def write_records() -> None:
            from simulator import tables

            many = {"runs": runs.to_frame()} if runs is not None else {}
            tables.write_records(folder, {**many, **tables.run_tables(result)})

        steps.append(write_records)
    return steps


def _spread_facts(found: Spread) -> dict[str, Any]:
    named = dataclasses.asdict(found)
    return {k: v if math.isfinite(v) else None for k, v in named.items()}


def chance_facts(
    runs: Replications, chance: Chance, seed: int, deadline_s: float | None, level: float
) -> dict[str, Any]:
    """Return what many runs say, as plain data."""
    from simulator.statistics import summarise

    plan = runs.plan
    found = summarise(runs, deadline_s, level)
    deadline = None
    if found.deadline is not None and deadline_s is not None:
        d = found.deadline
        deadline = {
            "seconds": deadline_s, "met": d.hits, "probability": d.value, "low": d.low,
            "high": d.high,
        }  # fmt: skip
    reasons: dict[str, int] = {}
    for reason in runs.reasons.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    return {
        "workflow": {
            "name": plan.problem.workflow.name,
            "path": plan.problem.workflow.path,
            "tasks": len(plan.problem.workflow),
        },
        "runs": len(runs),
        "wanted_runs": runs.wanted,
        "interrupted": runs.interrupted,
        "seed": seed,
        "sources": list(chance.sources),
        "source": chance.source,
        "confidence": level,
        "planned": {"cost_usd": plan.cost_usd, "makespan_seconds": plan.makespan_s},
        "cost_usd": _spread_facts(found.cost_usd),
        "makespan_seconds": _spread_facts(found.makespan_s),
        "deadline": deadline,
        "given_up": {"runs": found.given_up, "reasons": reasons},
        "machines": found.machines,
        "task_starts": found.attempts,
        "lost_task_seconds": found.lost_s,
    }


def _report(facts: dict[str, Any], *, as_json: bool) -> None:
    from autoscale.cli.output import emit, emit_json

    if as_json:
        emit_json(facts)
        return
    from autoscale.cli.render import chance_parts

    emit(*chance_parts(facts))
