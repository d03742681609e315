"""The command ``simulate``: a plan against chance."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.cli.options import Reading
    from autoscale.plan.plan import Plan
    from simulator.chance import Chance
    from simulator.records import SimulationResult
    from simulator.replay import Replications
    from simulator.statistics import Spread

RUNS = 1000
"""Replications where chance is on and none are asked for."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Luck:
    """What may go otherwise than planned; all of it is off by default."""

    chance: Annotated[
        str | None,
        Parameter(help="A TOML file of chance, or a shipped one by name; options add to it."),
    ] = None
    noise: Annotated[
        float | None, Parameter(help="Runtimes: coefficient of variation, e.g. 0.2.")
    ] = None
    lease_noise: Annotated[
        float | None, Parameter(help="Speed of machines: coefficient of variation.")
    ] = None
    estimate_error: Annotated[
        float | None, Parameter(help="Estimates of runtimes: coefficient of variation.")
    ] = None
    boot_noise: Annotated[
        float | None, Parameter(help="Boot times: coefficient of variation about the plan's.")
    ] = None
    boot_failure: Annotated[
        float | None, Parameter(help="Probability that a machine never becomes ready.")
    ] = None
    task_failure: Annotated[
        float | None, Parameter(help="Probability that an attempt of a task fails.")
    ] = None
    retries: Annotated[
        int | None, Parameter(help="How often a task that failed is tried again; 3.")
    ] = None
    instance_failure: Annotated[
        float | None, Parameter(help="Machines that die, per machine and hour.")
    ] = None
    spot_rate: Annotated[
        float | None, Parameter(help="Interruptions of spot machines, per machine and hour.")
    ] = None
    spot_trace: Annotated[
        str | None, Parameter(help="Replay a trace of a spot market: prices or availability.")
    ] = None
    bid: Annotated[
        str | None, Parameter(help="With a trace of prices: the most that is paid, per hour.")
    ] = None
    notice: Annotated[
        str | None, Parameter(help="An interruption is announced so long before; 2m.")
    ] = None
    contention: Annotated[
        bool | None,
        Parameter(help="Transfers share links max-min fairly.", negative="--no-contention"),
    ] = None
    service_bandwidth: Annotated[
        str | None,
        Parameter(help="What the storage service grants all machines together, e.g. 10Gbit/s."),
    ] = None
    cache: Annotated[
        bool | None,
        Parameter(help="Files on a machine's disk are not fetched again.", negative="--no-cache"),
    ] = None

    def made(self, boot_s: float) -> Chance:
        """Return the chance that file and options describe together.

        Raises
        ------
        InputError
            A wrong file or figure.
        """
        from simulator.chance import Chance, read_chance

        chance = read_chance(self.chance) if self.chance is not None else Chance()
        return chance.replace(**self._factors(chance, boot_s), **self._failures(chance))

    def _factors(self, chance: Chance, boot_s: float) -> dict[str, Any]:
        from autoscale.units import parse_bandwidth
        from simulator.chance import Boot, EstimateError, Network, Runtime
        from simulator.distributions import Constant, Lognormal, factor

        found: dict[str, Any] = {}
        factors = {"task": self.noise, "lease": self.lease_noise}
        given = {k: _named(k, factor, cv) for k, cv in factors.items() if cv is not None}
        if given:
            found["runtime"] = dataclasses.replace(chance.runtime or Runtime(), **given)
        if self.estimate_error is not None:
            wrong = _named("estimate-error", factor, self.estimate_error)
            found["estimate_error"] = dataclasses.replace(
                chance.estimate_error or EstimateError(), task=wrong
            )
        if self.boot_noise is not None:
            cv = self.boot_noise
            time_s = Lognormal(mean=boot_s, cv=cv) if boot_s > 0 else Constant(value=0.0)
            found["boot"] = Boot(time_s=time_s)
        network: dict[str, Any] = {}
        if self.contention is not None:
            network["sharing"] = "max-min" if self.contention else "fixed"
        if self.service_bandwidth is not None:
            network["service_bandwidth"] = parse_bandwidth(self.service_bandwidth)
            network.setdefault("sharing", "max-min")
        if self.cache is not None:
            network["cache"] = self.cache
        if network:
            found["network"] = dataclasses.replace(chance.network or Network(), **network)
        return found

    def _failures(self, chance: Chance) -> dict[str, Any]:
        from autoscale.errors import InputError
        from simulator.chance import BootFailure, InstanceFailure, TaskFailure

        found: dict[str, Any] = {}
        if self.boot_failure is not None:
            old = chance.boot_failure or BootFailure(probability=0.0)
            found["boot_failure"] = dataclasses.replace(old, probability=self.boot_failure)
        task = {"probability": self.task_failure, "retries": self.retries}
        given: dict[str, Any] = {k: v for k, v in task.items() if v is not None}
        if given:
            if self.task_failure is None and chance.task_failure is None:
                raise InputError("--retries: needs --task-failure, or a chance with [task_failure]")
            base = chance.task_failure or TaskFailure(probability=0.0)
            found["task_failure"] = dataclasses.replace(base, **given)
        if self.instance_failure is not None:
            found["instance_failure"] = InstanceFailure(rate_per_hour=self.instance_failure)
        return {**found, **self._spot(chance)}

    def _spot(self, chance: Chance) -> dict[str, Any]:
        from autoscale.errors import InputError
        from autoscale.units import parse_duration, parse_money
        from simulator.chance import Spot
        from simulator.market import Market, read_trace

        given: dict[str, Any] = {}
        if self.spot_rate is not None:
            given["rate_per_hour"] = self.spot_rate
        if self.notice is not None:
            given["notice_s"] = parse_duration(self.notice)
        if self.spot_trace is not None:
            bid = parse_money(self.bid) if self.bid is not None else math.inf
            market = Market(trace=read_trace(self.spot_trace), bid_usd_per_hour=bid)
            given["markets"] = (market,)
        elif self.bid is not None:
            raise InputError("--bid: needs --spot-trace with a trace of prices")
        if not given:
            return {}
        return {"spot": dataclasses.replace(chance.spot or Spot(), **given)}


def _named(option: str, make: Callable[[float], Any], value: float) -> Any:
    from autoscale.errors import InputError

    name = {"task": "noise", "lease": "lease-noise"}.get(option, option)
    try:
        return make(value)
    except InputError as error:
        raise InputError(f"--{name}: {error}") from None


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
    from autoscale.cli.output import emit, emit_json, progress
    from simulator.running import simulate

    with progress("simulating"):
        result = simulate(plan, events=_wants_events(request))
    report = facts.simulation_facts(plan, result)
    failures = _write(_run_steps(request, result))
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
    from autoscale.cli.output import note, progress
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
        steps += _run_steps(request, result, runs)
    failures = _write(steps)
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


def _run_steps(
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


def _write(steps: list[Callable[[], None]]) -> list[str]:
    """Write what is asked for; return what failed all the same, so that the rest is not lost."""
    from autoscale.errors import InputError

    failures = []
    for step in steps:
        try:
            step()
        except InputError as error:
            failures.append(str(error))
    return failures


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
