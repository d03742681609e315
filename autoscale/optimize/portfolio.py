"""Quick plans to start from: list schedules over ways to share slack and types to prefer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.lp.types import bound_types
from autoscale.plan.decode import tighten
from autoscale.schedulers.list_scheduler import (
    Setting,
    lateness_s,
    list_plan,
    new_type_order,
    slack_weights,
    targets_s,
)

if TYPE_CHECKING:
    from autoscale.lp.bound import Bound
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

PREFERRED_TYPES = 10
"""Types that the list scheduler is told to prefer, one at a time."""

TASKS_A_SECOND = 4e4
"""Nominal speed of the list scheduler; counting by it keeps the portfolio deterministic."""

OVERHEAD_S = 4e-3
"""Nominal seconds of one list schedule besides its tasks."""

SPREAD = 0.8
"""Standard deviation of the logarithm by which slack weights of a stage are changed."""


@dataclass(frozen=True, slots=True)
class Start:
    """A plan with the decisions of the list scheduler that led to it."""

    plan: Plan
    setting: Setting
    weight: FloatArray | None


def quick_starts(problem: Problem, *, effort_s: float, clock_limit_s: float) -> list[Start]:
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
    kinds = [-1, *preferred_types(problem)]
    settings = [Setting(prefer=k, share_power=power) for power in (0.0, 1.0) for k in kinds]
    tries = [(weight, setting) for setting in settings for weight in slack_weights(problem)]
    starts: list[Start] = []
    for number, (weight, setting) in enumerate(tries):
        spent = number * nominal_s(problem)
        if starts and (spent > effort_s or time.perf_counter() > clock_limit_s):
            break
        plan = list_plan(problem, targets_s(problem, weight), setting)
        if lateness_s(plan) == 0.0:
            starts.append(Start(tighten(plan), setting, weight))
    return distinct(starts)


def distinct(starts: list[Start]) -> list[Start]:
    """Return the starts by cost, without those that cost the same as one before."""
    ranked = sorted(starts, key=lambda start: start.plan.cost_usd)
    return [
        start
        for number, start in enumerate(ranked)
        if number == 0 or start.plan.cost_usd > ranked[number - 1].plan.cost_usd * (1 + 1e-9)
    ]


def nominal_s(problem: Problem) -> float:
    """Return the nominal seconds of one list schedule."""
    return OVERHEAD_S + len(problem.workflow) / TASKS_A_SECOND


def preferred_types(problem: Problem) -> list[int]:
    """Return types worth preferring: undominated ones, cheapest for the whole workflow first."""
    types = bound_types(problem, 0.02)
    count = np.bincount(problem.task_class, minlength=len(problem.duration_s))
    work = np.where(np.isfinite(types.duration_s), types.duration_s, 0.0)
    cost = types.price_per_s * (count @ work) / problem.catalog.vcpus[types.index]
    fits_all = np.isfinite(types.duration_s).all(axis=0)
    order = np.lexsort((cost, ~fits_all))
    return [int(k) for k in types.index[order][:PREFERRED_TYPES]]


def share_slack_better(start: Start, *, seed: int, effort_s: float, clock_limit_s: float) -> Start:
    """Return the best of many list schedules whose slack is shared ever differently.

    A hill climb on one weight per stage, where a stage is the tasks of one category on one level:
    how slack is shared among the parts of a workflow decides how many machines its peak needs.
    """
    problem = start.plan.problem
    rng = np.random.default_rng(seed)
    stage = _stages(problem)
    n_stages = int(stage.max()) + 1
    base = _as_weight(problem, start.weight)
    types = new_type_order(problem, start.setting)
    best, exponent = start, np.zeros(n_stages)
    tries = int(effort_s / nominal_s(problem))
    for number in range(tries):
        if time.perf_counter() > clock_limit_s:
            break
        step = rng.normal(0.0, SPREAD * (2.0 if number % 8 == 0 else 1.0), n_stages)
        few = rng.random(n_stages) < min(1.0, 3.0 / n_stages)
        tried = np.clip(exponent + (step if number % 4 == 0 else step * few), -7.0, 7.0)
        weight = base * np.exp(tried)[stage]
        plan = list_plan(problem, targets_s(problem, weight), start.setting, new_types=types)
        if lateness_s(plan) == 0.0 and plan.cost_usd < best.plan.cost_usd * (1 - 1e-9):
            best, exponent = Start(plan, start.setting, weight), tried
    return Start(tighten(best.plan), best.setting, best.weight)


def _as_weight(problem: Problem, weight: FloatArray | None) -> FloatArray:
    return np.ones(len(problem.workflow)) if weight is None else weight


def _stages(problem: Problem) -> Any:
    """Return the stage of each task: tasks of one category on one level."""
    w = problem.workflow
    key = w.level.astype(np.int64) * len(w.categories) + w.category
    return np.unique(key, return_inverse=True)[1]


def guided_starts(problem: Problem, bound: Bound, settings: list[Setting]) -> list[Start]:
    """Return list schedules against the times at which the relaxation has its work done."""
    from autoscale.optimize import kernels

    fleet, x = bound.best.fleet, bound.best.x
    if fleet is None or x is None:
        return []
    w, groups = problem.workflow, fleet.groups
    done = np.zeros((len(groups), fleet.edges.size - 1))
    np.add.at(done, (fleet.group, fleet.bucket), x[fleet.x])
    starts = []
    for part in (0.999, 0.9, 0.6):
        last = np.argmax(np.cumsum(done, axis=1) >= part * done.sum(axis=1, keepdims=True), axis=1)
        finished = fleet.edges[last + 1][groups.of_task]
        target = kernels.consistent_targets(
            w.parent_ptr,
            w.parents,
            w.child_ptr,
            w.children,
            problem.fastest_s,
            np.minimum(finished, bound.windows.latest_end_s),
        )
        for setting in settings:
            plan = list_plan(problem, problem.boot_s + target, setting)
            if lateness_s(plan) == 0.0:
                starts.append(Start(tighten(plan), setting, None))
    return starts
