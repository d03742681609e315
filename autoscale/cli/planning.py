"""The command ``plan``: refuse what cannot work, plan, write, report."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoscale.cli import facts
from autoscale.cli.entry import DONE, INTERRUPTED, PARTLY_DONE
from autoscale.cli.output import (
    PICTURES,
    check_writable,
    emit,
    emit_json,
    note,
    progress,
    run_steps,
    save_picture,
)
from autoscale.errors import AutoscaleError, InputError
from autoscale.units import parse_duration, parse_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autoscale.cli.options import Offer, Reading
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """The options of ``autoscale plan`` that are its own."""

    workflow: str
    deadline: str | None
    budget: str | None
    planner: str
    time_limit: str
    gap: str
    seed: int
    output: str | None
    gantt: str | None
    fleet: str | None
    json: bool


def run_plan(request: PlanRequest, offer: Offer, reading: Reading) -> int:
    """Carry the request out and return the exit code."""
    from autoscale.optimize.planner import require_planner

    check_writable("--output", request.output)
    check_pictures(request.gantt, request.fleet)
    require_planner(request.planner)
    if request.seed < 0:
        raise InputError(f"--seed: expected a whole number >= 0, got {request.seed}")
    limit_s = parse_time_limit(request.time_limit)
    gap = parse_share("--gap", request.gap)
    workflow = reading.read(request.workflow)
    problem = offer.problem(workflow, deadline=request.deadline, budget=request.budget)
    if problem.deadline_s is None and problem.budget_usd is None:
        note(
            "neither --deadline nor --budget: this is the cheapest plan, however long it takes; "
            "`autoscale pareto` shows what speed costs"
        )
    plan, interrupted = _solve(problem, request, limit_s, gap)
    failures = _write(plan, request)
    report_plan(plan, as_json=request.json)
    if interrupted:
        note("interrupted: this plan is the best so far; with more time there may be a better one")
    for failure in failures:
        note(f"not written: {failure}")
    if failures:
        return PARTLY_DONE
    return INTERRUPTED if interrupted else DONE


def _solve(problem: Problem, request: PlanRequest, limit_s: float, gap: float) -> tuple[Plan, bool]:
    """Return the plan, and whether Ctrl-C cut the planning short.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C came before there was a plan that meets the goal.
    """
    from autoscale.optimize.planner import solve

    what = f"planning {len(problem.workflow):,} tasks on {len(problem.catalog)} types"
    with noticing_interrupts() as interrupted, progress(what) as tell:
        try:
            plan = solve(
                problem,
                planner=request.planner,
                seed=request.seed,
                time_limit_s=limit_s,
                gap=gap,
                on_progress=tell,
            )
        except AutoscaleError:
            if interrupted():
                raise KeyboardInterrupt from None
            raise
    return plan, interrupted()


@contextmanager
def noticing_interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C came, even if a planner took it and went on."""
    came = threading.Event()

    def take(number: int, frame: object) -> None:
        came.set()
        raise KeyboardInterrupt

    # Where interrupts are ignored or are somebody else's, they stay so.
    theirs = signal.getsignal(signal.SIGINT)
    in_charge = theirs is signal.default_int_handler
    if in_charge and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, take)
    try:
        yield came.is_set
    finally:
        if signal.getsignal(signal.SIGINT) is take:
            signal.signal(signal.SIGINT, theirs)


def check_pictures(gantt: str | None, fleet: str | None) -> None:
    """Refuse pictures that could not be written."""
    check_writable("--gantt", gantt, kinds=PICTURES)
    check_writable("--fleet", fleet, kinds=PICTURES)


def report_plan(plan: Plan, *, as_json: bool) -> None:
    """Print a plan's figures."""
    report = facts.plan_facts(plan)
    if as_json:
        emit_json(report)
        return
    from autoscale.cli.render import plan_parts

    emit(*plan_parts(report))


def draw(plan: Plan, gantt: str | None, fleet: str | None) -> None:
    """Draw the pictures that are asked for."""
    from autoscale.plotting import plot_fleet, plot_gantt

    for path, plot in ((gantt, plot_gantt), (fleet, plot_fleet)):
        if path is not None:
            with progress(f"drawing {path}"):
                save_picture(plot(plan), path)


def parse_time_limit(text: str) -> float:
    """Return the seconds of ``--time-limit``."""
    try:
        seconds = parse_duration(text)
    except InputError as error:
        raise InputError(f"--time-limit: {error}") from None
    if not seconds > 0:
        raise InputError(f"--time-limit: expected more than 0 seconds, got {text!r}")
    return seconds


def _write(plan: Plan, request: PlanRequest) -> list[str]:
    """Write what is asked for; return what failed all the same, so that the rest is not lost."""
    from autoscale.formats.plan_json import write_plan

    steps: list[Callable[[], None]] = [lambda: draw(plan, request.gantt, request.fleet)]
    if request.output is not None:
        output = request.output
        steps.insert(0, lambda: write_plan(plan, output))
    return run_steps(steps)
