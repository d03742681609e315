"""Decisions -> Plan: the only code that computes start times.

A scheduler decides which leases exist (by type), which task goes to which lease, and in which
order; :func:`decode` starts every task as early as that allows, requests each lease just in time,
releases it after its last task, and cuts a lease in two where an idle gap costs more than a
second boot. :func:`tighten` moves tasks within their slack so that leases become shorter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.model.arrays import FloatArray, Int32Array, IntArray, frozen
from autoscale.plan.plan import Plan

if TYPE_CHECKING:
    from autoscale.model.problem import Problem

TIGHTEN_ROUNDS = 4
"""Backward-forward rounds after which :func:`tighten` stops; it rarely needs more than two."""


def needs(problem: Problem) -> IntArray:
    """Return what tasks hold: vCPUs, bytes, GPUs; shape (tasks, 3)."""
    w = problem.workflow
    return frozen(np.stack([w.vcpus, w.memory_bytes, w.gpus], axis=1), np.int64)


def capacities(problem: Problem) -> IntArray:
    """Return what instance types have: vCPUs, whole bytes, GPUs; shape (types, 3)."""
    c = problem.catalog
    return frozen(np.stack([c.vcpus, np.floor(c.memory_bytes), c.gpus], axis=1), np.int64)


def keeps_quotas(plan: Plan) -> bool:
    """Return whether no quota is exceeded at any moment."""
    from autoscale.plan import kernels

    problem = plan.problem
    return not problem.quotas or bool(
        kernels.keeps_quotas(
            plan.lease_start_s,
            plan.lease_end_s,
            problem.quota_weights[plan.lease_type],
            problem.quota_limits,
        )
    )


def decode(
    problem: Problem,
    lease_type: Any,
    task_lease: Any,
    order: Any,
    *,
    not_before_s: FloatArray | None = None,
) -> Plan:
    """Return the plan that the decisions stand for.

    Parameters
    ----------
    problem
        What is planned.
    lease_type
        Index into the catalogue of each lease, shape (leases,).
    task_lease
        Each task's lease, shape (tasks,).
    order
        A topological order of the tasks; of two tasks that want the same room, the first in the
        order gets it.
    not_before_s
        Earliest start of each task, shape (tasks,); boot time if None.
    """
    lease_type = np.asarray(lease_type, dtype=np.int32)
    task_lease = np.asarray(task_lease, dtype=np.int32)
    duration = problem.durations_on(lease_type[task_lease])
    floor = np.full(len(problem.workflow), problem.boot_s)
    if not_before_s is not None:
        floor = np.maximum(floor, not_before_s)
    start = _forward(problem, lease_type, task_lease, np.asarray(order), duration, floor)
    return _with_leases(problem, lease_type, task_lease, start, start + duration)


def tighten(plan: Plan) -> Plan:
    """Return a plan at most as dear, by moving tasks late and then early within their slack.

    The backward pass starts every task as late as its children, its lease's release and the
    deadline allow, the forward pass as early as its parents and its lease's request allow
    (justification, as in Valls, Ballestin and Quintanilla, EJOR 165(2), 2005). No lease grows.
    """
    best = plan
    for _ in range(TIGHTEN_ROUNDS):
        tried = _justified(best)
        if not (tried.cost_usd < best.cost_usd - 1e-9 and keeps_quotas(tried)):
            break
        best = tried
    return best


def _justified(plan: Plan) -> Plan:
    problem, w = plan.problem, plan.problem.workflow
    from autoscale.plan import kernels

    duration = plan.task_end_s - plan.task_start_s
    index = np.arange(len(w))
    capacity = capacities(problem)[plan.lease_type]
    # Backward = forward in mirrored time: children are parents, ends are starts.
    mirrored = kernels.place(
        np.lexsort((-index, -plan.task_end_s, -plan.task_start_s)),
        plan.task_lease,
        duration,
        -plan.lease_end_s[plan.task_lease],
        w.child_ptr,
        w.children,
        needs(problem),
        capacity,
    )
    late = -(mirrored + duration)
    lease_ready = np.full(plan.n_leases, np.inf)
    np.minimum.at(lease_ready, plan.task_lease, late)
    floor = np.maximum(lease_ready[plan.task_lease], problem.boot_s)
    order = np.lexsort((index, late))
    exact = problem.durations_on(plan.lease_type[plan.task_lease])
    start = _forward(problem, plan.lease_type, plan.task_lease, order, exact, floor)
    moved = _with_leases(problem, plan.lease_type, plan.task_lease, start, start + exact)
    grew = moved.makespan_s > max(plan.makespan_s, problem.deadline_s or 0.0)
    return plan if grew else moved.replace(certificate=plan.certificate, provenance=plan.provenance)


def _forward(
    problem: Problem,
    lease_type: Int32Array,
    task_lease: Int32Array,
    order: Any,
    duration: FloatArray,
    floor: FloatArray,
) -> FloatArray:
    from autoscale.plan import kernels

    w = problem.workflow
    start: FloatArray = kernels.place(
        np.ascontiguousarray(order, dtype=np.int64),
        np.ascontiguousarray(task_lease),
        np.ascontiguousarray(duration),
        np.ascontiguousarray(floor, dtype=np.float64),
        w.parent_ptr,
        w.parents,
        needs(problem),
        capacities(problem)[lease_type],
    )
    return start


def _with_leases(
    problem: Problem,
    lease_type: Int32Array,
    task_lease: Int32Array,
    start: FloatArray,
    end: FloatArray,
) -> Plan:
    """Split leases at dear idle gaps, drop empty ones, number the rest by start."""
    lease = _split_at_gaps(problem, lease_type, task_lease, start, end)
    used, first_member, lease = np.unique(lease, return_index=True, return_inverse=True)
    types = lease_type[task_lease[first_member]]
    first = np.full(used.size, np.inf)
    last = np.zeros(used.size)
    np.minimum.at(first, lease, start)
    np.maximum.at(last, lease, end)
    requested = np.maximum(first - problem.boot_s, 0.0)
    order = np.lexsort((np.arange(used.size), types, requested))
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return Plan(
        problem=problem,
        lease_type=frozen(types[order], np.int32),
        lease_start_s=frozen(requested[order], np.float64),
        lease_end_s=frozen(last[order], np.float64),
        task_lease=frozen(rank[lease], np.int32),
        task_start_s=frozen(start, np.float64),
        task_end_s=frozen(end, np.float64),
    )


def _split_at_gaps(
    problem: Problem,
    lease_type: Int32Array,
    task_lease: Int32Array,
    start: FloatArray,
    end: FloatArray,
) -> IntArray:
    """Return lease numbers in which a lease is cut wherever a second boot is cheaper.

    Cuts are chosen left to right: a cut is made when the two parts, billed apart, cost less.
    """
    order = np.lexsort((start, task_lease))
    lease_of = task_lease[order].astype(np.int64)
    new_lease = np.ones(order.size, dtype=bool)
    new_lease[1:] = lease_of[1:] != lease_of[:-1]
    # Running end of everything before, restarted at each lease (times are below 1e15 s).
    horizon = float(end.max(initial=0.0)) + 1.0
    running = np.maximum.accumulate(end[order] + lease_of * horizon) - lease_of * horizon
    gap = np.zeros(order.size)
    gap[1:] = start[order][1:] - running[:-1]
    number = np.cumsum(new_lease) - 1
    wide = np.flatnonzero(~new_lease & (gap > problem.boot_s))
    if wide.size == 0:
        return task_lease.astype(np.int64)
    cut = np.zeros(order.size, dtype=np.int64)
    bounds = np.append(np.flatnonzero(new_lease), order.size)
    begun: dict[int, float] = {}
    for x in wide:
        part = int(number[x])
        begin = begun.get(part, float(start[order[bounds[part]]]))
        last = float(running[bounds[part + 1] - 1])
        held = (running[x - 1] - begin, last - start[order[x]], last - begin)
        apart_a, apart_b, whole = (problem.billing.billed_s(h + problem.boot_s) for h in held)
        if apart_a + apart_b < whole - 1e-9:
            cut[x] = 1
            begun[part] = float(start[order[x]])
    lease = np.empty(order.size, dtype=np.int64)
    lease[order] = number + np.cumsum(cut)
    return lease
