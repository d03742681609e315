"""Task by task against sub-deadlines: the allocators of IC-PCPD2, ProLiS, Greedy and GAIN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.model.arrays import frozen
from autoscale.plan.decode import capacities, decode, needs
from autoscale.schedulers.leasing.instance import instance, plan_of
from autoscale.schedulers.list_scheduler import LARGE_TASKS

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

LEAST, EXISTING_FIRST, ALWAYS_NEW = 0, 1, 2
"""Rules of choice, see ``kernels.allocate``."""


def allocated(
    problem: Problem,
    order: Any,
    limit_s: FloatArray,
    *,
    rule: int = LEAST,
    only: IntArray | None = None,
    edge_s: FloatArray | None = None,
) -> Plan:
    """Return the plan that places tasks in order, each where it is cheapest by its sub-deadline.

    Above ``LARGE_TASKS`` tasks, and where no data travel, places are looked up by time instead of
    all compared, and the cheaper of an existing and a new lease is taken under either rule that
    knows existing ones.

    Parameters
    ----------
    problem
        What is planned.
    order
        A topological order of the tasks.
    limit_s
        Each task's sub-deadline, seconds.
    rule
        ``LEAST``, ``EXISTING_FIRST`` or ``ALWAYS_NEW``.
    only
        Per task, the one type that it may go to, or -1; any by default.
    edge_s
        Seconds that data take between leases, aligned with ``workflow.parents``; zero by default.
    """
    from autoscale.schedulers.subdeadline import kernels

    order = np.ascontiguousarray(order, dtype=np.int64)
    if len(problem.workflow) > LARGE_TASKS and rule != ALWAYS_NEW and edge_s is None:
        return by_time(problem, order, limit_s, only)
    x = instance(problem, edge_s)
    if only is None:
        only = np.full(len(problem.workflow), -1, dtype=np.int64)
    ranking = kernels.new_lease_ranking(x)
    return plan_of(problem, kernels.allocate(x, order, limit_s, ranking, rule, only))


def by_time(
    problem: Problem, order: IntArray, limit_s: FloatArray, only: IntArray | None = None
) -> Plan:
    """Return the plan of the large list scheduler, which looks places up by time."""
    from autoscale.schedulers.large import kernels

    w = problem.workflow
    task_class, duration = problem.task_class, problem.duration_s
    if only is not None:
        pairs, task_class = np.unique(
            task_class.astype(np.int64) * len(problem.catalog) + only, return_inverse=True
        )
        row, kind = np.divmod(pairs, len(problem.catalog))
        allowed = np.full((pairs.size, len(problem.catalog)), np.inf)
        allowed[np.arange(pairs.size), kind] = duration[row, kind]
        task_class, duration = frozen(task_class, np.int32), frozen(allowed, np.float64)
    task_lease, lease_type, start = kernels.list_schedule_large(
        order, limit_s, task_class, duration, -1,
        w.parent_ptr, w.parents, needs(problem), capacities(problem),
        problem.catalog.price_per_s, 0.0, problem.boot_s,
        problem.billing.quantum_s, problem.billing.minimum_s,
    )  # fmt: skip
    placed = np.lexsort((np.arange(len(w)), start))
    return decode(problem, lease_type, task_lease, placed, not_before_s=start)
