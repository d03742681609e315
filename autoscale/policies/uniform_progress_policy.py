"""Uniform Progress: spot machines as long as a job is on the line from its start to its deadline.

Wu, Chiang, Mao and others, "Can't Be Late", NSDI'24, for one long job on one machine: ``C(t)`` is
the computation left, ``R(t)`` the time left, ``d`` what a change of machines costs. The job should
have made ``C(0) (t / R(0))`` by ``t``. Spot is taken whenever it is offered and held until it is
lost; without it the job waits while it is ahead of that line and runs on demand while it is behind;
from on demand it goes back only if it is ahead of where the line will be in ``2 d``; once ``R(t) <
C(t) + 2 d`` it stays on demand to its end.

For workflows, the computation is the critical path on the types that deadlines ask for, with a
fifth of the time left free; each task runs on the spot twin of its type where there is one. An
interrupted task begins again. Without spot types in the catalogue all is run on demand.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.own_leases import OwnLeases
from autoscale.policies.planning import Dated

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Fleet, Room
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

SLACK = 0.2
"""Part of the time to the deadline that the types of a job leave unused: the paper's setting."""

PATIENCE_S = 60.0
"""A spot machine that is not ready so long after two boots is taken to wait for its market."""

ABOUT = About(
    aim="deadlines",
    summary="spot while a job keeps up with its line to the deadline, else on demand",
    source="Wu et al., Can't Be Late, NSDI'24 (Uniform Progress)",
    reconstruction=(
        "from one job on one machine to workflows: progress along the critical path, a machine for "
        "each task; spot counts as not offered where a request is not granted in time"
    ),
)


class Course:
    """Where a job is on its way, and whether it is bound to on demand.

    Parameters
    ----------
    start_s, due_s
        When it arrived, and when it should end.
    work_s
        ``C(0)``: its critical path.
    change_s
        ``d``: what a change of machines costs, seconds.
    """

    def __init__(self, start_s: float, due_s: float, work_s: float, change_s: float) -> None:
        self.start_s, self.due_s, self.work_s, self.change_s = start_s, due_s, work_s, change_s
        self.bound = False
        self.on_demand = False

    def expected_s(self, now_s: float) -> float:
        """Return the progress that the line asks for at a time, seconds of computation."""
        whole_s = self.due_s - self.start_s
        part = (now_s - self.start_s) / whole_s if math.isfinite(whole_s) else 0.0
        return self.work_s * min(1.0, part)

    def look(self, now_s: float, left_s: float, *, offered: bool) -> None:
        """Decide whether the job runs on demand from now on, with ``left_s`` still to compute."""
        made_s = self.work_s - left_s
        if self.due_s - now_s < left_s + 2 * self.change_s:
            self.bound = True
        if self.bound:
            self.on_demand = True
        elif self.on_demand:
            self.on_demand = made_s < self.expected_s(now_s + 2 * self.change_s)
        else:
            self.on_demand = not offered and made_s < self.expected_s(now_s)


class UniformProgress(OwnLeases):
    """Uniform Progress for one run."""

    name = "uniform-progress"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.dated = Dated(self.work)
        self._course: dict[int, Course] = {}
        self._twin: list[int] = []

    def look(self, state: ClusterState) -> None:
        """Take note of new jobs and leases, and of the spot twins of types."""
        self.dated.look(state)
        for job in self.work.ended:
            self._course.pop(job.number, None)
        if not self._twin:
            at = {(t.provider, t.region, t.key): k for k, t in enumerate(state.catalog)}
            self._twin = [
                at.get((t.provider, t.region, f"{t.name}@spot"), -1)
                if t.purchase == "on-demand"
                else -1
                for t in state.catalog
            ]

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Assign types and windows, and look how far each job has come."""
        offered = self._offered(state)
        for number, dates in self.dated.of.items():
            job, boot_s = dates.job, self.problem.boot_s
            wait_s = 0.0 if dates.started else boot_s
            dates.assign(state.now_s, state.now_s + wait_s, self.dated.kinds.of, slack=SLACK)
            left_s = max(0.0, dates.makespan_s - state.now_s)
            course = self._course.get(number)
            if course is None:
                course = Course(job.arrival_s, job.due_s, left_s, boot_s)
                self._course[number] = course
            used = {self._twin[int(k)] for k in dates.kind[dates.some].tolist()}
            course.look(state.now_s, left_s, offered=all(offered[k] for k in used))
        self.requeue()

    def _offered(self, state: ClusterState) -> list[bool]:
        """Return whether each spot type seems to be offered; the last is for none."""
        out = [t.purchase == "spot" for t in state.catalog] + [False]
        for lease in state.leases:
            waited_s = state.now_s - lease.requested_s
            if lease.ready_s is None and waited_s > 2 * self.problem.boot_s + PATIENCE_S:
                out[lease.type] = False
        return out

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the type for new leases first: on demand or its spot twin, as the job goes."""
        kind = self.dated.kind(job, i)
        twin = self._twin[kind]
        if twin < 0:
            return [kind]
        return [kind, twin] if self._course[job.number].on_demand else [twin, kind]

    def place(self, fleet: Fleet, job: OpenJob, i: int) -> Room | None:
        """Return a spot lease with room unless the job is bound to on demand, else the other."""
        types = self.types_of(job, i)
        if not self._course[job.number].bound:
            types = sorted(types, key=lambda k: self._twin[k] >= 0)
        for kind in types:
            room = fleet.best(job, i, kind)
            if room is not None:
                return room
        return None

    def key(self, job: OpenJob, i: int) -> Key:
        """Return the end of the task's window."""
        return (self.dated.due_s(job, i),)


def make(terms: Terms) -> UniformProgress:
    """Return Uniform Progress for one run."""
    return UniformProgress(terms)
