"""What is open: the jobs that have arrived, and which of their tasks have just become ready.

A call costs as much as has changed: a job whose statuses are the bytes they were is left alone.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.policies.protocol import READY

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.policies.protocol import ClusterState, JobView


class OpenJob:
    """A job that has arrived and not ended, with its tasks' needs as plain lists.

    Parameters
    ----------
    view
        As the cluster shows it.

    Attributes
    ----------
    due_s
        When all of it should have ended, on the clock of the cluster; infinite without a deadline.
    table_s
        How long tasks of each class hold each type, shape (classes, types), infinite where unfit.
        Spot types count only for what fits no other: they may never be granted.
    """

    def __init__(self, view: JobView) -> None:
        problem = view.job.problem
        w = problem.workflow
        self.view, self.problem = view, problem
        self.number, self.first, self.priority = view.number, view.first, view.job.priority
        self.arrival_s = view.job.arrival_s
        deadline_s = problem.deadline_s
        self.due_s = math.inf if deadline_s is None else view.job.arrival_s + deadline_s
        self.vcpus: list[int] = w.vcpus.tolist()
        self.memory: list[int] = w.memory_bytes.tolist()
        self.gpus: list[int] = w.gpus.tolist()
        self.cls: list[int] = problem.task_class.tolist()
        self.table_s = _without_spot(problem)
        self._seen = b""
        self._waits: set[int] = set()

    def __len__(self) -> int:
        return len(self.vcpus)

    def duration_s(self, i: int, kind: int) -> float:
        """Return how long task ``i`` is estimated to hold a lease of a type; inf where unfit."""
        return float(self.table_s[self.cls[i], kind])

    def confine(self, allowed: Any) -> None:
        """Leave out types, given whether each may be used, shape (types,)."""
        self.table_s = np.where(allowed, self.table_s, np.inf)

    @cached_property
    def shares(self) -> FloatArray:
        """Part of a machine of each type that a task of each class holds, (classes, types).

        The largest of its parts of the vCPUs, the memory and the GPUs, at most 1. A task that is
        alone on its machine, as in the literature, has all of one vCPU.
        """
        problem, member = self.problem, self.problem.class_member
        w, catalog = problem.workflow, problem.catalog
        parts = [
            w.vcpus[member, None] / catalog.vcpus,
            w.memory_bytes[member, None] / catalog.memory_bytes,
            w.gpus[member, None] / np.maximum(catalog.gpus, 0.5),
        ]
        out: FloatArray = np.minimum(np.maximum.reduce(parts), 1.0)
        return out

    def usd(self, *, shared: bool = True) -> FloatArray:
        """Return price times duration, USD, shape (classes, types); infinite where unfit.

        Of types that cost the same, the smaller one counts as a billionth cheaper.

        Parameters
        ----------
        shared
            Whether the rest of the machine serves others, so that a task pays for its share only.
        """
        price = self.problem.catalog.price_per_s
        finite = np.isfinite(self.table_s)
        held_s = np.where(finite, self.table_s, 0.0)
        held_s = held_s * self.shares if shared else held_s
        out: FloatArray = np.where(finite, held_s * price * (1 + 1e-9 * 3600 * price), np.inf)
        return out

    def expected_end_s(self, i: int, kind: int, now_s: float) -> float:
        """Return when running task ``i`` should end, now at the earliest."""
        held_s = float(self.problem.duration_s[self.cls[i], kind])
        return max(now_s, float(self.view.start_s[i]) + held_s)

    def freshly_ready(self) -> list[int]:
        """Return the tasks that became ready since the last call of this."""
        seen = self.view.status.tobytes()
        if seen == self._seen:
            return []
        self._seen = seen
        ready = (self.view.status == READY).nonzero()[0].tolist()
        fresh = [i for i in ready if i not in self._waits]
        self._waits = set(ready)
        return fresh

    def placed(self, i: int) -> None:
        """Take note that a task went to a lease: if it is lost there, it becomes ready afresh."""
        self._seen = b""
        self._waits.discard(i)


class Work:
    """The open jobs, kept current from call to call.

    Attributes
    ----------
    jobs
        By number, in the order of arrival.
    arrived
        Those of them that are new in this call.
    fresh
        Tasks that became ready, or lost their lease, since the last call: (job, task).
    """

    def __init__(self) -> None:
        self.jobs: dict[int, OpenJob] = {}
        self.arrived: list[OpenJob] = []
        self.ended: list[OpenJob] = []
        self.fresh: list[tuple[OpenJob, int]] = []

    def look(self, state: ClusterState) -> None:
        """Take note of what has changed."""
        self.arrived, self.fresh = [], []
        for view in state.jobs:
            job = self.jobs.get(view.number)
            if job is None:
                job = self.jobs[view.number] = OpenJob(view)
                self.arrived.append(job)
            self.fresh += [(job, i) for i in job.freshly_ready()]
        self.ended = []
        if len(self.jobs) > len(state.jobs):
            still = {view.number for view in state.jobs}
            self.ended = [job for number, job in self.jobs.items() if number not in still]
            for job in self.ended:
                del self.jobs[job.number]

    def at(self, task: int) -> tuple[OpenJob, int]:
        """Return the open job of a task, and its index there."""
        firsts = [job.first for job in self.jobs.values()]
        job = list(self.jobs.values())[bisect_right(firsts, task) - 1]
        return job, task - job.first


def _without_spot(problem: Problem) -> FloatArray:
    """Return durations by class and type, infinite on spot types for what fits any other."""
    spot = np.array([t.purchase == "spot" for t in problem.catalog])
    table = problem.duration_s
    other = np.asarray(np.isfinite(table[:, ~spot]).any(axis=1))
    out: FloatArray = np.where(other[:, None] & spot, np.inf, table)
    return out
