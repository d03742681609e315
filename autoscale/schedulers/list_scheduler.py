"""List scheduling with insertion on heterogeneous multi-vCPU leases, against sub-deadlines.

Every task gets a target, the time by which it should end, such that meeting all targets meets the
deadline. Tasks are taken by latest start; each goes where it adds least cost and still meets its
target: into a gap of a lease, at either end of one, or onto a new lease of the cheapest type that
is fast enough. How the slack between the critical path and the deadline is shared among the tasks
decides the cost, so several ways are tried and the cheapest plan is kept.

A list scheduler in the family of HEFT (Topcuoglu, Hariri and Wu, TPDS 13(3), 2002) with the
cost-driven choice of IC-PCPD2 and ProLiS (Abrishami et al., FGCS 29, 2013; Wu et al., TPDS 28(12),
2017); the targets by bisection on a common stretch are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.model import graph
from autoscale.model.arrays import frozen
from autoscale.plan.decode import capacities, decode, keeps_quotas, needs, tighten
from autoscale.schedulers.about import About

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="list scheduling with insertion against shared-out slack, cheapest placement first",
)

LARGE_TASKS = 5_000
"""Above this many tasks, places are looked up by time instead of all compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the list scheduler weighs a placement.

    Parameters
    ----------
    share_power
        Discount of added cost by the share of the machine that a task takes: 0 charges a new
        machine wholly to its first task, 1 assumes that others will fill the rest.
    prefer
        Catalogue index of a type that new leases take wherever it is fast enough, or -1.
    """

    share_power: float = 0.0
    prefer: int = -1


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the cheapest of a few list schedules; without a deadline, time is free.

    Parameters
    ----------
    problem
        What is planned. A budget plays no part here.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Not used: the algorithm ends by itself, soon.
    """
    settings = [Setting(share_power=power) for power in (0.0, 0.5, 1.0)]
    large = len(problem.workflow) > LARGE_TASKS
    types = [None if large else new_type_order(problem, setting) for setting in settings]
    plans = []
    for weight in slack_weights(problem):
        target = targets_s(problem, weight)
        plans += [
            list_plan(problem, target, setting, new_types=new_types)
            for setting, new_types in zip(settings, types, strict=True)
        ]
    best = min(plans, key=lambda plan: (lateness_s(plan), plan.cost_usd))
    return tighten(best)


def lateness_s(plan: Plan) -> float:
    """Return by how much the plan misses its deadline, 0 within the tolerance of the model.

    Infinite where it exceeds a quota: then no later deadline would help.
    """
    if not keeps_quotas(plan):
        return np.inf
    late = -plan.slack_s
    return late if late > 1e-6 else 0.0


def slack_weights(problem: Problem) -> tuple[FloatArray | None, ...]:
    """Return ways to share slack: to all at once, by run time, and equally by task."""
    mean = max(float(problem.fastest_s.mean()), 1e-9)
    n = len(problem.workflow)
    return (None, np.ones(n), mean / np.maximum(problem.fastest_s, 1e-3 * mean))


def targets_s(problem: Problem, weight: FloatArray | None) -> FloatArray:
    """Return when each task should end, seconds.

    Parameters
    ----------
    problem
        The problem; without a deadline every target is infinite.
    weight
        Per task, how much of the slack it deserves relative to its duration on its fastest type;
        None lets every task use all the slack there is (latest finish times).
    """
    from autoscale.schedulers import kernels

    w, fastest = problem.workflow, problem.fastest_s
    if problem.deadline_s is None:
        return np.full(len(w), np.inf)
    if weight is None:
        return graph.latest_finish_s(w, fastest, problem.deadline_s)
    tail: FloatArray = kernels.share_slack(
        w.child_ptr, w.children, fastest, weight, problem.deadline_s - problem.boot_s
    )
    return problem.deadline_s - tail


def list_plan(
    problem: Problem,
    target_s: FloatArray,
    setting: Setting,
    *,
    order_by: FloatArray | None = None,
    new_types: Any = None,
) -> Plan:
    """Return one list schedule against the given targets.

    Parameters
    ----------
    problem
        What is planned.
    target_s
        When each task should end, seconds, shape (tasks,).
    setting
        How placements are weighed.
    order_by
        Tasks are taken in this order, ascending, as far as precedence allows; latest start times
        by default.
    new_types
        What :func:`new_type_order` returns for the setting, where it is at hand; not needed
        above ``LARGE_TASKS``.
    """
    w = problem.workflow
    if order_by is None:
        order_by = -graph.upward_rank_s(w, problem.fastest_s)
        if np.isfinite(target_s).all():
            order_by = target_s - problem.fastest_s
    task_lease, lease_type, start = _placed(
        problem, topological_order(problem, order_by), target_s, setting, new_types
    )
    order = np.lexsort((np.arange(len(w)), start))
    return decode(problem, lease_type, task_lease, order, not_before_s=start)


