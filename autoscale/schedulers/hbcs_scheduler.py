"""HBCS: the option most worth its money, as much of it as is left.

Arabnejad and Barbosa, "A budget constrained scheduling algorithm for workflow applications", J.
Grid Computing 12(4), 2014. Tasks are taken by HEFT's upward rank. With rb the budget that is left
and rcb what the cheapest way through the tasks after this one costs, an option with finish FT and
cost C is open if C <= rb - rcb and C is at most the cost of the option with the earliest finish.
Of the open ones the worthiest is taken,

    (FT_worst - FT) / (FT_worst - FT_best) + (rcb / rb) x (C_best - C) / (C_highest - C_lowest),

with FT_best and C_best of the option with the earliest finish; if none is open, the cheapest.

In the paper the processors are given, each with a price for its time. Here a task pays what it
adds to the bill of the leases, any lease and one new lease of each type that is not beaten in both
time and price are the processors, and rcb is the tasks' least shares of machines times the overhead
of :mod:`~autoscale.schedulers.budgeted.listing`. Where boots, quanta or idle time make the plan
dearer than the budget after all, the algorithm is run with less.
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
    summary="time saved weighed against money saved, the more the less budget is left",
    source="Arabnejad and Barbosa, J. Grid Computing 12(4), 2014",
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
    reserve = given.cheap_usd * overhead(given, cheapest)
    rule = Rule(code=kernels.WORTH)

    def attempt(budget_usd: float) -> Plan:
        return list_by_rule(given, rule, budget_usd=budget_usd, reserve_usd=reserve)

    return within_budget(problem, attempt, cheapest, time_limit_s=time_limit_s)
