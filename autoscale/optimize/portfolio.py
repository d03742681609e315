"""Quick plans to start from: list schedules over ways to share slack and types to prefer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.lp.types import bound_types
from autoscale.model import graph
from autoscale.model.arrays import frozen
from autoscale.plan.decode import capacities, needs, tighten
from autoscale.schedulers.list_scheduler import (
    Setting,
    lateness_s,
    list_plan,
    new_type_order,
    quota_arrays,
    slack_weights,
    targets_s,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.lp.bound import Bound
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

PREFERRED_TYPES = 10
"""Types that the list scheduler is told to prefer, one at a time."""

TASKS_A_SECOND = 4e4
"""Nominal speed of the list scheduler; counting by it keeps the portfolio deterministic."""

OVERHEAD_S = 4e-3
"""Nominal seconds of one list schedule besides its tasks."""

PLACES_A_SECOND = 5e6
"""Nominal speed of the compiled slack search: places looked at per second."""

LEAST_TRIES = 3
"""List schedules that a climb of the slack search makes in any case."""

SEARCHES = 3
"""Independent climbs of the slack search."""

SPREAD = 0.8
"""Standard deviation of the logarithm by which slack weights of a stage are changed."""


@dataclass(frozen=True, slots=True)
class Start:
    """A plan with the decisions of the list scheduler that led to it.

    Parameters
    ----------
    plan
        For the whole problem.
    setting, weight
        What the list scheduler was told; types are numbered as in ``offer``.
    offer
        The part of the catalogue that it chose from.
    """

    plan: Plan
    setting: Setting
    weight: FloatArray | None
    offer: Offer


@dataclass(frozen=True, slots=True)
class Offer:
    """A problem with only some of its instance types.

    Without the dearest machines a scheduler cannot fall back on them for a task that is a little
    late: whether they are needed at all is decided here, before it starts.
    """

    problem: Problem
    kinds: IntArray

    @classmethod
    def whole(cls, problem: Problem) -> Offer:
        """Return everything that the problem offers."""
        return cls(problem, np.arange(len(problem.catalog)))

    def lift(self, plan: Plan, whole: Problem) -> Plan:
        """Return the plan in the numbering of the whole catalogue."""
        lease_type = frozen(self.kinds[plan.lease_type], np.int32)
        return plan.replace(problem=whole, lease_type=lease_type)


def offers(problem: Problem) -> list[Offer]:
    """Return parts of the catalogue by price: the cheapest that can meet the deadline, and more."""
    price = problem.catalog.price_per_s
    ranked = np.argsort(price, kind="stable")
    fits = np.isfinite(problem.duration_s)
    caps = np.unique(price)
    low, high = 0, caps.size - 1
    while low < high:  # fewer types never make the critical path shorter
        middle = (low + high) // 2
        if _can_meet(problem, fits, price <= caps[middle]):
            high = middle
        else:
            low = middle + 1
    dearer = [low, low + (caps.size - low) // 8, caps.size - 1]
    counts = sorted({int((price <= caps[min(cap, caps.size - 1)]).sum()) for cap in dearer})
    out = []
    for count in counts:
        kinds = np.sort(ranked[:count])
        types = tuple(problem.catalog.types[int(k)] for k in kinds)
        part = problem.replace(catalog=replace(problem.catalog, types=types))
        out.append(Offer(part, kinds))
    return out


def _can_meet(problem: Problem, fits: Any, kept: Any) -> bool:
    if not (fits & kept).any(axis=1).all():
        return False
    fastest = problem.duration_s[:, kept].min(axis=1)[problem.task_class]
    path = graph.critical_path_s(problem.workflow, fastest)
    return problem.deadline_s is None or problem.boot_s + path <= problem.deadline_s


def quick_starts(
    problem: Problem,
    *,
    effort_s: float,
    clock_limit_s: float,
    keep: Callable[[Start], bool] | None = None,
) -> list[Start]:
    """Return feasible plans, cheapest first, none twice; at least one is always tried.

    Parameters
    ----------
    problem
        What is planned.
    effort_s
        Effort in nominal seconds.
    clock_limit_s
        Reading of ``time.perf_counter()`` after which no further schedule is begun.
    keep
        Called with every plan as soon as there is one; true ends it.
    """
    parts, weights = offers(problem), slack_weights(problem)
    tries = [
        (part, Setting(prefer=kind, share_power=power), way)
        for part, offer in enumerate(parts)
        for power in (0.0, 1.0)
        for kind in [-1, *preferred_types(offer.problem)]
        for way in range(len(weights))
    ]
    starts: list[Start] = []

    @cache
    def target_s(part: int, way: int) -> FloatArray:
        return targets_s(parts[part].problem, weights[way])

    @cache
    def new_types(part: int, setting: Setting) -> Any:
        return new_type_order(parts[part].problem, setting)

    def found(start: Start) -> bool:
        starts.append(start)
        return keep is not None and keep(start)

    for number, (part, setting, way) in enumerate(tries):
        spent = number * nominal_s(problem)
        if starts and (spent > effort_s or time.perf_counter() > clock_limit_s):
            break
        offer = parts[part]
        plan = list_plan(
            offer.problem, target_s(part, way), setting, new_types=new_types(part, setting)
        )
        if lateness_s(plan) == 0.0:
            start = Start(offer.lift(tighten(plan), problem), setting, weights[way], offer)
            if found(start):
                return distinct(starts)
    if problem.quotas:
        plan = soonest(problem)
        if lateness_s(plan) == 0.0:
            found(Start(tighten(plan), Setting(), None, Offer.whole(problem)))
    return distinct(starts)


def soonest(problem: Problem) -> Plan:
    """Return the list schedule that ends each task as soon as the quotas let it."""
    return list_plan(
        problem,
        np.zeros(len(problem.workflow)),
        Setting(),
        order_by=-graph.upward_rank_s(problem.workflow, problem.fastest_s),
    )


def distinct(starts: list[Start]) -> list[Start]:
    """Return the starts by cost, without those that cost the same as one before."""
    ranked = sorted(starts, key=lambda start: start.plan.cost_usd)
    return [
        start
        for number, start in enumerate(ranked)
        if number == 0 or start.plan.cost_usd > ranked[number - 1].plan.cost_usd * (1 + 1e-9)
    ]


def varied(starts: list[Start], most: int) -> list[Start]:
    """Return the best starts of different settings and offers, at most so many."""
    seen: dict[tuple[int, int], Start] = {}
    for start in starts:
        prefer = start.setting.prefer
        kind = int(start.offer.kinds[prefer]) if prefer >= 0 else -1
        seen.setdefault((kind, start.offer.kinds.size), start)
    return list(seen.values())[:most]


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
    from autoscale.schedulers import kernels

    problem, w = start.offer.problem, start.plan.problem.workflow
    rng = np.random.default_rng(seed)
    stage = stages(problem)
    base = _as_weight(problem, start.weight)
    types = new_type_order(problem, start.setting)
    quotas = quota_arrays(problem)
    best = start
    for _ in range(SEARCHES):
        if time.perf_counter() > clock_limit_s:
            break
        exponent, _ = kernels.slack_search(
            int(rng.integers(2**31)),
            LEAST_TRIES,
            effort_s / SEARCHES * PLACES_A_SECOND,
            stage,
            int(stage.max()) + 1,
            base,
            SPREAD,
            problem.task_class,
            problem.duration_s,
            problem.fastest_s,
            types,
            w.parent_ptr,
            w.parents,
            w.child_ptr,
            w.children,
            needs(problem),
            capacities(problem),
            problem.catalog.price_per_s,
            start.setting.share_power,
            problem.boot_s,
            problem.billing.quantum_s,
            problem.billing.minimum_s,
            *quotas,
            problem.deadline_s,
        )
        weight = base * np.exp(exponent)[stage]
        target = targets_s(problem, weight)
        plan = tighten(list_plan(problem, target, start.setting, new_types=types))
        if lateness_s(plan) == 0.0 and plan.cost_usd < best.plan.cost_usd * (1 - 1e-9):
            lifted = start.offer.lift(plan, start.plan.problem)
            best = Start(lifted, start.setting, weight, start.offer)
    return best


def _as_weight(problem: Problem, weight: FloatArray | None) -> FloatArray:
    return np.ones(len(problem.workflow)) if weight is None else weight


def stages(problem: Problem) -> Any:
    """Return the stage of each task: tasks of one category on one level."""
    w = problem.workflow
    key = w.level.astype(np.int64) * len(w.categories) + w.category
    return np.unique(key, return_inverse=True)[1]


def share_of_work(problem: Problem, stage: Any) -> FloatArray:
    """Return, for each task, the work of its stage as a part of the largest stage's."""
    work = np.bincount(stage, weights=problem.fastest_s * problem.workflow.vcpus)
    share: FloatArray = (work / max(float(work.max()), 1e-9))[stage]
    return share


