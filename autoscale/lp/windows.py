"""Time buckets, and tasks grouped by what a fluid model cannot tell apart.

Times here count from the moment at which a lease requested at submission is ready (t = boot).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.lp.work import FORGIVEN
from autoscale.model.arrays import number_rows

if TYPE_CHECKING:
    from autoscale.lp.types import BoundTypes
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem


@dataclass(frozen=True, slots=True)
class Windows:
    """When each task can run at all: within ``[earliest_start_s, latest_end_s]``."""

    earliest_start_s: FloatArray
    latest_end_s: FloatArray

    @classmethod
    def between(
        cls,
        problem: Problem,
        horizon_s: float | FloatArray,
        start_low: FloatArray,
        start_high: FloatArray,
    ) -> Windows:
        """Return the windows when, besides, task i starts within ``[start_low, start_high]``.

        The horizon is that of all tasks, or of each.
        """
        from autoscale.lp import kernels

        w, fastest = problem.workflow, problem.fastest_s * FORGIVEN
        end_s = np.broadcast_to(horizon_s, fastest.shape).copy()
        return cls(
            kernels.earliest_starts(w.parent_ptr, w.parents, fastest, start_low),
            kernels.latest_ends(w.child_ptr, w.children, fastest, start_high, end_s),
        )


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of tasks with their common windows and total work.

    Parameters
    ----------
    of_task
        Group of each task, shape (tasks,).
    count
        Tasks in each group, shape (groups,).
    vcpus
        vCPUs that each task of the group holds.
    start_s, end_s
        Window of the group: earliest start and latest end of its tasks.
    vcpu_s
        Least vCPU-seconds that the whole group needs on each type, shape (groups, types); inf
        where no member fits or none can end in its window there.
    shortest_s
        Least duration of a member on each type, shape (groups, types).
    evenness
        Mean over largest work of a member: a share of the group's work is at least this share of
        its tasks.
    memory_s, gpu_s
        As ``vcpu_s``, for bytes and GPUs held.
    task_s
        As ``vcpu_s``, for seconds of tasks, whatever they hold.
    memory_bytes, gpus
        What each member holds at least, shape (groups,).
    """

    of_task: IntArray
    count: IntArray
    vcpus: IntArray
    start_s: FloatArray
    end_s: FloatArray
    vcpu_s: FloatArray
    memory_s: FloatArray
    gpu_s: FloatArray
    shortest_s: FloatArray
    evenness: FloatArray
    task_s: FloatArray
    memory_bytes: FloatArray
    gpus: FloatArray

    def __len__(self) -> int:
        return int(self.count.size)

    def only(self, kinds: IntArray) -> Groups:
        """Return the same groups with some of the types."""
        per_type = ("vcpu_s", "memory_s", "gpu_s", "shortest_s", "task_s")
        return replace(self, **{name: getattr(self, name)[:, kinds] for name in per_type})

    def narrowed(self, windows: Windows) -> Groups:
        """Return the same groups with the windows that their tasks have now, within the old."""
        start, end = np.full(len(self), np.inf), np.zeros(len(self))
        np.minimum.at(start, self.of_task, windows.earliest_start_s)
        np.maximum.at(end, self.of_task, windows.latest_end_s)
        return replace(
            self, start_s=np.maximum(start, self.start_s), end_s=np.minimum(end, self.end_s)
        )

    def overlap(self, edges: FloatArray) -> FloatArray:
        """Return the seconds that each group's window shares with each bucket."""
        low = np.maximum(self.start_s[:, None], edges[:-1])
        high = np.minimum(self.end_s[:, None], edges[1:])
        shared: FloatArray = np.maximum(high - low, 0.0)
        return shared