def _placed(
    problem: Problem, order: Any, target_s: FloatArray, setting: Setting, new_types: Any
) -> Any:
    """Return (lease of each task, type of each lease, starts) from the kernel for the size."""
    if len(problem.workflow) > LARGE_TASKS and not problem.quotas:
        return placed_by_time(problem, order, target_s, setting)
    from autoscale.schedulers import kernels

    if new_types is None:
        new_types = new_type_order(problem, setting)
    tasks = (order, target_s, problem.task_class, problem.duration_s, new_types)
    quotas = quota_arrays(problem)
    everything: tuple[Any, ...] = (*tasks, *_shared(problem, setting), *quotas)
    return kernels.list_schedule(*everything)


def placed_by_time(problem: Problem, order: Any, target_s: FloatArray, setting: Setting) -> Any:
    """Return what the list scheduler decides, from the kernel that looks places up by time."""
    from autoscale.schedulers.large import kernels as large

    tasks = (order, target_s, problem.task_class, problem.duration_s)
    return large.list_schedule_large(*tasks, setting.prefer, *_shared(problem, setting))


def quota_arrays(problem: Problem) -> tuple[IntArray, IntArray]:
    """Return weights (types, quotas) and limits (quotas,)."""
    return frozen(problem.quota_weights, np.int64), frozen(problem.quota_limits, np.int64)


def _shared(problem: Problem, setting: Setting) -> tuple[Any, ...]:
    """Return what both kernels want to know of tasks, types and billing."""
    w, billing = problem.workflow, problem.billing
    return (
        *(w.parent_ptr, w.parents, needs(problem), capacities(problem)),
        problem.catalog.price_per_s,
        setting.share_power,
        problem.boot_s,
        billing.quantum_s,
        billing.minimum_s,
    )


def topological_order(problem: Problem, key: FloatArray) -> Any:
    """Return the tasks by ascending key, each after its parents."""
    from autoscale.schedulers import kernels

    w = problem.workflow
    # A key raised to its parents' largest sorts after them; equal keys go by level.
    raised = np.array(key, dtype=np.float64)
    kernels.push_down(w.parent_ptr, w.parents, raised)
    return np.lexsort((np.arange(len(w)), w.level, raised))


def new_type_order(problem: Problem, setting: Setting) -> Any:
    """Return, per class, the types in the order in which a new lease is tried; -1 ends a row."""
    duration = problem.duration_s
    w, member = problem.workflow, problem.class_member
    held = duration + problem.boot_s
    share = (w.vcpus[member, None] / problem.catalog.vcpus) ** setting.share_power
    finite = np.isfinite(duration)
    billed = problem.billing.billed_array_s(np.where(finite, held, 0.0))
    score = np.where(finite, billed * problem.catalog.price_per_s * share, np.inf)
    if setting.prefer >= 0:
        score[finite[:, setting.prefer], setting.prefer] = 0.0
    ranked = np.lexsort((duration, score), axis=1).astype(np.int32)
    ranked[~np.take_along_axis(finite, ranked, axis=1)] = -1
    if problem.quotas:  # a type that is cheaper and faster may have to wait for its quota
        return ranked
    return _only_faster(ranked, duration)


def _only_faster(ranked: Any, duration: FloatArray) -> Any:
    """Keep, of each row, the types that are faster than every cheaper one: the others never win."""
    held = np.where(
        ranked >= 0, np.take_along_axis(duration, np.maximum(ranked, 0), axis=1), np.inf
    )
    best = np.minimum.accumulate(held, axis=1)
    useful = np.ones_like(ranked, dtype=bool)
    useful[:, 1:] = held[:, 1:] < best[:, :-1]
    useful &= ranked >= 0
    width = int(useful.sum(axis=1).max())
    out = np.full((len(ranked), width), -1, dtype=np.int32)
    rows, columns = np.nonzero(useful)
    within = np.arange(rows.size) - np.repeat(
        np.cumsum(useful.sum(axis=1)) - useful.sum(axis=1), useful.sum(axis=1)
    )
    out[rows, within] = ranked[rows, columns]
    return out
