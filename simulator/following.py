"""The replay rule: keep the plan's leases and the plan's order, whatever chance brings.

1. Every lease of the plan is requested at its planned start and is ready one boot later.
2. On each lease the tasks start in the plan's order, none overtakes another. The order is that
   of the planned starts, ties in the workflow's order; a task that the plan starts before one of
   its parents comes after that parent.
3. A task starts as soon as its planned start has come (with ``early``, without waiting for it),
   its parents have ended, its lease is ready, the task before it on the lease has started, and
   the lease has room for all of it (vCPUs, memory, GPUs) at once.
4. It then holds that room while it fetches its inputs, computes and stores its outputs. A task
   that is planned to take at most ``TIME_TOL_S`` holds nothing: intervals are half-open, and its
   two ends are the same time. A task that fails is tried again at once in the room that it holds.
5. A lease is released when its last task has ended, or as long after that as planned, and is
   billed then. A lease without tasks is held as planned.
6. A machine that ends before all tasks of its lease have ended (no boot, failure, interruption)
   is replaced at once by one of the same type, which takes over the lease: first the tasks that
   were running, from their start, then the others, in the plan's order.
7. From the notice of an interruption on nothing new starts on the machine, and its replacement is
   requested; it takes over when the old machine has gone, which is when its tasks have ended or
   the interruption comes.

With all chance off a feasible plan is therefore reproduced to rounding: by induction over time
nothing of rule 3 but the planned start ever binds. A wrong plan shows as tasks that start late,
leases held longer and a dearer bill. Without failures the run always ends: of the tasks that have
not ended, the first in the plan's order waits for no other one, since its parents and all tasks
before it on its lease come earlier in that order. With failures it may give up, and says why.

Planned ends of tasks are never read: durations come from the workflow and the instance types, by
a formula of the simulator's own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.units import TIME_TOL_S
from simulator.cloud import GaveUp

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan
    from simulator.cloud import Cloud, Machine

HOLD_TOL_S = 1e-9
"""A lease planned to be held for less than this after its last task is released with it."""


def phases_s(problem: Problem, task_type: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the seconds that each task fetches, computes and stores when chance is off.

    Parameters
    ----------
    problem
        Gives the workflow, the catalogue and the rules of transfers. Durations that it states
        outright count as computing.
    task_type
        Index into the catalogue of the type that each task runs on, shape (tasks,).

    Returns
    -------
    fetch_s, compute_s, store_s
        Shape (tasks,) each; infinite or NaN only where stated durations are.
    """
    w, types = problem.workflow, problem.catalog.types
    none = np.zeros(len(w))
    if problem.durations_s is not None:
        return none, problem.durations_s[np.arange(len(w)), task_type], none
    compute_s = w.runtime_s / np.array([t.speed for t in types])[task_type]
    if not problem.transfers:
        return none, compute_s, none
    link = np.array([min(t.bandwidth_bytes_per_s, problem.storage_bandwidth) for t in types])
    vcpus = np.array([t.vcpus for t in types])
    share = link[task_type] * (w.vcpus / vcpus[task_type])
    return w.in_bytes / share, compute_s, w.out_bytes / share


def plan_keys(plan: Plan) -> FloatArray:
    """Return planned starts, raised where needed so that no task comes before its parents."""
    w, key = plan.problem.workflow, plan.task_start_s
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    if (key[w.parents] > key[child]).any():
        key = key.copy()
        for i in range(len(w)):  # topological, so parents are final
            key[i] = max(key[i], key[w.parents_of(i)].max(initial=-np.inf))
    return key


def plan_order(plan: Plan) -> tuple[IntArray, IntArray]:
    """Return ``(ptr, tasks)``: the tasks of each lease in the plan's order, as CSR.

    The order over all leases is topological whatever the plan says; see the module.
    """
    n = len(plan.problem.workflow)
    tasks = np.lexsort((np.arange(n), plan_keys(plan), plan.task_lease))
    ptr = np.zeros(plan.n_leases + 1, dtype=np.int64)
    np.cumsum(np.bincount(plan.task_lease, minlength=plan.n_leases), out=ptr[1:])
    return ptr, tasks


