"""The Pareto front of cost against makespan, every point with a certified bound on its cost.

Plans and bounds are made for a row of deadlines. Neighbours help each other: a plan for a tighter
deadline is one for a looser deadline too, and what is ruled out at a looser deadline is ruled out
at a tighter one. Plans are made in a thread of their own, bounds in the caller's.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError, SolverError, require_interrupt
from autoscale.lp.bound import CostBound, settings_for
from autoscale.lp.work import METHOD, work_bound_usd
from autoscale.model.arrays import frozen
from autoscale.optimize.improve import improve
from autoscale.optimize.portfolio import Offer, guided_starts
from autoscale.optimize.refusals import refuse_early
from autoscale.optimize.short import short_plan
from autoscale.plan.check import check_plan
from autoscale.plan.front import ParetoFront
from autoscale.plan.plan import Certificate, Provenance
from autoscale.schedulers.list_scheduler import Setting
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.lp.bound import Bound
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)

FLAT = 0.01
"""The front ends where a plan costs at most this part more than the cheapest one there is."""

FIRST_EXCESS = 0.03
"""The second deadline exceeds the least makespan by this part at most."""

END_ATTEMPTS = 8
"""Deadlines tried for the end of the front."""

EFFORT_END, EFFORT_FIRST, EFFORT_BETTER, EFFORT_LAST = 0.06, (0.03, 0.17), 0.2, 0.12
"""Parts of the time limit as effort: for the front's end, first plans (little, then more), and two
improvements."""

NODES = 12
"""Linear programs of one point's bound at most."""


@dataclass(slots=True)
class _Point:
    """One deadline with the best plan and bound so far."""

    problem: Problem
    bound_usd: float
    method: str = METHOD
    plan: Plan | None = None
    root: Bound | None = None

    def offer(self, plan: Plan | None) -> None:
        """Take a plan if it is in time and cheaper."""
        if plan is None or plan.makespan_s > (self.problem.deadline_s or 0.0) + 1e-7:
            return
        if self.plan is None or plan.cost_usd < self.plan.cost_usd * (1 - 1e-9):
            self.plan = plan.replace(problem=self.problem)

    def gap(self) -> float:
        """Return by how much the plan's cost exceeds the bound, relative."""
        return np.inf if self.plan is None else self.plan.cost_usd / self.bound_usd - 1


@dataclass(slots=True)
class _Row:
    """The points by deadline, and how they are worked on."""

    points: list[_Point]
    seed: int
    time_limit_s: float
    limit: float
    tell: Callable[[str], None]
    cancelled: Event = field(default_factory=Event)

    def over(self) -> bool:
        """Return whether nothing further may be begun."""
        return self.cancelled.is_set() or time.perf_counter() > self.limit


def pareto_front(
    problem: Problem,
    *,
    points: int = 10,
    seed: int = 0,
    time_limit_s: float = 60.0,
    tell: Callable[[str], None] | None = None,
) -> ParetoFront:
    """Return plans from the quickest possible to the cheapest, each with a certified bound.

    Parameters
    ----------
    problem
        What is planned. Its deadline, if any, is where the front ends; without one, it ends where
        more time saves next to nothing. A budget plays no part.
    points
        Deadlines, >= 2, geometrically spaced beyond the least makespan. The front has at most so
        many plans; those that others dominate are left out.
    seed
        Seed of all randomness.
    time_limit_s
        Seconds for the whole front, after which nothing further is begun.
    tell
        Called with a line of text on what is going on.

    Raises
    ------
    InputError
        Fewer than two points.
    InfeasibleError
        No plan can end by the problem's deadline.
    """
    if points < 2:
        raise InputError(f"points: expected a whole number >= 2, got {points}")
    began = time.perf_counter()
    problem = problem.replace(budget_usd=None)
    refuse_early(problem)
    limit = began + time_limit_s
    end_s, last = problem.deadline_s, None
    if end_s is None:
        end_s, last = _end(problem, seed, EFFORT_END * time_limit_s, limit)
    row = _Row(_points(problem, end_s, points), seed, time_limit_s, limit, tell or (lambda _: None))
    row.points[-1].offer(last)
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            plans = pool.submit(_first_plans, row)
            _quick_bounds(row)
            plans.result()
            plans = pool.submit(_better_plans, row, EFFORT_LAST)
            _better_bounds(row)
            plans.result()
        except (KeyboardInterrupt, SystemError) as error:
            require_interrupt(error)
            logger.warning("interrupted: the best plans so far are kept")
            row.cancelled.set()
    return _front(row, round(time.perf_counter() - began, 3))


