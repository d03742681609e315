"""MSLBL: least schedule length with the budget's level reserved for every task.

Chen, Xie, Li and Li, "Efficient task scheduling for budget constrained parallel applications on
heterogeneous cloud computing systems", Future Generation Computer Systems 74, 2017. With c_min(t)
and c_max(t) the least and greatest cost of task t and C_min, C_max their sums, the budget's level

    bl = (B - C_min) / (C_max - C_min), between 0 and 1

reserves c_min(t) + bl x (c_max(t) - c_min(t)) for every task. Tasks are taken by upward rank; each
goes where it ends first among the options that cost no more than what its own reserve and the
money that others before it left unspent allow.

In the paper processors are priced by the time a task takes. Here a task pays what it adds to the
bill of the leases, any lease and one new lease of each type that is not beaten in both time and
price are the options, and costs are shares of machines times the overhead of
:mod:`~autoscale.schedulers.budgeted.listing`. A task that nothing affordable is open to, which
cannot happen in the paper, takes the cheapest option. Where boots, quanta or idle time make the
plan dearer than the budget after all, the algorithm is run with less.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

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
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="budget",
    summary="earliest finish within what the budget's level reserves for each task",
    source="Chen, Xie, Li and Li, Future Generation Computer Systems 74, 2017",
    reconstruction="written from the abstract and the formula of the level; what leases cost "
    "beyond the tasks' own time; less money where that exceeds it",
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
    factor = overhead(given, cheapest)
    least, most = given.cheap_usd * factor, given.dear_usd * factor
    rule = Rule(code=kernels.SHARE, fallback=kernels.NONE_AFFORDABLE_CHEAP)

    def attempt(budget_usd: float) -> Plan:
        span = float(most.sum() - least.sum())
        level = (budget_usd - float(least.sum())) / span if span > 0.0 else 0.0
        reserve = least + float(np.clip(level, 0.0, 1.0)) * (most - least)
        return list_by_rule(given, rule, budget_usd=budget_usd, reserve_usd=reserve)

    return within_budget(problem, attempt, cheapest, time_limit_s=time_limit_s)
