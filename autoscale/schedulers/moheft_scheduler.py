"""MOHEFT: HEFT that grows several schedules at once, trade-offs between time and cost.

Durillo and Prodan, "Multi-objective workflow scheduling in Amazon EC2", Cluster Computing 17(2),
2014. Tasks are taken by HEFT's upward rank. Each of the K partial schedules is expanded by the task
on every machine in use and on a new one of every type; of all expansions the K that no other beats
in makespan and cost are kept, the least crowded where there are more, the next fronts where there
are fewer. K is 10 as in the copy of it that the authors of Dyna compare with.

A machine's options are its earliest start and the earliest that does not lengthen its lease to the
left; new leases are of the types that no other beats in both time and price. Costs are bills of
leases so far. Equal expansions count once: several vCPUs make many of them. From ``LARGE_TASKS``
tasks on fewer schedules are grown, and a single one once the time limit has passed. Where no
schedule of the front meets a goal, HEFT's own plan or that of the cheapest pass stands in.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from autoscale.plan.decode import tighten
from autoscale.schedulers.about import About
from autoscale.schedulers.budgeted.fronts import as_front, best_for_goal
from autoscale.schedulers.budgeted.listing import Offer, Rule, cheapest_pass, list_by_rule, offer
from autoscale.schedulers.leasing.instance import plan_of

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.problem import Problem
    from autoscale.plan.front import ParetoFront
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="pareto",
    summary="HEFT that grows several schedules at once, trade-offs between time and cost",
    source="Durillo and Prodan, Cluster Computing 17(2), 2014",
    reconstruction="the number of schedules, from a later copy of the algorithm",
)

KEPT = 10
"""Partial schedules that are grown side by side."""

LARGE_TASKS, FEW_KEPT = 2_000, 3
"""From so many tasks on, fewer are grown."""

STEP = 100
"""Tasks between two looks at the clock."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the plan of the front that serves the goal best.

    Parameters
    ----------
    problem
        With a deadline, a budget, both or neither.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Seconds after which a single schedule is carried on.
    """
    from autoscale.schedulers.budgeted import kernels

    ends = time.perf_counter() + time_limit_s
    given = offer(problem)
    heft = list_by_rule(given, Rule(code=kernels.WEIGHTED, coefficient=1.0))
    left = max(0.0, ends - time.perf_counter())
    return best_for_goal(problem, [*_plans(given, left), heft, cheapest_pass(given)])


def front(
    problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf
) -> ParetoFront:
    """Return all plans of which none beats another; see :func:`schedule` for the parameters."""
    return as_front(_plans(offer(problem), time_limit_s))


def _plans(given: Offer, time_limit_s: float) -> list[Plan]:
    from autoscale.schedulers.budgeted.beam import kernels

    ends = time.perf_counter() + time_limit_s
    n = len(given.problem.workflow)
    keep = KEPT if n < LARGE_TASKS else FEW_KEPT
    states, makespan, in_use = kernels.begin(n, keep)
    count = 1
    for low in range(0, n, STEP):
        if time.perf_counter() > ends:
            keep = 1
        tasks = given.order[low : low + STEP]
        count = kernels.grow(
            given.x, states, makespan, in_use, min(count, keep), tasks, given.types, keep
        )
    return [tighten(plan_of(given.problem, states[int(at)])) for at in in_use[:count]]
