"""Fleets for schedulers that are given one: the cheapest fleet with which a deadline is met.

HEFT and CPOP assume a set of machines. Here a fleet is so many copies of a unit: one type, and
where that does not fit every task, the cheapest types that fit the others. For a few types the
number of copies is doubled from the least that could do, until the deadline is met, then halved
back; the cheapest plan wins. Large workflows are tried on numbers of copies that grow by a quarter.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

TRIED = 4
"""Types by price of the work, besides the one with the shortest critical path."""

LARGE = 5_000
"""Tasks above which one type is tried, the next only where it cannot meet the deadline."""

MOST_RUNGS = 4
"""Numbers of copies, each a quarter more than the one before, that are jumped over at once."""

LATE_S = 1e-6
"""Seconds by which a deadline may be missed: rounding noise."""


def best_on_fleets(
    problem: Problem, run: Callable[[IntArray], Plan], over: Callable[[], bool]
) -> Plan:
    """Return the cheapest plan in time over fleets that are tried; the quickest if none is.

    Parameters
    ----------
    problem
        With a deadline, or without one (then the cheapest plan is returned).
    run
        Makes a plan on a fleet, given as the type of each lease.
    over
        Whether time is up: nothing further is tried.
    """
    deadline = np.inf if problem.deadline_s is None else problem.deadline_s + LATE_S
    tried: list[Plan] = []
    large = len(problem.workflow) > LARGE
    for unit in _units(problem):
        few, most = _fewest(problem, unit), _most(problem, unit)
        attempt = partial(_on_copies, run, unit)
        search = _search_rungs if large else _search
        tried += search(attempt, min(few, most), most, deadline, over)
        if over() or (large and any(plan.makespan_s <= deadline for plan in tried)):
            break
    return min(
        tried,
        key=lambda plan: (max(0.0, plan.makespan_s - deadline), plan.cost_usd, plan.makespan_s),
    )


def _on_copies(run: Callable[[IntArray], Plan], unit: IntArray, copies: int) -> Plan:
    return run(np.repeat(unit, copies))


def _search(
    attempt: Callable[[int], Plan], few: int, most: int, deadline: float, over: Callable[[], bool]
) -> list[Plan]:
    """Double the copies from ``few`` until the plan is in time, then halve back.

    Returns the plans made. Copies that make it hardly quicker end the search.
    """
    low, high = few - 1, few
    plans = [attempt(high)]
    while plans[-1].makespan_s > deadline and high < most and not over():
        low, high = high, min(2 * high, most)
        plans.append(attempt(high))
        if _hardly_quicker(plans):
            return plans
    if plans[-1].makespan_s > deadline:
        return plans
    while high - low > 1 and not over():
        middle = (low + high) // 2
        plans.append(attempt(middle))
        if plans[-1].makespan_s <= deadline:
            high = middle
        else:
            low = middle
    return plans


def _search_rungs(
    attempt: Callable[[int], Plan], few: int, most: int, deadline: float, over: Callable[[], bool]
) -> list[Plan]:
    """Find the first in time of the numbers of copies that grow by a quarter from ``few``.

    Returns the plans made. Rungs are jumped over as far as the last two plans say that they are
    late: what a plan takes is about a constant plus work over copies.
    """
    rungs = [few]
    while rungs[-1] < most:
        rungs.append(min(rungs[-1] + max(1, rungs[-1] // 4), most))
    late, at = -1, 0
    plans = [attempt(few)]
    while plans[-1].makespan_s > deadline and at + 1 < len(rungs) and not over():
        at, late = _next_rung(rungs, late, at, plans, deadline), at
        plans.append(attempt(rungs[at]))
        if _hardly_quicker(plans):
            return plans
    in_time = plans[-1].makespan_s <= deadline
    while in_time and at - late > 1 and not over():
        middle = at - 1 if len(plans) < 4 else (late + at) // 2
        plans.append(attempt(rungs[middle]))
        if plans[-1].makespan_s <= deadline:
            at = middle
        else:
            late = middle
    return plans


def _next_rung(rungs: list[int], before: int, at: int, plans: list[Plan], deadline: float) -> int:
    """Return the rung to try after ``at``, which is late, as ``before`` was (-1: none was)."""
    last = len(rungs) - 1
    if before < 0:
        return min(at + 2, last)
    fewer, more = 1.0 / rungs[before], 1.0 / rungs[at]
    work = (plans[-2].makespan_s - plans[-1].makespan_s) / (fewer - more)
    constant = plans[-1].makespan_s - work * more
    if not deadline > constant:
        return min(at + MOST_RUNGS, last)
    wanted = next(
        (y for y, copies in enumerate(rungs) if copies * (deadline - constant) >= work), last
    )
    return min(max(wanted, at + 1), at + MOST_RUNGS, last)


def _hardly_quicker(plans: list[Plan]) -> bool:
    return plans[-1].makespan_s > 0.999 * plans[-2].makespan_s


def _units(problem: Problem) -> list[IntArray]:
    """Return the units of the fleets: types that do the work cheaply, and the quickest one."""
    duration, catalog = problem.duration_s, problem.catalog
    w, fits = problem.workflow, np.isfinite(problem.duration_s)
    per_class = np.bincount(problem.task_class, weights=w.vcpus, minlength=len(duration))
    held = np.where(fits, duration, 0.0)
    covered = per_class @ fits
    price = per_class @ held * catalog.price_per_s / catalog.vcpus
    # What a type cannot run does not make it cheap.
    score = np.where(covered > 0, price / np.maximum(covered, 1e-300), np.inf)
    share = covered / max(float(per_class.sum()), 1e-300)
    cheap = np.lexsort((np.arange(score.size), score, -np.round(share, 6)))[:TRIED]
    lasting = np.where(fits.all(axis=0), held.max(axis=0), np.inf)
    mean = held.sum(axis=0) / np.maximum(fits.sum(axis=0), 1)
    quick = int(np.lexsort((score, mean, ~np.isfinite(lasting)))[0])
    chosen = [int(k) for k in dict.fromkeys([*cheap.tolist(), quick])]
    return [_complete(problem, k) for k in chosen]


def _complete(problem: Problem, kind: int) -> IntArray:
    """Return a type and the cheapest ones that fit, together, every task that it does not."""
    fits = np.isfinite(problem.duration_s)
    unit, missing = [kind], ~fits[:, kind]
    price = problem.catalog.price_per_s
    while missing.any():
        helps = fits[missing].sum(axis=0)
        k = int(np.lexsort((price, -helps))[0])
        unit.append(k)
        missing &= ~fits[:, k]
    return np.array(unit, dtype=np.int64)


def _fewest(problem: Problem, unit: IntArray) -> int:
    """Return how many copies of a unit the work needs at the least to be done by the deadline."""
    if problem.deadline_s is None:
        return 1
    held = problem.duration_s[:, unit].min(axis=1)[problem.task_class]
    work = float((held * problem.workflow.vcpus).sum())
    window = max(problem.deadline_s - problem.boot_s, 1e-9)
    return max(1, int(work / (window * float(problem.catalog.vcpus[unit].sum())) + 0.999))


def _most(problem: Problem, unit: IntArray) -> int:
    """Return how many copies of a unit the workflow can keep busy at most."""
    width = int(np.bincount(problem.workflow.level).max())
    widest = max(1, int(problem.catalog.vcpus[unit].max()))
    needed = int(problem.workflow.vcpus.max())
    return max(1, width * needed // widest + 1)