def _end(problem: Problem, seed: int, effort_s: float, limit: float) -> tuple[float, Plan | None]:
    """Return a deadline from which on the cost hardly falls, and a plan for it if one is known."""

    def plan(deadline_s: float | None, wanted_usd: float) -> Plan | None:
        return short_plan(
            problem.replace(deadline_s=deadline_s),
            seed=seed,
            effort_s=effort_s / 4 if deadline_s is None else effort_s / END_ATTEMPTS,
            clock_limit_s=limit,
            enough=lambda plan: plan.cost_usd <= wanted_usd,
        )

    cheapest = plan(None, 0.0)
    if cheapest is None:  # the quickest plan would have been found
        return problem.least_makespan_s, None
    low, high, wanted = problem.least_makespan_s, cheapest.makespan_s, cheapest.cost_usd
    for _ in range(END_ATTEMPTS):
        if high <= 1.1 * low or time.perf_counter() > limit:
            break
        middle = float(np.sqrt(low * high))
        tried = plan(middle, wanted * (1 + FLAT))
        if tried is not None and tried.cost_usd <= wanted * (1 + FLAT):
            high, cheapest = tried.makespan_s, tried
        else:
            low = middle
    return high, cheapest


def _points(problem: Problem, end_s: float, points: int) -> list[_Point]:
    """Return the deadlines: the least makespan, and more by ever larger parts of it.

    Cost falls steeply where haste ends, so it is the excess that is spaced geometrically.
    """
    least, floor = problem.least_makespan_s, work_bound_usd(problem)
    deadlines = [end_s]
    excess = end_s / least - 1
    if excess > 1e-6:
        more = np.geomspace(min(FIRST_EXCESS, excess / points), excess, points - 1)
        deadlines = [least, *(least * (1 + more[:-1])), end_s]
    return [_Point(problem.replace(deadline_s=float(s)), floor) for s in deadlines]


def _first_plans(row: _Row) -> None:
    """Make a plan for every deadline, the tightest first; a looser one can do what it can."""
    for part in EFFORT_FIRST:  # little for everyone first, in case the time runs out
        before: Plan | None = None
        for number, point in enumerate(row.points):
            point.offer(before)
            if not row.over() or point.plan is None:
                point.offer(
                    short_plan(
                        point.problem,
                        seed=row.seed + number,
                        effort_s=part * row.time_limit_s / len(row.points),
                        clock_limit_s=row.limit,
                        enough=lambda plan: row.cancelled.is_set(),
                    )
                )
            before = point.plan
    _better_plans(row, EFFORT_BETTER, guided=False)


def _better_plans(row: _Row, part: float, *, guided: bool = True) -> None:
    """Improve every plan, or what its neighbour and its relaxation suggest, if that is cheaper."""
    effort = part * row.time_limit_s / len(row.points)
    before: Plan | None = None
    for number, point in enumerate(row.points):
        if row.over():
            break
        point.offer(before)
        if guided and point.root is not None:
            offer = Offer.whole(point.problem)
            models = [(Setting(share_power=power), offer) for power in (0.0, 1.0)]
            for start in guided_starts(point.problem, point.root, models, row.limit):
                point.offer(start.plan)
        if point.plan is not None and point.gap() > 1e-6:
            point.offer(
                improve(
                    point.plan,
                    seed=row.seed + number + (200 if guided else 100),
                    effort_s=effort,
                    stop=lambda plan: row.cancelled.is_set(),
                    clock_limit_s=row.limit,
                )
            )
        before = point.plan
        if before is not None:
            row.tell(f"{format_duration(before.makespan_s)} for {format_money(before.cost_usd)}")


