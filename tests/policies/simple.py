"""Simple policies for tests of everything but policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.policies.protocol import READY, Decision

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState


class OneEach:
    """A fresh lease of the fastest type, the cheapest of these, for each task that is ready.

    Idle leases are released.
    """

    name = "one-each"

    def __call__(self, state: ClusterState) -> Decision:
        launches: list[int] = []
        assignments = []
        for job in state.jobs:
            for task in np.flatnonzero(job.status == READY).tolist():
                duration_s = job.job.problem.durations_of(np.array([task]))[0]
                assignments.append((job.first + task, state.next_lease + len(launches)))
                launches.append(int(np.lexsort((state.catalog.price_per_s, duration_s))[0]))
        idle = tuple(x.number for x in state.leases if x.idle)
        return Decision(launches=tuple(launches), assignments=tuple(assignments), releases=idle)


class Pool:
    """At most so many leases of the largest type that fits, first come, first served.

    Idle leases are kept until all jobs that have arrived have ended.
    """

    name = "pool"

    def __init__(self, size: int = 4) -> None:
        self.size = size

    def __call__(self, state: ClusterState) -> Decision:
        waiting = [
            (job, task)
            for job in state.jobs
            for task in np.flatnonzero(job.status == READY).tolist()
        ]
        free = [x.number for x in state.leases if x.idle and x.leaves_s is None]
        launches: list[int] = []
        assignments = []
        for job, task in waiting:
            fits = np.isfinite(job.job.problem.durations_of(np.array([task]))[0])
            kind = int(np.argmax(np.where(fits, state.catalog.vcpus, 0)))
            if not free and len(state.leases) + len(launches) < self.size:
                free.append(state.next_lease + len(launches))
                launches.append(kind)
            if free:
                assignments.append((job.first + task, free.pop(0)))
        idle = () if state.jobs else tuple(x.number for x in state.leases if x.idle)
        return Decision(launches=tuple(launches), assignments=tuple(assignments), releases=idle)


class Failing:
    """Misbehaves once a job has arrived."""

    name = "failing"

    def __call__(self, state: ClusterState) -> Decision:
        """Raise."""
        raise RuntimeError("no idea")


def one_each(terms: Terms) -> OneEach:
    return OneEach()


def pool(terms: Terms) -> Pool:
    return Pool()


def failing(terms: Terms) -> Failing:
    return Failing()
