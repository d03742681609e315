"""Fronts of cost against makespan: what dominates what, what to keep, what to take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.plan.front import ParetoFront
from autoscale.units import COST_TOL_USD, TIME_TOL_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan


def non_dominated(time_s: FloatArray, cost_usd: FloatArray) -> IntArray:
    """Return the indices of points that no other beats, by time; of equal points the first.

    Examples
    --------
    >>> non_dominated(np.array([3.0, 1.0, 2.0, 1.0]), np.array([1.0, 2.0, 2.0, 2.0]))
    array([1, 0])
    """
    order = np.lexsort((np.arange(time_s.size), cost_usd, time_s))
    cost = cost_usd[order]
    least_before = np.concatenate([[np.inf], np.minimum.accumulate(cost)[:-1]])
    # Rounding noise does not make a point cheaper.
    kept: IntArray = order[cost < least_before * (1 - 1e-9)]
    return kept


def ranks(time_s: FloatArray, cost_usd: FloatArray) -> IntArray:
    """Return each point's rank: 0 on the front, 1 on the front of the others, and so on.

    Equal points have equal ranks.
    """
    order = np.lexsort((cost_usd, time_s))
    rank = np.zeros(time_s.size, dtype=np.int64)
    lasts: list[tuple[float, float]] = []  # cheapest so far of each front, and its time
    for i in order.tolist():
        point = (float(cost_usd[i]), float(time_s[i]))
        low, high = 0, len(lasts)
        while low < high:  # fronts' last costs ascend
            middle = (low + high) // 2
            beaten = lasts[middle][0] <= point[0] and lasts[middle] != point
            low, high = (middle + 1, high) if beaten else (low, middle)
        rank[i] = low
        lasts[low : low + 1] = [point]
    return rank


def crowding(time_s: FloatArray, cost_usd: FloatArray) -> FloatArray:
    """Return how far each point is from its neighbours on a front; inf at its ends.

    The sum over both goals of the distance between the neighbours, relative to the front's range
    (Deb, Pratap, Agarwal and Meyarivan, IEEE Trans. Evolutionary Computation 6(2), 2002).
    """
    n = time_s.size
    out = np.zeros(n)
    for values in (time_s, cost_usd):
        order = np.argsort(values, kind="stable")
        span = float(values[order[-1]] - values[order[0]]) if n else 0.0
        out[order[:1]] = out[order[-1:]] = np.inf
        if n > 2 and span > 0:
            out[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / span
    return out


def selected(time_s: FloatArray, cost_usd: FloatArray, count: int) -> IntArray:
    """Return the indices of so many points to keep: by front, then the least crowded.

    Of points that are equal, only the first is kept while there are others.
    """
    same = np.lexsort((np.arange(time_s.size), cost_usd, time_s))
    repeated = np.zeros(time_s.size, dtype=np.int64)
    twice = (np.diff(time_s[same]) == 0) & (np.diff(cost_usd[same]) == 0)
    repeated[same[1:][twice]] = 1
    rank = ranks(time_s, cost_usd)
    spread = np.zeros(time_s.size)
    for front in range(int(rank.max(initial=0)) + 1):
        own = np.flatnonzero((rank == front) & (repeated == 0))
        if own.size:
            spread[own] = crowding(time_s[own], cost_usd[own])
    order: IntArray = np.lexsort((np.arange(time_s.size), -spread, rank, repeated))
    return order[:count]


def front_plans(plans: Iterable[Plan]) -> list[Plan]:
    """Return the plans that no other beats, quickest first."""
    every = list(plans)
    kept = non_dominated(
        np.array([plan.makespan_s for plan in every]), np.array([plan.cost_usd for plan in every])
    )
    return [every[i] for i in kept]


def as_front(plans: Iterable[Plan]) -> ParetoFront:
    """Return the plans that no other beats as a front; each one's deadline is its makespan.

    No bound is known: the staircase says that no plan costs less than nothing.
    """
    points = tuple(
        plan.replace(problem=plan.problem.replace(deadline_s=plan.makespan_s or None))
        for plan in front_plans(plans)
    )
    times = np.array([plan.makespan_s for plan in points])
    return ParetoFront(points=points, deadline_s=times, bound_usd=np.zeros(times.size))


def best_for_goal(problem: Problem, plans: Sequence[Plan]) -> Plan:
    """Return the plan that serves the goal best.

    With a deadline (and a budget), the cheapest that is in time (and affordable), else the one
    that is least late; with a budget, the quickest that is affordable, else the cheapest; with
    neither, the cheapest.
    """
    deadline = math.inf if problem.deadline_s is None else problem.deadline_s + TIME_TOL_S
    budget = math.inf if problem.budget_usd is None else problem.budget_usd + COST_TOL_USD
    quickest = problem.deadline_s is None and problem.budget_usd is not None

    def key(plan: Plan) -> tuple[float, float, float, float]:
        late = max(0.0, plan.makespan_s - deadline)
        dear = max(0.0, plan.cost_usd - budget)
        rest = (plan.makespan_s, plan.cost_usd)
        return (late, dear, *(rest if quickest else rest[::-1]))

    return min(plans, key=key).replace(problem=problem)
