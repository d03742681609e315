"""BHEFT: the earliest finish that a task's share of the budget can pay for.

Zheng and Sakellariou, "Budget-deadline constrained workflow planning for admission control", J.
Grid Computing 11(4), 2013. Tasks are taken by HEFT's upward rank. For task t, with B the budget
and c(t) its mean cost over the services:

    SAB = B - spent - sum of c over the tasks not yet scheduled, t included
    CTB = c(t) + max(SAB, 0) x c(t) / (that sum)

The service with the earliest finish is taken among those that cost at most CTB. If there is none,
the one with the earliest finish of all where SAB >= 0, else the cheapest.

In the paper services are priced by the time a task takes and there is a fixed set of them. Here
any lease and one new lease of each type that is not beaten in both time and price are the services,
and mean costs are shares of machines times the overhead of
:mod:`~autoscale.schedulers.budgeted.listing`. CTB limits what the vCPUs that the task holds cost
while it runs; all that its choice adds to the bill, with boots, quanta and the vCPUs that others
will use, may come from SAB. In the paper's model both are the same. Where the plan is dearer than
the budget after all, the algorithm is run with less.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.schedulers.about import About
from autoscale.schedulers.budgeted.listing import (
    Rule,
    cheapest_pass,
    list_by_rule,
    offer,
    overhead,
    within_budget,
)

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="budget",
    summary="earliest finish that a task's share of the budget can pay for",
    source="Zheng and Sakellariou, J. Grid Computing 11(4), 2013",
    reconstruction="what leases cost beyond the tasks' own time; less money where that exceeds it",
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
        Seconds after which no further pass is begun.
    """
    from autoscale.schedulers.budgeted import kernels

    given = offer(problem)
    cheapest = cheapest_pass(given)
    reserve = given.mean_usd * overhead(given, cheapest)
    rule = Rule(code=kernels.SHARE, fallback=kernels.NONE_AFFORDABLE_QUICK, allow_share=True)

    def attempt(budget_usd: float) -> Plan:
        return list_by_rule(given, rule, budget_usd=budget_usd, reserve_usd=reserve)

    return within_budget(problem, attempt, cheapest, time_limit_s=time_limit_s)
