"""LOSS2: from the quickest assignment, the moves that lose least time for the money saved.

Sakellariou, Zhao, Tsiakkouri and Dikaiakos, "Scheduling workflows with budget constraints", in
Integrated Research in GRID Computing, 2007. HEFT's schedule is the start. While it costs more than
the budget, the task and machine with the least

    LossWeight = (M_new - M_old) / (C_old - C_new)

are reassigned, M being the makespan with that one task moved and C what the task costs. LOSS2
computes all weights once, from HEFT's schedule.

With leases for the asking HEFT has every task on its quickest type as soon as its parents end, so
an assignment is a type for each task, its makespan is the longest path, and a task costs its share
of a machine. Types that another beats in time and cost are left out. Equal weights go by money
saved. What the plans on the way really cost, and how tasks share leases, is in
:mod:`~autoscale.schedulers.budgeted.moves.path`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.schedulers.about import About
from autoscale.schedulers.budgeted.listing import offer
from autoscale.schedulers.budgeted.moves.path import plan_on_the_way, way_of

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="budget",
    summary="from the quickest types, the moves that lose least time for the money saved",
    source="Sakellariou, Zhao, Tsiakkouri and Dikaiakos, Integrated Research in GRID Computing, "
    "2007",
    reconstruction="how tasks share leases, and where to stop by what leases cost",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return a quick plan within the budget; the quickest one without a budget.

    Parameters
    ----------
    problem
        What is planned. A deadline plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Seconds after which no further plan is made.
    """
    way = way_of(offer(problem), gain=False, renewed=False)
    return plan_on_the_way(way, time_limit_s=time_limit_s)