def guided_starts(
    problem: Problem, bound: Bound, models: list[tuple[Setting, Offer]], clock_limit_s: float
) -> list[Start]:
    """Return list schedules against the times at which the relaxation has its work done.

    Parameters
    ----------
    problem
        The whole problem.
    bound
        With its relaxation.
    models
        What the list scheduler is told, and what it chooses from.
    clock_limit_s
        Reading of ``time.perf_counter()`` after which no further one is begun.
    """
    starts: list[Start] = []
    for part in (0.999, 0.9, 0.6):
        for setting, offer in models:
            if time.perf_counter() > clock_limit_s:
                return starts
            target = guided_target_s(offer.problem, bound, part)
            if target is None:
                return []
            plan = list_plan(offer.problem, target, setting)
            if lateness_s(plan) == 0.0:
                lifted = offer.lift(tighten(plan), problem)
                starts.append(Start(lifted, setting, None, offer))
    return starts


def guided_target_s(problem: Problem, bound: Bound, part: float) -> FloatArray | None:
    """Return when each task should end so that this part of its work is done as in the relaxation.

    None where the bound has no relaxation to read.
    """
    from autoscale.optimize import kernels

    fleet, x = bound.best.fleet, bound.best.x
    if fleet is None or x is None:
        return None
    w, groups = problem.workflow, fleet.groups
    done = np.zeros((len(groups), fleet.edges.size - 1))
    np.add.at(done, (fleet.group, fleet.bucket), x[fleet.x])
    last = np.argmax(np.cumsum(done, axis=1) >= part * done.sum(axis=1, keepdims=True), axis=1)
    finished = fleet.edges[last + 1][groups.of_task]
    target: FloatArray = kernels.consistent_targets(
        w.parent_ptr,
        w.parents,
        w.child_ptr,
        w.children,
        problem.fastest_s,
        np.minimum(finished, bound.windows.latest_end_s),
    )
    return problem.boot_s + target
