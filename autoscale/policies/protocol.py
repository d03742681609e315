"""The protocol between a cluster and a policy that runs it.

Whenever something has happened (a job arrived, a machine became ready, was announced to be
interrupted or is gone, a task ended) and when the policy asked to be woken, the policy is called
with the state and returns a decision. It sees what an operator sees: estimates and not the truth,
jobs that have arrived and none that will, machines with their announced and not their coming
interruptions.

Tasks are numbered over all jobs in the order of arrival, so that a number says nothing about what
comes later: task ``i`` of a job has the number ``job.first + i``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, Int32Array, IntArray
    from autoscale.model.catalog import Catalog
    from autoscale.model.problem import Problem

WAITING, READY, QUEUED, RUNNING, ENDED = range(5)
"""Status of a task: parents have not ended; may start; on the queue of a lease (whether or not its
parents have ended); running; ended."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One workflow of a stream.

    Parameters
    ----------
    problem
        The workflow with its estimates, the catalogue and the rules; its deadline counts from the
        job's arrival.
    arrival_s
        When it is submitted, seconds, >= 0.
    priority
        Its weight among jobs.
    """

    problem: Problem
    arrival_s: float = 0.0
    priority: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobView:
    """A job that has arrived, with the state of its tasks; read-only columns that stay current.

    Parameters
    ----------
    job
        The job.
    number
        Its place in the order of arrival.
    first
        Number of its first task.
    status
        Of each task, shape (tasks,); see :data:`READY`.
    lease
        Where each task is queued, runs, or ran; -1 for nowhere.
    start_s, end_s
        When each task last started, and when it ended; NaN until then.
    """

    job: Job
    number: int
    first: int
    status: Any
    lease: Int32Array
    start_s: FloatArray
    end_s: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseView:
    """A lease that is held now.

    Parameters
    ----------
    number
        Its number, by order of launch.
    type
        Index into the catalogue.
    requested_s
        From when on it is billed, seconds.
    ready_s
        When it became ready; None while it boots (or waits for a spot market).
    leaves_s
        When it will be interrupted, if that has been announced; nothing starts on it any more.
    running, queued
        Numbers of the tasks that run on it, and of those that start next, in this order.
    free_vcpus, free_memory, free_gpus
        Room that is left by what runs, bytes of memory.
    """

    number: int
    type: int
    requested_s: float
    ready_s: float | None
    leaves_s: float | None
    running: tuple[int, ...]
    queued: tuple[int, ...]
    free_vcpus: int
    free_memory: float
    free_gpus: int

    @property
    def idle(self) -> bool:
        """Whether nothing runs or is queued on it."""
        return not self.running and not self.queued


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterState:
    """What an operator sees at one moment.

    Parameters
    ----------
    now_s
        The time, seconds.
    catalog
        What may be launched.
    jobs
        The jobs that have arrived and neither ended nor been dropped, in the order of arrival.
    leases
        The leases that are held, by number.
    gone
        Leases that ended since the last call without having been released.
    next_lease
        The number that the next launch gets; further launches count up from it.
    spent_usd
        What all leases have cost so far, those that are held as if they were released now.
    known_ready
        The value of :attr:`ready`, where it is known already.
    """

    now_s: float
    catalog: Catalog
    jobs: tuple[JobView, ...]
    leases: tuple[LeaseView, ...]
    gone: tuple[int, ...]
    next_lease: int
    spent_usd: float
    known_ready: IntArray | None = None

    @property
    def ready(self) -> IntArray:
        """Numbers of the tasks of open jobs that may start and are on no queue, ascending."""
        if self.known_ready is not None:
            return self.known_ready
        found = [job.first + np.flatnonzero(job.status == READY) for job in self.jobs]
        return np.concatenate([np.zeros(0, dtype=np.int64), *found])


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now, in this order.

    Parameters
    ----------
    launches
        Types to launch a lease of each, as indices into the catalogue.
    assignments
        ``(task, lease)``: put a task that has not started at the end of a lease's queue, also of
        one just launched; a task that is queued elsewhere moves. A queue starts its first task as
        soon as the lease is ready, the task's parents have ended and there is room for it.
    drops
        Numbers of open jobs to give up, none of whose tasks may be running: they leave the queues
        and the state, and count as not ended.
    releases
        Leases to give back; nothing may run or be queued on them.
    wake_s
        Call again at this time, after now, even if nothing happens; None: only when something
        happens.
    """

    launches: tuple[int, ...] = ()
    assignments: tuple[tuple[int, int], ...] = ()
    drops: tuple[int, ...] = ()
    releases: tuple[int, ...] = ()
    wake_s: float | None = None


class Policy(Protocol):
    """Decides online; may keep what it has learnt between calls of one run."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def __call__(self, state: ClusterState) -> Decision:
        """Return what to do now."""
