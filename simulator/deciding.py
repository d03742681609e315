"""A driver that asks a policy: the state that it sees, and its decisions carried out.

All that happens at one moment is gathered into one call. A policy that misbehaves is stopped with
its name and the time; the records of the run are kept.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.policies.protocol import (
    ENDED,
    QUEUED,
    READY,
    RUNNING,
    WAITING,
    ClusterState,
    Decision,
    JobView,
    LeaseView,
)
from autoscale.units import TIME_TOL_S
from simulator.machine import GaveUp

if TYPE_CHECKING:
    from autoscale.policies.protocol import Job, Policy
    from simulator.cloud import Cloud
    from simulator.machine import Machine


class Deciding:
    """A driver that hands over to a policy.

    Parameters
    ----------
    jobs
        In the order of arrival; the cloud's workflow is all of them, one after another.
    policy
        Decides.
    cloud
        Where its decisions are carried out.
    until_s
        The run ends then, whatever is left to do; infinite for when all is done.
    """

    def __init__(
        self, jobs: tuple[Job, ...], policy: Policy, cloud: Cloud, until_s: float = math.inf
    ) -> None:
        self._until_s = until_s
        self.jobs, self.policy, self.cloud, self._env = jobs, policy, cloud, cloud.env
        w = cloud.problem.workflow
        n = len(w)
        self.status = np.full(n, WAITING, dtype=np.int8)
        self.lease = np.full(n, -1, dtype=np.int32)
        self.start_s, self.end_s = np.full(n, np.nan), np.full(n, np.nan)
        self.ready_s = np.zeros(n)
        self._unended_parents: list[int] = np.diff(w.parent_ptr).tolist()
        self._queues: dict[int, deque[int]] = {}
        self._machines: dict[int, Machine] = {}
        self._gone: list[int] = []
        self._unended = n
        self._pending = False
        self._spent_usd = 0.0
        self._woken_at = math.inf
        sizes = [len(job.problem.workflow) for job in jobs]
        self._first = [0, *np.cumsum(sizes).tolist()]
        self._open: list[int] = [*sizes]
        self._views: dict[int, JobView] = {}
        self._lease_views: dict[int, LeaseView] = {}
        self._stale: dict[int, Machine] = {}  # machines whose view has to be made again
        self._held: tuple[Any, Any] | None = None  # when and at what price leases are held
        self._price_per_s = cloud.problem.catalog.price_per_s.tolist()
        self._job_of = np.repeat(np.arange(len(jobs)), sizes).tolist()

    def begin(self) -> None:
        """Set an alarm at every arrival."""
        for number, job in enumerate(self.jobs):
            self.cloud.later(job.arrival_s, self._arrive, number)
        if self._until_s < math.inf:
            # One step later, so that what ends at that very moment has ended.
            step = self.cloud.later
            step(self._until_s, lambda _: step(0.0, self._over, None), None)

    def _over(self, _: None) -> None:
        if not self.cloud.done.triggered:
            self.cloud.done.succeed()

    def _arrive(self, number: int) -> None:
        first, stop = self._first[number], self._first[number + 1]
        part = slice(first, stop)
        for task in range(first, stop):
            self.ready_s[task] = self._env.now
            if not self._unended_parents[task]:
                self.status[task] = READY
        self._views[number] = JobView(
            job=self.jobs[number],
            number=number,
            first=first,
            status=_read_only(self.status[part]),
            lease=_read_only(self.lease[part]),
            start_s=_read_only(self.start_s[part]),
            end_s=_read_only(self.end_s[part]),
        )
        self._call()

    # -- what the cloud calls ---------------------------------------------------------------

    def on_ready(self, machine: Machine) -> None:
        """Start what is queued and tell the policy."""
        self._stale[machine.number] = machine
        self._start_queued(machine)
        self._call()

    def on_notice(self, machine: Machine) -> None:
        """Tell the policy; what is queued goes back to it."""
        self._unqueue(machine)
        self._call()

    def on_gone(self, machine: Machine, lost: list[int]) -> None:
        """Take what ran and what was queued back, and tell the policy."""
        for task in lost:
            self._back(task)
        self._unqueue(machine)
        self._forget(machine)
        self._gone.append(machine.number)
        self._call()

    def on_ended(self, task: int, machine: Machine) -> None:
        """Start what waited and tell the policy."""
        now, w = self._env.now, self.cloud.problem.workflow
        self.status[task], self.end_s[task] = ENDED, now
        self.start_s[task] = self.cloud.start_s[task]
        self._unended -= 1
        number = self._job_of[task]
        self._open[number] -= 1
        if not self._open[number]:
            del self._views[number]
        self._stale[machine.number] = machine
        touched = {machine.number: machine}
        for child in w.children_of(task).tolist():
            self._unended_parents[child] -= 1
            if not self._unended_parents[child]:
                self.ready_s[child] = now
                if self.status[child] == WAITING:
                    self.status[child] = READY
                elif (at := int(self.lease[child])) in self._machines:
                    touched[at] = self._machines[at]
        for queue_of in touched.values():
            self._start_queued(queue_of)
        if self._unended:
            self._call()
        else:
            self._finish()

    def _finish(self) -> None:
        for held in list(self._machines.values()):
            self._release(held)
        self.cloud.done.succeed()

    def _forget(self, machine: Machine) -> None:
        self._spent_usd += machine.cost_usd
        self._held = None
        for table in (self._machines, self._queues, self._lease_views, self._stale):
            table.pop(machine.number, None)

    def _release(self, machine: Machine) -> None:
        self.cloud.release(machine)
        self._forget(machine)

    def _back(self, task: int) -> None:
        self.status[task] = WAITING if self._unended_parents[task] else READY
        self.lease[task] = -1

    def _unqueue(self, machine: Machine) -> None:
        self._stale[machine.number] = machine
        for task in self._queues[machine.number]:
            self._back(task)
        self._queues[machine.number].clear()

    def _start_queued(self, machine: Machine) -> None:
        queue, cloud, now = self._queues[machine.number], self.cloud, self._env.now
        if not machine.ready or now >= machine.closes_s:
            return
        while queue:
            task = queue[0]
            if self._unended_parents[task] or not cloud.has_room(task, machine):
                return
            queue.popleft()
            self._stale[machine.number] = machine
            self.status[task], self.start_s[task] = RUNNING, now
            cloud.start(task, machine)

    # -- the policy -------------------------------------------------------------------------

    def _call(self) -> None:
        """Ask the policy once all that happens now has happened."""
        if not self._pending:
            self._pending = True
            self.cloud.later(0.0, self._ask, None)

    def _wake(self, at_s: float) -> None:
        if at_s == self._woken_at:
            self._woken_at = math.inf
            self._call()

    def _ask(self, _: None) -> None:
        self._pending = False
        if not self._unended:
            return
        state = self.state()
        self._gone.clear()
        try:
            decision = self.policy(state)
        except Exception as error:
            raise self._stopped(f"raised {type(error).__name__}: {error}") from error
        if not isinstance(decision, Decision):
            raise self._stopped(f"returned {decision!r} and not a Decision")
        self._carry_out(decision)

    def _stopped(self, why: str) -> GaveUp:
        return GaveUp(f"policy {self.policy.name!r} at {self._env.now:g} s: {why}")

    def state(self) -> ClusterState:
        """Return what the policy may see now."""
        for number, machine in self._stale.items():
            self._lease_views[number] = self._lease_view(machine)
        self._stale.clear()
        return ClusterState(
            now_s=self._env.now,
            catalog=self.cloud.problem.catalog,
            jobs=tuple(self._views.values()),
            leases=tuple(self._lease_views.values()),
            gone=tuple(self._gone),
            next_lease=len(self.cloud.machines),
            spent_usd=self._spent_usd + self._held_usd(),
            known_ready=self._ready(),
        )

    def _held_usd(self) -> float:
        """Return what the leases that are held would cost if they were released now."""
        if self._held is None:
            granted = [m for m in self._machines.values() if m.granted]
            price = np.array([self._price_per_s[m.type] for m in granted])
            held = np.array([m.requested_s for m in granted]), price
            # A lease that waits for its market is granted without a word.
            self._held = held if len(granted) == len(self._machines) else None
        else:
            held = self._held
        billing, since_s = self.cloud.problem.billing, held[0]
        return float(held[1] @ billing.billed_array_s(self._env.now - since_s))

    def _ready(self) -> Any:
        """Return the numbers of the tasks that are ready, ascending."""
        if not self._views:
            return np.zeros(0, dtype=np.int64)
        first = next(iter(self._views.values())).first
        last = next(reversed(self._views.values())).number
        part = self.status[first : self._first[last + 1]]
        return first + np.flatnonzero(part == READY)

    def _lease_view(self, machine: Machine) -> LeaseView:
        return LeaseView(
            number=machine.number,
            type=machine.type,
            requested_s=machine.requested_s,
            ready_s=machine.ready_s if machine.ready else None,
            leaves_s=machine.dies_s if machine.closed else None,
            running=tuple(machine.running),
            queued=tuple(self._queues[machine.number]),
            free_vcpus=machine.free_vcpus,
            free_memory=machine.free_memory,
            free_gpus=machine.free_gpus,
        )

    def _carry_out(self, decision: Decision) -> None:
        for kind in decision.launches:
            if not 0 <= kind < len(self.cloud.problem.catalog):
                raise self._stopped(f"launches type {kind}, which the catalogue does not have")
            # The queue comes first: the machine may be ready at once where nothing boots.
            self._queues[len(self.cloud.machines)] = deque()
            machine = self.cloud.request(kind, len(self.cloud.machines))
            self._held = None
            self._machines[machine.number] = self._stale[machine.number] = machine
        seen: set[int] = set()
        touched: dict[int, Machine] = {}
        for task, lease in decision.assignments:
            touched[lease] = self._assign(task, lease, seen)
        for job in decision.drops:
            touched.update(self._drop(job))
        for machine in touched.values():
            self._start_queued(machine)
        for lease in decision.releases:
            self._give_back(lease)
        if not self._unended:
            self._finish()
        elif decision.wake_s is not None:
            self._set_wake(decision.wake_s)

    def _assign(self, task: int, lease: int, seen: set[int]) -> Machine:
        if not 0 <= task < len(self.status) or self._job_of[task] not in self._views:
            raise self._stopped(f"assigns task {task}, which is not one of the open jobs")
        if task in seen:
            raise self._stopped(f"assigns task {task} twice")
        seen.add(task)
        status = self.status[task]
        if status in (RUNNING, ENDED):
            state = "runs already" if status == RUNNING else "has ended"
            raise self._stopped(f"assigns task {task}, which {state}")
        machine = self._machines.get(lease)
        if machine is None or machine.closed:
            why = "is not held" if machine is None else "is about to be interrupted"
            raise self._stopped(f"assigns task {task} to lease {lease}, which {why}")
        if not self._fits(task, machine.type):
            name = self.cloud.problem.catalog.names[machine.type]
            raise self._stopped(f"assigns task {task} to lease {lease}: it does not fit {name!r}")
        self._set_need(task, machine.type)
        if status == QUEUED:
            self._leave_queue(task)
        self._stale[lease] = machine
        self.status[task], self.lease[task] = QUEUED, lease
        self._queues[lease].append(task)
        return machine

    def _leave_queue(self, task: int) -> Machine:
        machine = self._machines[int(self.lease[task])]
        self._queues[machine.number].remove(task)
        self._stale[machine.number] = machine
        return machine

    def _drop(self, number: int) -> dict[int, Machine]:
        """Give a job up; return the machines whose queues its tasks have left."""
        if number not in self._views:
            raise self._stopped(f"drops job {number}, which is not open")
        first, stop = self._first[number], self._first[number + 1]
        status = self.status[first:stop]
        if (status == RUNNING).any():
            raise self._stopped(f"drops job {number}, of which tasks run")
        left = [self._leave_queue(first + int(i)) for i in np.flatnonzero(status == QUEUED)]
        status[:] = ENDED  # nothing of it is ready any more
        self.lease[first:stop] = np.where(
            np.isnan(self.end_s[first:stop]), -1, self.lease[first:stop]
        )
        self._unended -= self._open[number]
        del self._views[number]
        return {machine.number: machine for machine in left}

    def _fits(self, task: int, kind: int) -> bool:
        problem = self.cloud.problem
        return bool(problem.fits[problem.task_class[task], kind])

    def _set_need(self, task: int, kind: int) -> None:
        """Let a task that takes no time on a type hold nothing there, as in a plan."""
        problem, cloud = self.cloud.problem, self.cloud
        w = problem.workflow
        if problem.durations_s is None and w.runtime_s[task] > 0:
            return
        holds = problem.durations_of(np.array([task]))[0, kind] > TIME_TOL_S
        cloud.vcpus[task] = int(w.vcpus[task]) if holds else 0
        cloud.memory[task] = int(w.memory_bytes[task]) if holds else 0
        cloud.gpus[task] = int(w.gpus[task]) if holds else 0

    def _give_back(self, lease: int) -> None:
        machine = self._machines.get(lease)
        if machine is None:
            raise self._stopped(f"releases lease {lease}, which is not held")
        if machine.running or self._queues[lease]:
            raise self._stopped(f"releases lease {lease}, on which tasks run or are queued")
        self._release(machine)

    def _set_wake(self, at_s: float) -> None:
        if not self._env.now < at_s < math.inf:
            raise self._stopped(f"asks to be woken at {at_s!r}, which is not after now")
        if at_s != self._woken_at:
            self._woken_at = at_s
            self.cloud.later(at_s - self._env.now, self._wake, at_s)


def _read_only(view: Any) -> Any:
    out = view.view()
    out.flags.writeable = False
    return out
