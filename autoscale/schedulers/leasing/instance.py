"""A problem as the arrays that the schedulers' kernels take, and kernels' results as plans.

The papers have a task wait for data that another machine produced, and not on its own. The
execution model moves data through the object store instead, inside a task's duration, so
``edge_s`` is zero there; a paper's own example passes its times, one instance of one vCPU a
machine, no boot, and its durations through ``Problem.durations_s``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autoscale.model.arrays import FloatArray, Int32Array, IntArray, frozen
from autoscale.plan.decode import capacities, decode, needs

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan


class Instance(NamedTuple):
    """A problem for compiled kernels; tasks are numbered topologically.

    ``parents[parent_ptr[i]:parent_ptr[i + 1]]`` are the parents of task ``i``, ``edge_s`` (aligned
    with ``parents``) the seconds that their data take to another lease; ``children``,
    ``child_edge_s`` likewise. ``duration[task_class[i], k]`` is how long the task holds a lease of
    type ``k``, inf where unfit; ``need[i]`` and ``capacity[k]`` are vCPUs, bytes, GPUs;
    ``price`` is USD per second. ``deadline`` and ``budget`` are inf where not given.
    """

    parent_ptr: IntArray
    parents: Int32Array
    edge_s: FloatArray
    child_ptr: IntArray
    children: Int32Array
    child_edge_s: FloatArray
    task_class: Int32Array
    duration: FloatArray
    need: IntArray
    capacity: IntArray
    price: FloatArray
    boot: float
    quantum: float
    minimum: float
    deadline: float
    budget: float


class Leases(NamedTuple):
    """Leases filled so far, for compiled kernels.

    The first ``opened[0]`` entries of ``kind`` (type), ``first`` and ``last`` (start of the first
    and end of the last task; inf and -inf while empty) and ``paid`` (USD) are in use. ``lease``
    is each task's lease or -1, ``start`` and ``finish`` its times. ``head[l]`` is the last task
    that was placed on lease ``l``, ``link[i]`` the one placed before task ``i`` there; -1 ends.
    ``pool`` holds the leases' resource profiles (``autoscale.plan.kernels``).
    """

    kind: Int32Array
    first: FloatArray
    last: FloatArray
    paid: FloatArray
    opened: IntArray
    lease: Int32Array
    start: FloatArray
    finish: FloatArray
    head: Int32Array
    link: Int32Array
    pool: Any


def instance(problem: Problem, edge_s: FloatArray | None = None) -> Instance:
    """Return the problem as arrays.

    Parameters
    ----------
    problem
        What is planned.
    edge_s
        Seconds that each edge's data take to another lease, aligned with ``workflow.parents``;
        zero by default, as in the execution model.
    """
    w = problem.workflow
    edges = np.zeros(w.n_edges) if edge_s is None else np.asarray(edge_s, dtype=np.float64)
    return Instance(
        parent_ptr=w.parent_ptr,
        parents=w.parents,
        edge_s=frozen(edges, np.float64),
        child_ptr=w.child_ptr,
        children=w.children,
        child_edge_s=frozen(edges[_edges_by_parent(problem)], np.float64),
        task_class=problem.task_class,
        duration=problem.duration_s,
        need=needs(problem),
        capacity=capacities(problem),
        price=frozen(problem.catalog.price_per_s, np.float64),
        boot=float(problem.boot_s),
        quantum=float(problem.billing.quantum_s),
        minimum=float(problem.billing.minimum_s),
        deadline=math.inf if problem.deadline_s is None else float(problem.deadline_s),
        budget=math.inf if problem.budget_usd is None else float(problem.budget_usd),
    )


def _edges_by_parent(problem: Problem) -> IntArray:
    """Return which edge of ``workflow.parents`` each entry of ``workflow.children`` is."""
    w = problem.workflow
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    order: IntArray = np.lexsort((child, w.parents))
    return order


def edge_times(problem: Problem, seconds: dict[tuple[str, str], float]) -> FloatArray:
    """Return ``edge_s`` from seconds by (parent id, child id), for published examples."""
    w = problem.workflow
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    ids = w.ids.tolist()
    pairs = zip(w.parents.tolist(), child.tolist(), strict=True)
    return np.array([float(seconds[ids[p], ids[c]]) for p, c in pairs], dtype=np.float64)


def mean_durations_s(problem: Problem, fleet: Any = None) -> FloatArray:
    """Return each task's mean duration over the types that it fits, shape (tasks,).

    Parameters
    ----------
    problem
        What is planned.
    fleet
        Catalogue indices of leases to take the mean over, repeated as often as leased; every type
        once if None.
    """
    # Weighted by how often a type is leased: fleets of thousands are no wider than their types.
    leases = np.arange(problem.duration_s.shape[1]) if fleet is None else np.asarray(fleet)
    kinds, leased = np.unique(leases, return_counts=True)
    duration = problem.duration_s[:, kinds]
    fits = np.isfinite(duration)
    total = (np.where(fits, duration, 0.0) * leased).sum(axis=1)
    out: FloatArray = (total / np.maximum((fits * leased).sum(axis=1), 1))[problem.task_class]
    return out


def plan_of(problem: Problem, leases: Leases) -> Plan:
    """Return the plan that the leases hold, every task at the start it has there.

    A lease is cut where an idle gap costs more than another boot (see ``decode``): the only
    change to what a kernel decided, and never a dearer one.
    """
    from autoscale.schedulers.kernels import push_down

    w, start = problem.workflow, leases.start
    # Within kernels' tolerance a task may start before a parent that takes no time.
    after_parents = np.array(start)
    push_down(w.parent_ptr, w.parents, after_parents)
    order = np.lexsort((np.arange(len(start)), after_parents))
    kind = leases.kind[: int(leases.opened[0])]
    return decode(problem, kind, leases.lease, order, not_before_s=start)