def _quick_bounds(row: _Row) -> None:
    """Bound the cost at every deadline by a small model, the loosest deadline first."""
    for point in reversed(row.points):
        if row.over():
            break
        _bound(row, point, quick=True)
        row.tell(
            f"{format_duration(point.problem.deadline_s or 0.0)} costs at least "
            f"{format_money(point.bound_usd)}"
        )
    _carry(row)


def _better_bounds(row: _Row) -> None:
    """Bound the cost again by larger models and branching, the largest gaps first."""
    order = np.argsort([-point.gap() for point in row.points], kind="stable")
    for number in order:
        if row.over():
            break
        if row.points[number].gap() > 1e-6:
            _bound(row, row.points[number], quick=False)
            _carry(row)


def _bound(row: _Row, point: _Point, *, quick: bool) -> None:
    plan = point.plan
    used = None if plan is None else np.unique(plan.lease_type).astype(np.int64)
    search = CostBound(
        point.problem,
        settings=replace(settings_for(point.problem, quick=quick), nodes=NODES),
        used_types=used,
        clock_limit_s=row.limit,
        cost_usd=None if plan is None else plan.cost_usd,
    )
    try:
        found = search.root()
        if not quick:
            found = search.branch(
                lambda: point.plan.cost_usd if point.plan is not None else np.inf,
                lambda usd: None,
            )
        elif found.best.x is not None:
            point.root = found
    except SolverError as error:
        logger.warning("the bound's solver failed, a simpler bound is kept: %s", error)
        return
    # Every deadline of the row has a plan: an infinite bound is a solver's error.
    if point.bound_usd < found.usd < np.inf:
        point.bound_usd, point.method = found.usd, found.method


def _carry(row: _Row) -> None:
    """Give each point the bound of the next looser deadline where that is higher."""
    for tight, loose in zip(row.points[-2::-1], row.points[:0:-1], strict=True):
        if loose.bound_usd > tight.bound_usd:
            tight.bound_usd, tight.method = loose.bound_usd, loose.method


def _front(row: _Row, elapsed_s: float) -> ParetoFront:
    """Give every deadline the cheapest plan in time for it, and leave dominated plans out."""
    _carry(row)
    found = [point.plan for point in row.points if point.plan is not None]
    kept: list[Plan] = []
    for point in row.points:
        for plan in found:
            point.offer(plan)
        if point.plan is None:
            continue
        if kept and point.plan.cost_usd >= kept[-1].cost_usd * (1 - 1e-9):
            continue
        kept.append(_certified(point, row.seed, elapsed_s))
    return ParetoFront(
        points=tuple(kept),
        deadline_s=frozen([p.problem.deadline_s for p in row.points], np.float64),
        bound_usd=_staircase(row.points),
    )


def _staircase(points: list[_Point]) -> FloatArray:
    lowest = [
        point.bound_usd if point.plan is None else min(point.bound_usd, point.plan.cost_usd)
        for point in points
    ]
    return frozen(np.minimum.accumulate(lowest), np.float64)


def _certified(point: _Point, seed: int, elapsed_s: float) -> Plan:
    assert point.plan is not None
    certificate = Certificate(
        objective="cost",
        lower_bound=min(point.bound_usd, point.plan.cost_usd),
        method=point.method,
    )
    provenance = Provenance(planner="lp", seed=seed, solver="HiGHS", planning_seconds=elapsed_s)
    plan = point.plan.replace(certificate=certificate, provenance=provenance)
    wrong = check_plan(point.problem, plan)
    if wrong:
        raise SolverError(f"a plan of the front breaks a rule: {wrong[0]}")
    return plan
