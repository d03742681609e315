"""Quick plans to start from: list schedules over ways to share slack and types to prefer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.lp.types import bound_types
from autoscale.plan.decode import tighten
from autoscale.schedulers.list_scheduler import (
    Setting,
    lateness_s,
    list_plan,
    slack_weights,
    targets_s,
)

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

PREFERRED_TYPES = 10
"""Types that the list scheduler is told to prefer, one at a time."""

TASKS_A_SECOND = 1e5
"""Nominal speed of the list scheduler; counting by it keeps the portfolio deterministic."""


def quick_plans(problem: Problem, *, effort_s: float, clock_limit_s: float) -> list[Plan]:
    """Return feasible plans, cheapest first, none twice; at least one is always tried.

    Parameters
    ----------
    problem
        What is planned.
    effort_s
        Effort in nominal seconds.
    clock_limit_s
        Reading of ``time.perf_counter()`` after which no further schedule is begun.
    """
    settings = [Setting(prefer=int(k), share_power=power) for power in (0.0, 1.0)
                for k in [-1, *preferred_types(problem)]]  # fmt: skip
    tries = [(weight, setting) for setting in settings for weight in slack_weights(problem)]
    cost_s = len(problem.workflow) / TASKS_A_SECOND
    plans: list[Plan] = []
    for number, (weight, setting) in enumerate(tries):
        late = number * cost_s > effort_s or time.perf_counter() > clock_limit_s
        if plans and late:
            break
        plan = list_plan(problem, targets_s(problem, weight), setting)
        if lateness_s(plan) == 0.0:
            plans.append(tighten(plan))
    plans.sort(key=lambda plan: plan.cost_usd)
    distinct = [
        plan
        for number, plan in enumerate(plans)
        if number == 0 or plan.cost_usd > plans[number - 1].cost_usd * (1 + 1e-9)
    ]
    return distinct


def preferred_types(problem: Problem) -> list[int]:
    """Return types worth preferring: undominated ones, cheapest for the whole workflow first."""
    types = bound_types(problem, 0.02)
    count = np.bincount(problem.task_class, minlength=len(problem.duration_s))
    work = np.where(np.isfinite(types.duration_s), types.duration_s, 0.0)
    cost = types.price_per_s * (count @ work) / problem.catalog.vcpus[types.index]
    fits_all = np.isfinite(types.duration_s).all(axis=0)
    order = np.lexsort((cost, ~fits_all))
    return [int(k) for k in types.index[order][:PREFERRED_TYPES]]
