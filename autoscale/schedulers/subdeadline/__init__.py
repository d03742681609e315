"""Task by task against sub-deadlines: the allocators of IC-PCPD2, ProLiS, Greedy and GAIN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.schedulers.leasing.instance import instance, plan_of

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

    x = instance(problem, edge_s)
    if only is None:
        only = np.full(len(problem.workflow), -1, dtype=np.int64)
    order = np.ascontiguousarray(order, dtype=np.int64)
    ranking = kernels.new_lease_ranking(x)
    return plan_of(problem, kernels.allocate(x, order, limit_s, ranking, rule, only))
