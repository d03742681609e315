"""What the policies that keep a queue have in common: look, plan, dispatch, launch, give back.

A policy of this kind says in which order tasks go, to which types, and how many leases of each type
there should be. The rest is the same for all: ready tasks wait in a queue and go to leases with
room; leases are given back when nothing is on them, more are held than wanted, and what is paid for
has been used up.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from autoscale.policies.dispatching import Queue, dispatch
from autoscale.policies.fleet import Fleet, Quotas
from autoscale.policies.protocol import Decision
from autoscale.policies.work import Work
from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Room
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

INTERVAL_S = 60.0
"""Seconds between two plans without anything happening."""


class Autoscaler(ABC):
    """A policy that keeps a queue.

    Parameters
    ----------
    terms
        What it is told before the run.
    """

    name = ""
    interval_s = INTERVAL_S
    plans_on_arrival = True

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.work = Work()
        self.queue = Queue()
        self.quotas: Quotas | None = None
        self._problem: Problem | None = None
        self._next_plan_s = -math.inf

    # -- what a policy says -----------------------------------------------------------------

    def look(self, state: ClusterState) -> None:  # noqa: B027 - most have nothing to note
        """Take note of jobs and leases that came and went, in every call."""

    def plan(self, state: ClusterState, fleet: Fleet) -> None:  # noqa: B027
        """Think anew about everything that is open: on arrivals, losses and every interval."""

    @abstractmethod
    def key(self, job: OpenJob, i: int) -> Key:
        """Return what orders the queue; the smallest goes first."""

    @abstractmethod
    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the types that a task may go to, most liked first; it fits all of them."""

    def line(self, job: OpenJob, i: int) -> int:
        """Return the line in which a task waits: by default, that of the type it likes most."""
        return self.types_of(job, i)[0]

    def place(self, fleet: Fleet, job: OpenJob, i: int) -> Room | None:
        """Return where a task goes now: the fullest lease of the first type that has room."""
        for kind in self.types_of(job, i):
            room = fleet.best(job, i, kind)
            if room is not None:
                return room
        return None

    @abstractmethod
    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return how many leases of each type there should be, after this call's placements."""

    def accepts(self, job: OpenJob) -> bool:
        """Return whether anything of a job is run."""
        return True

    def awake(self, state: ClusterState) -> bool:
        """Return whether to plan again after an interval though nothing may have happened."""
        return bool(self.work.jobs)

    def decide(self, state: ClusterState, fleet: Fleet) -> tuple[list[tuple[int, int]], list[int]]:
        """Return assignments, and launches that these need; by default what has room is placed."""
        for job, i in self.work.fresh:
            if self.accepts(job):
                self.queue.add(self.line(job, i), self.key(job, i), job, i)
        placed = dispatch(
            self.queue, fleet, self.types_of, lambda job, i: self.place(fleet, job, i)
        )
        return placed, []

    def launchable(self, state: ClusterState, kinds: list[int]) -> list[int]:
        """Return the launches that may be made of those wanted, the most needed first."""
        return kinds

    # -- the call ---------------------------------------------------------------------------

    def __call__(self, state: ClusterState) -> Decision:
        """Return what to do now."""
        self.work.look(state)
        if self._problem is None:
            if not self.work.arrived:
                return Decision()
            self._problem = self.work.arrived[0].problem
            self.quotas = Quotas(self._problem)
        self.look(state)
        fleet = Fleet(state, self.problem.billing)
        self._plan_where_due(state, fleet)
        placed, launches = self.decide(state, fleet)
        wanted = self.wanted(state, fleet) if self.work.jobs else [0] * len(state.catalog)
        launches += self._launches(state, fleet, wanted)
        releases, expiry_s = self._releases(state, fleet, wanted)
        wakes = [expiry_s, self._next_plan_s if self.awake(state) else math.inf]
        wake_s = min(wakes)
        return Decision(
            launches=tuple(launches),
            assignments=tuple(placed),
            releases=tuple(releases),
            wake_s=wake_s if wake_s < math.inf else None,
        )

    @property
    def problem(self) -> Problem:
        """The first job's problem, for what all jobs have in common: billing, boot, quotas."""
        assert self._problem is not None
        return self._problem

    def requeue(self) -> None:
        """Let every waiting task be queued again, by a new key or in another line."""
        again = [(job, i) for _, _, job, i in self.queue.items()]
        self.queue.clear()
        self.work.fresh = again + self.work.fresh

    def _plan_where_due(self, state: ClusterState, fleet: Fleet) -> None:
        due = state.now_s >= self._next_plan_s - TIME_TOL_S
        changed = (self.work.arrived and self.plans_on_arrival) or state.gone
        if due or changed:
            self.plan(state, fleet)
            self._next_plan_s = state.now_s + self.interval_s

    def _launches(self, state: ClusterState, fleet: Fleet, wanted: list[int]) -> list[int]:
        missing = [kind for kind, n in enumerate(wanted) for _ in range(n - fleet.held[kind])]
        # Whatever a policy thinks: what has no lease that it may go to would wait for ever.
        for items in self.queue.lines.values():
            if items:
                kinds = self.types_of(items[0][2], items[0][3])
                if not any(fleet.held[k] for k in kinds) and not any(k in missing for k in kinds):
                    missing.append(kinds[0])
        assert self.quotas is not None
        return self.quotas.grant(self.launchable(state, missing), fleet.held)

    def _releases(
        self, state: ClusterState, fleet: Fleet, wanted: list[int]
    ) -> tuple[list[int], float]:
        """Return the leases to give back now, and when what another idle one is paid for ends."""
        out = [lease.number for lease in fleet.leaving if lease.idle]
        left = list(fleet.held)
        expiry_s = math.inf
        for lease, paid_s in sorted(fleet.idle(), key=lambda x: x[1]):
            if fleet.expires(paid_s):
                if left[lease.type] > wanted[lease.type]:
                    left[lease.type] -= 1
                    out.append(lease.number)
            else:
                expiry_s = min(expiry_s, paid_s)
        return out, expiry_s
