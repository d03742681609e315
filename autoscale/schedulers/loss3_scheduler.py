"""LOSS3: LOSS2 with weights computed anew after every move.

Sakellariou, Zhao, Tsiakkouri and Dikaiakos, "Scheduling workflows with budget constraints", in
Integrated Research in GRID Computing, 2007; see :mod:`~autoscale.schedulers.loss2_scheduler` for
the weights and the adaptation. On large workflows weights are renewed after a batch of moves of
different tasks; ``EXACT_MOVES`` and ``ROUNDS`` in
:mod:`~autoscale.schedulers.budgeted.moves.path` say when.
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
    summary="as loss2, with weights computed anew after every move",
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
    way = way_of(offer(problem), gain=False, renewed=True)
    return plan_on_the_way(way, time_limit_s=time_limit_s)
