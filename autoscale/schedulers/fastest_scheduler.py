"""Every task as soon as its parents end, on the type where it ends first.

The makespan is the least possible one: boot plus the fastest critical path. A task goes to a
lease that is free anyway when that ends it as early as any type can, else to a new lease.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.model import graph
from autoscale.schedulers.about import About
from autoscale.schedulers.list_scheduler import Setting, list_plan

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="none",
    summary="every task as soon as its parents end, on the type where it ends first",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the plan with the least makespan; its cost is what haste costs.

    Parameters
    ----------
    problem
        What is planned; deadline and budget play no part.
    rng
        Not used: the algorithm has no ties to break by chance.
    time_limit_s
        Not used: the algorithm ends by itself, soon.
    """
    target = graph.earliest_finish_s(problem.workflow, problem.fastest_s, problem.boot_s)
    return list_plan(problem, target, Setting(share_power=0.0), order_by=target)
