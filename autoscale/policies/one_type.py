"""Policies that keep a fleet of one general type, as operators do.

The type is chosen when the first job arrives: the cheapest for its work on which it would end by
its deadline, were it alone, and which fits all its tasks (if none does, the one that fits most).
What does not fit it runs on the cheapest type that it fits, one lease for each machine's worth that
waits. Tasks go first come, first served.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from autoscale.model import graph
from autoscale.policies.autoscaler import Autoscaler
from autoscale.policies.loads import EPS

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob


def general_type(job: OpenJob) -> int:
    """Return the type of a general fleet; see the module."""
    w, problem = job.problem.workflow, job.problem
    table = job.table_s[problem.task_class]
    unfit = (~np.isfinite(table)).sum(axis=0)
    usd = np.where(np.isfinite(table), job.usd()[problem.task_class], 0.0).sum(axis=0)
    late = np.zeros(len(problem.catalog), dtype=bool)
    if problem.deadline_s is not None:
        for kind in np.flatnonzero(unfit == unfit.min()).tolist():
            held = np.where(np.isfinite(table[:, kind]), table[:, kind], problem.fastest_s)
            late[kind] = graph.critical_path_s(w, held) + problem.boot_s > problem.deadline_s
    return int(np.lexsort((usd, late, unfit))[0])


class OneType(Autoscaler):
    """A fleet of one type, whose size a policy sets every interval.

    Attributes
    ----------
    general
        The type.
    """

    plans_on_arrival = False

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.general = -1
        self._wanted: list[int] = []
        self._liked: dict[int, list[int]] = {}

    @abstractmethod
    def size(self, state: ClusterState, fleet: Fleet) -> int:
        """Return how many leases of the general type there should be until the next plan."""

    def look(self, state: ClusterState) -> None:
        """Choose the general type once; find types for what does not fit it."""
        for job in self.work.ended:
            self._liked.pop(job.number, None)
        for job in self.work.arrived:
            if self.general < 0:
                self.general = general_type(job)
            fits = np.isfinite(job.table_s[:, self.general])
            self._liked[job.number] = np.where(
                fits, self.general, np.argmin(job.usd(), axis=1)
            ).tolist()

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Set the size of the fleet."""
        waiting = self.waiting(state, fleet)
        busy = busy_shares(state)
        self._wanted = [math.ceil(n + b - EPS) for n, b in zip(waiting, busy, strict=True)]
        self._wanted[self.general] = self.size(state, fleet)

    def waiting(self, state: ClusterState, fleet: Fleet) -> list[float]:
        """Return how many machines of each type all that waits would fill at once."""
        out = [0.0] * len(state.catalog)
        for job, i, kind in self.each_waiting():
            out[kind] += float(job.shares[job.cls[i], kind])
        return out

    def each_waiting(self) -> list[tuple[OpenJob, int, int]]:
        """Return what is ready and has no lease: (job, task, type)."""
        queued = [(job, i) for _, _, job, i in self.queue.items()]
        return [(job, i, self.types_of(job, i)[0]) for job, i in queued + self.work.fresh]

    def waiting_work_s(self) -> float:
        """Return the machine-seconds of what waits for the general type."""
        kind = self.general
        return math.fsum(
            job.duration_s(i, kind) * float(job.shares[job.cls[i], kind])
            for job, i, k in self.each_waiting()
            if k == kind
        )

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return what was set at the last plan."""
        return self._wanted

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the general type where a task fits it, else the cheapest that it fits."""
        return [self._liked[job.number][job.cls[i]]]

    def key(self, job: OpenJob, i: int) -> Key:
        """Return the order of arrival."""
        return (float(job.number),)


def busy_shares(state: ClusterState) -> FloatArray:
    """Return how many machines of each type what runs fills, shape (types,)."""
    out = np.zeros(len(state.catalog))
    for lease in state.leases:
        if lease.running:
            kind = state.catalog.types[lease.type]
            out[lease.type] += max(
                1 - lease.free_vcpus / kind.vcpus, 1 - lease.free_memory / kind.memory_bytes
            )
    return out
