"""IC-PCPD2: sub-deadlines along partial critical paths, then the cheapest place task by task.

Abrishami, Naghibzadeh and Epema, FGCS 29(1), 2013, the two-phase companion of IC-PCP. The
traversal is IC-PCP's, but a path only shares its window, from the earliest start of its first task
to the latest finish of its last, in proportion to when its tasks end at the earliest. Then ready
tasks, first come first served, go to the cheapest applicable lease that meets the sub-deadline,
else to a new lease of the cheapest type that does.

Own model and adaptation as for IC-PCP (``ic_pcp_scheduler``). Reconstruction: the paper prints the
sub-deadline without the offset of the window, which is added; a sub-deadline is never later than
the task's latest finish.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.instance import instance
from autoscale.schedulers.subdeadline import EXISTING_FIRST, allocated

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="sub-deadlines along partial critical paths, then the cheapest place task by task",
    source="Abrishami, Naghibzadeh and Epema, FGCS 29(1), 2013",
    reconstruction="the offset of a path's window in its sub-deadlines",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the IC-PCPD2 plan.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Not used: the algorithm ends by itself.
    """
    return ic_pcpd2_plan(problem)


def ic_pcpd2_plan(problem: Problem, *, edge_s: FloatArray | None = None) -> Plan:
    """Return the IC-PCPD2 plan; ``edge_s`` are seconds that data take between leases."""
    from autoscale.schedulers.critical import kernels as critical
    from autoscale.schedulers.subdeadline import kernels

    x = instance(problem, edge_s)
    limit = critical.sub_deadlines(x, problem.fastest_s)
    order = kernels.fifo_order(x)
    return allocated(problem, order, limit, rule=EXISTING_FIRST, edge_s=edge_s)