def bucket_edges(
    windows: Windows, work: FloatArray, duration_s: FloatArray, horizon_s: float, n_buckets: int
) -> FloatArray:
    """Return increasing edges from 0 to the horizon: even ones, and the busiest windows' ends.

    Half of the edges are even; the other half are the ends of windows behind which most work lies,
    so that buckets are fine where windows are short. Where three times as many even ones are enough
    to have two of them in the time of a task (half of the work is in longer ones), there are so
    many as that takes: packing cuts count only tasks that are sure to fill a bucket.
    """
    order = np.argsort(duration_s, kind="stable")
    middle = np.searchsorted(np.cumsum(work[order]), 0.5 * work.sum())
    typical_s = max(float(duration_s[order[min(middle, order.size - 1)]]), 1e-9 * horizon_s)
    wanted = np.ceil(2.02 * horizon_s / typical_s)
    count = int(wanted) if n_buckets // 2 < wanted <= 1.5 * n_buckets else n_buckets // 2
    even = np.linspace(0.0, horizon_s, count + 1)
    ends = np.concatenate([windows.earliest_start_s, windows.latest_end_s])
    weight = np.tile(work, 2)
    least = horizon_s / (8 * n_buckets)
    slot = np.round(ends / least).astype(np.int64)
    _, inverse = np.unique(slot, return_inverse=True)
    mass = np.bincount(inverse, weights=weight)
    centre = np.bincount(inverse, weights=weight * ends) / np.maximum(mass, 1e-300)
    chosen = centre[np.argsort(-mass, kind="stable")[: n_buckets - n_buckets // 2]]
    edges: FloatArray = np.unique(np.clip(np.concatenate([even, chosen]), 0.0, horizon_s))
    keep = np.append(True, np.diff(edges) > least)
    edges = edges[keep]
    edges[-1] = horizon_s
    return edges


def group_tasks(
    problem: Problem,
    types: BoundTypes,
    windows: Windows,
    edges: FloatArray,
    max_groups: int,
    singles: IntArray,
    apart: IntArray | None = None,
) -> Groups:
    """Return groups of tasks that share buckets, duration within a step, and what they hold.

    The step grows until there are at most ``max_groups`` groups (or it is as coarse as it gets).
    The tasks ``singles`` stay alone, and tasks with different numbers ``apart`` do not meet.
    """
    duration = types.duration_s[problem.task_class]
    window = windows.latest_end_s - windows.earliest_start_s
    allowed = duration <= window[:, None] * (1 + 1e-9) + 1e-9
    keys = _static_keys(problem, duration, allowed)
    alone = np.zeros(len(problem.workflow), dtype=np.int64)
    alone[singles] = np.arange(1, singles.size + 1)
    apart = np.zeros_like(alone) if apart is None else apart
    first = np.searchsorted(edges, windows.earliest_start_s + 1e-9, side="right") - 1
    last = np.searchsorted(edges, windows.latest_end_s - 1e-9, side="left")
    for step, shift in ((1.1, 0), (1.25, 0), (1.5, 0), (1.5, 1), (2.0, 2), (4.0, 3), (1e9, 4)):
        logs = np.round(np.log(np.maximum(keys[0], 1e-6)) / np.log(step)).astype(np.int64)
        ratio = np.round(np.log(np.maximum(keys[1], 1e-6)) / np.log(step)).astype(np.int64)
        columns = [first >> shift, last >> shift, logs, ratio, *keys[2:], alone, apart]
        of_task, member = number_rows(columns)
        if member.size <= max_groups:
            break
    # By their keys, so that the order of the tasks does not show in the model.
    rank = np.argsort(np.lexsort([column[member] for column in reversed(columns)]))
    return _gather(problem, rank[of_task], windows, duration, allowed)


def _static_keys(problem: Problem, duration: FloatArray, allowed: Any) -> list[Any]:
    w = problem.workflow
    fastest = np.where(allowed, duration, np.inf).min(axis=1)
    slowest = np.where(np.isfinite(duration), duration, 0.0).max(axis=1)
    packed = np.packbits(allowed, axis=1)
    masks = _sorted_numbers([packed[:, j] for j in range(packed.shape[1])])
    needs = _sorted_numbers([w.vcpus, w.memory_bytes // 2**28, w.gpus])
    return [fastest, slowest / np.maximum(fastest, 1e-9), masks, needs]


def _sorted_numbers(columns: list[Any]) -> IntArray:
    """Return the number of each row by the rows' order: ``numpy.unique`` in linear time."""
    number, member = number_rows(columns)
    rank = np.argsort(np.lexsort([column[member] for column in reversed(columns)]))
    out: IntArray = rank[number]
    return out


def _gather(
    problem: Problem, of_task: IntArray, windows: Windows, duration: FloatArray, allowed: Any
) -> Groups:
    from autoscale.lp import kernels

    w, n_groups = problem.workflow, int(of_task.max()) + 1
    start = np.full(n_groups, np.inf)
    end = np.zeros(n_groups)
    vcpus = np.full(n_groups, np.iinfo(np.int64).max)
    np.minimum.at(start, of_task, windows.earliest_start_s)
    np.maximum.at(end, of_task, windows.latest_end_s)
    np.minimum.at(vcpus, of_task, w.vcpus)
    # Work is measured on each task's own shortest duration; a share of the group's work done on a
    # type takes at least that share of (work x least ratio), whichever tasks it consists of.
    base = np.maximum(np.where(allowed, duration, np.inf).min(axis=1), 1e-9)
    work = base * w.vcpus
    count = np.bincount(of_task, minlength=n_groups)
    largest = np.zeros(n_groups)
    np.maximum.at(largest, of_task, work)
    shortest = kernels.least_by_group(of_task, n_groups, duration, allowed, np.ones(len(w)))
    total = np.bincount(of_task, weights=work, minlength=n_groups)
    resource: list[FloatArray] = [
        kernels.least_by_group(of_task, n_groups, duration, allowed, need / work) * total[:, None]
        for need in (w.vcpus, w.memory_bytes, w.gpus, np.ones(len(w)))
    ]
    held = np.full((2, n_groups), np.inf)
    np.minimum.at(held[0], of_task, w.memory_bytes)
    np.minimum.at(held[1], of_task, w.gpus)
    return Groups(
        of_task=of_task,
        count=count,
        vcpus=vcpus,
        start_s=start,
        end_s=end,
        vcpu_s=resource[0],
        memory_s=resource[1],
        gpu_s=resource[2],
        shortest_s=shortest,
        evenness=total / (count * largest),
        task_s=resource[3],
        memory_bytes=held[0],
        gpus=held[1],
    )
