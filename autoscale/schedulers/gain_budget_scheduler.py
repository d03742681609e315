"""GAIN for a budget: from the cheapest assignment, the moves that gain most time for the money.

Sakellariou, Zhao, Tsiakkouri and Dikaiakos, "Scheduling workflows with budget constraints", in
Integrated Research in GRID Computing, 2007. Every task starts on its cheapest machine. While there
is money left, the task and machine with the greatest

    GainWeight = (M_old - M_new) / (C_new - C_old)

are reassigned, M being the makespan with that one task moved and C what the task costs; weights
are computed anew after every move (GAIN3). The mirror image of
:mod:`~autoscale.schedulers.loss3_scheduler`, with the same adaptation. Where several paths are
longest no single move shortens the makespan; then tasks on them go by their own time gained for
the money, as in GAIN1.
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
    summary="from the cheapest types, the moves that gain most time for the money",
    source="Sakellariou, Zhao, Tsiakkouri and Dikaiakos, Integrated Research in GRID Computing, "
    "2007",
    reconstruction="how tasks share leases, where to stop by what leases cost, and ties",
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
    way = way_of(offer(problem), gain=True, renewed=True)
    return plan_on_the_way(way, time_limit_s=time_limit_s)
