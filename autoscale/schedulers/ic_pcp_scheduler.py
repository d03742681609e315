"""IC-PCP: partial critical paths, each whole on one lease, the cheapest that is in time.

Abrishami, Naghibzadeh and Epema, FGCS 29(1), 2013. From the exits upward, the chain of critical
parents (the parent whose data arrive last) that are not assigned yet is placed on the cheapest
applicable lease, else on a new one of the cheapest type on which every task of the chain ends by
its latest finish time; then earliest starts and latest finishes are brought up to date.

Own model: an instance runs one task at a time, boots at once, and is charged by the interval; data
travel between instances (``edge_s``). A lease is applicable when the chain uses time that is paid
for anyway: before a child on the lease, which is shifted; before its first task where that is
free; after its last.

Here a chain may also lie beside other tasks of a lease where there is room; a lease that adds less
than a lease of its own would cost (a boot or a minimum charge saved) is applicable too, which says
the same in the paper's model; and where no one type runs the whole chain in time, its first tasks
are left for later chains. Where the paper ranks types by price, the bill of the chain decides.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.instance import instance, plan_of

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="partial critical paths, each on the one lease where it is cheapest in time",
    source="Abrishami, Naghibzadeh and Epema, FGCS 29(1), 2013",
    reconstruction="chains that no one type runs in time are cut",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the IC-PCP plan.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Not used: the algorithm ends by itself.
    """
    return ic_pcp_plan(problem)


def ic_pcp_plan(problem: Problem, *, edge_s: FloatArray | None = None) -> Plan:
    """Return the IC-PCP plan; ``edge_s`` are seconds that data take between leases."""
    from autoscale.schedulers.critical import kernels

    return plan_of(problem, kernels.place_paths(instance(problem, edge_s), problem.fastest_s))