def holds_s(plan: Plan, duration_s: FloatArray) -> FloatArray:
    """Return how long the plan holds each lease after its last task would end, shape (leases,)."""
    last = np.full(plan.n_leases, -np.inf)
    np.maximum.at(last, plan.task_lease, plan.task_start_s + duration_s)
    hold = plan.lease_end_s - last
    return np.where(np.isfinite(hold) & (hold > HOLD_TOL_S), hold, 0.0)


class LeaseState:
    """A lease while it lives: its machine, and how far its order has been started."""

    __slots__ = ("alarm_set", "failures", "lost", "machine", "next", "old", "stop", "unended")

    def __init__(self, first: int, stop: int) -> None:
        self.next, self.stop = first, stop
        self.unended = stop - first
        self.lost: list[int] = []  # places in the order of tasks to start again
        self.machine: Machine | None = None
        self.old: Machine | None = None
        self.alarm_set = False
        self.failures = 0


class Following:
    """A driver that keeps a plan.

    Parameters
    ----------
    plan
        A plan whose leases and types exist and whose tasks fit them.
    cloud
        Where it is played.
    early
        Start tasks before their planned start where all else allows it.
    """

    def __init__(self, plan: Plan, cloud: Cloud, *, early: bool = False) -> None:
        self.plan, self.cloud, self._env = plan, cloud, cloud.env
        w = plan.problem.workflow
        fetch_s, compute_s, store_s = phases_s(plan.problem, plan.lease_type[plan.task_lease])
        duration_s = fetch_s + compute_s + store_s
        holds = duration_s > TIME_TOL_S
        cloud.vcpus = np.where(holds, w.vcpus, 0).tolist()
        cloud.memory = np.where(holds, w.memory_bytes, 0).tolist()
        cloud.gpus = np.where(holds, w.gpus, 0).tolist()
        planned_s = np.full(len(w), -np.inf) if early else plan.task_start_s
        self._planned_s: list[float] = planned_s.tolist()
        self._hold_s: list[float] = holds_s(plan, duration_s).tolist()
        self._unended_parents: list[int] = np.diff(w.parent_ptr).tolist()
        self._child_ptr: list[int] = w.child_ptr.tolist()
        self._lease_of_task: list[int] = plan.task_lease.tolist()
        ptr, order = plan_order(plan)
        self.order: list[int] = order.tolist()
        place = np.empty(len(w), dtype=np.int64)
        place[order] = np.arange(len(w))
        self._place: list[int] = place.tolist()
        self.leases = [LeaseState(first, stop) for first, stop in pairwise(ptr.tolist())]
        self.ready_s: list[float] = [0.0] * len(w)  # when the last parent ended
        self.usable_s: list[float] = [0.0] * len(w)  # when the lease that started it was usable
        self.before_s: list[float] = [-np.inf] * len(w)  # when the task before it started
        self._usable_s = [np.inf] * plan.n_leases
        self._last_start_s = [-np.inf] * plan.n_leases
        self._left = plan.n_leases

    def begin(self) -> None:
        """Set an alarm at the request of every lease."""
        for number, start_s in enumerate(self.plan.lease_start_s.tolist()):
            self.cloud.later(max(0.0, start_s), self._request, number)
        if not self.leases:
            self.cloud.done.succeed()

    def _request(self, number: int) -> None:
        lease, kind = self.leases[number], int(self.plan.lease_type[number])
        if lease.unended:
            lease.machine = self.cloud.request(kind, number)
            return
        lease.machine = self.cloud.request(kind, number, idle=True)
        self.cloud.later(float(self.plan.lease_end_s[number]) - self._env.now, self._release, lease)

    def _replace(self, lease: LeaseState, gone: Machine) -> None:
        lease.machine = self.cloud.request(gone.type, gone.lease, gone.attempt + 1)

    # -- what the cloud calls ---------------------------------------------------------------

    def on_ready(self, machine: Machine) -> None:
        """Start what may start."""
        lease = self.leases[machine.lease]
        lease.failures = 0
        if machine is lease.machine and lease.old is None:
            self._take_over(lease)

    def on_notice(self, machine: Machine) -> None:
        """Ask for a replacement while the machine's tasks run on."""
        lease = self.leases[machine.lease]
        if not lease.unended:
            self._release(lease)
            return
        if machine.running:
            lease.old = machine
        else:
            self.cloud.release(machine)
        self._replace(lease, machine)

    def on_gone(self, machine: Machine, lost: list[int]) -> None:
        """Take over with the machine that follows."""
        lease = self.leases[machine.lease]
        places = [self._place[task] for task in lost]
        lease.lost = sorted(lease.lost + places)
        if machine is lease.old:
            lease.old = None
            if lease.machine is not None and lease.machine.ready:
                self._take_over(lease)
            return
        if not lease.unended:
            self._release(lease)
            return
        if not machine.ready:
            self._count_failure(lease, machine)
        self._replace(lease, machine)

    def _count_failure(self, lease: LeaseState, machine: Machine) -> None:
        failure = self.cloud.luck.chance.boot_failure if self.cloud.luck else None
        lease.failures += 1
        if failure is not None and lease.failures >= failure.attempts:
            name = self.plan.problem.catalog.names[machine.type]
            raise GaveUp(
                f"lease {machine.lease} ({name}): {lease.failures} machines in a row never "
                f"became ready, the limit of boot_failure.attempts; their probability of failing "
                f"is {failure.probability:g}"
            )

    def on_ended(self, task: int, machine: Machine) -> None:
        """Start what waited for the task or for its room."""
        lease = self.leases[machine.lease]
        lease.unended -= 1
        if machine is lease.old:
            if not machine.running:
                lease.old = None
                self.cloud.release(machine)
                if lease.machine is not None and lease.machine.ready:
                    self._take_over(lease)
        else:
            self._advance(lease)
        self._tell_children(task)
        if not lease.unended:
            hold_s = self._hold_s[machine.lease]
            if hold_s:
                self.cloud.later(hold_s, self._release, lease)
            else:
                self._release(lease)

    def _tell_children(self, task: int) -> None:
        first, stop = self._child_ptr[task], self._child_ptr[task + 1]
        now, unended = self._env.now, self._unended_parents
        for child in self.plan.problem.workflow.children[first:stop].tolist():
            unended[child] -= 1
            if not unended[child]:
                self.ready_s[child] = now
                waiting = self.leases[self._lease_of_task[child]]
                at = waiting.next
                if waiting.lost or (at < waiting.stop and self.order[at] == child):
                    self._advance(waiting)

    # -- the rule ---------------------------------------------------------------------------

    def _take_over(self, lease: LeaseState) -> None:
        assert lease.machine is not None
        number = lease.machine.lease
        self._usable_s[number] = self._env.now
        self._last_start_s[number] = -np.inf
        self._advance(lease)

    def _advance(self, lease: LeaseState) -> None:
        """Start the next tasks of the lease's order that may start now."""
        machine, now, cloud = lease.machine, self._env.now, self.cloud
        if machine is None or not machine.ready or lease.old is not None:
            return
        if now >= machine.closes_s:
            return  # it is about to be told
        order, planned_s, unended = self.order, self._planned_s, self._unended_parents
        while lease.lost or lease.next < lease.stop:
            task = order[lease.lost[0] if lease.lost else lease.next]
            if unended[task]:
                return  # the last parent to end calls again
            if now < planned_s[task]:
                self._set_alarm(lease, planned_s[task] - now)
                return
            if not cloud.has_room(task, machine):
                return  # each task that ends on this lease calls again
            if lease.lost:
                lease.lost.pop(0)
            else:
                lease.next += 1
            if not cloud.attempts[task]:
                number = machine.lease
                self.usable_s[task] = self._usable_s[number]
                self.before_s[task] = self._last_start_s[number]
            self._last_start_s[machine.lease] = now
            cloud.start(task, machine)

    def _set_alarm(self, lease: LeaseState, delay_s: float) -> None:
        if lease.alarm_set:
            return
        lease.alarm_set = True
        self._env.timeout(delay_s, lease).callbacks.append(self._ring)

    def _ring(self, event: object) -> None:
        # Rounding may ring an ulp early; then advancing sets the alarm again, now exactly.
        lease: LeaseState = event.value  # type: ignore[attr-defined]
        lease.alarm_set = False
        self._advance(lease)

    def _release(self, lease: LeaseState) -> None:
        """End a lease: all its tasks have ended."""
        if lease.unended < 0:
            return
        lease.unended = -1
        for machine in (lease.old, lease.machine):
            if machine is not None:
                self.cloud.release(machine)
        self._left -= 1
        if not self._left:
            self.cloud.done.succeed()
