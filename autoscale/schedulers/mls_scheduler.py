"""MLS: list schedules for a row of weights of time against cost, the cheapest front there is.

The multi-objective list scheduling with which Zhu, Zhang, Li and Tan compare EMS-C ("Evolutionary
multi-objective workflow scheduling in cloud", IEEE TPDS 27(5), 2016). Tasks are taken by HEFT's
upward rank; every task goes where

    w x (FT - FT_best) / (FT_worst - FT_best) + (1 - w) x (C - C_least) / (C_most - C_least)

is least over the options, FT being its finish and C what it adds to the bill. Weights from 0 to 1
give as many schedules, from the cheapest to the quickest. Reconstructed: of the published code it
is known that it takes a number of weights between both ends, not how it normalises.

The options are any lease and one new lease of each type that is not beaten in both time and price.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.schedulers.about import About
from autoscale.schedulers.budgeted.fronts import as_front, best_for_goal
from autoscale.schedulers.budgeted.listing import Rule, cheapest_pass, list_by_rule, offer

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.front import ParetoFront
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="pareto",
    summary="list schedules for a row of weights of time against cost",
    source="Zhu, Zhang, Li and Tan, IEEE TPDS 27(5), 2016 (its baseline)",
    reconstruction="how times and costs are normalised, and the grid of weights",
)

WEIGHTS = 21
"""Weights tried, from 0 to 1."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the plan of the front that serves the goal best.

    Parameters
    ----------
    problem
        With a deadline, a budget, both or neither.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Seconds after which no further weight is tried.
    """
    return best_for_goal(problem, _plans(problem, time_limit_s))


def front(
    problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf
) -> ParetoFront:
    """Return all plans of which none beats another; see :func:`schedule` for the parameters."""
    return as_front(_plans(problem, time_limit_s))


def _plans(problem: Problem, time_limit_s: float) -> list[Plan]:
    from autoscale.schedulers.budgeted import kernels

    ends = time.perf_counter() + time_limit_s
    given = offer(problem)
    plans = [cheapest_pass(given)]
    # The quick end first: with it, whatever time there is gives a range of plans.
    for weight in np.linspace(1.0, 0.0, WEIGHTS).tolist():
        plans.append(list_by_rule(given, Rule(code=kernels.WEIGHTED, coefficient=weight)))
        if time.perf_counter() > ends:
            break
    return plans
