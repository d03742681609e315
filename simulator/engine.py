"""The discrete-event engine: a SimPy environment that plays a plan on a simulated cloud.

The replay rule "as planned" keeps the plan's leases and the plan's order:

1. Every lease of the plan is requested at its planned start and is ready one boot later.
2. On each lease the tasks start in the plan's order, none overtakes another. The order is that
   of the planned starts, ties in the workflow's order; a task that the plan starts before one of
   its parents comes after that parent.
3. A task starts as soon as its planned start has come, its parents have ended, its lease is
   ready, the task before it on the lease has started, and the lease has room for all of it
   (vCPUs, memory, GPUs) at once.
4. It then holds that room while it fetches its inputs, computes and stores its outputs, at its
   fixed fair share of the link. A task of at most ``TIME_TOL_S`` holds nothing: intervals are
   half-open, and its two ends are the same time.
5. A lease is released at its planned end, or when its last task ends if that is later, and is
   billed then.

A feasible plan is therefore reproduced to rounding: by induction over time nothing of rule 3 but
the planned start ever binds. A wrong plan shows as tasks that start late, leases held longer and
a dearer bill. The run always ends: of the tasks that have not ended, the first in the plan's
order waits for no other one, since its parents and all tasks before it on its lease come earlier
in that order.

Planned ends are never read: durations come from the workflow and the instance types, by a
formula of the engine's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import simpy

from autoscale.units import TIME_TOL_S
from simulator.records import LeaseRecords, SimulationResult, TaskRecords, waits_s

if TYPE_CHECKING:
    from collections.abc import Generator

    from autoscale.model.arrays import FloatArray, Int32Array, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan


def phases_s(problem: Problem, task_type: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the seconds that each task fetches, computes and stores.

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


def plan_order(plan: Plan) -> tuple[IntArray, IntArray]:
    """Return ``(ptr, tasks)``: the tasks of each lease in the plan's order, as CSR.

    The order over all leases is topological whatever the plan says; see the module.
    """
    w = plan.problem.workflow
    key = plan.task_start_s
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    if (key[w.parents] > key[child]).any():
        key = key.copy()
        for i in range(len(w)):  # topological, so parents are final
            key[i] = max(key[i], key[w.parents_of(i)].max(initial=-np.inf))
    tasks = np.lexsort((np.arange(len(w)), key, plan.task_lease))
    ptr = np.zeros(plan.n_leases + 1, dtype=np.int64)
    np.cumsum(np.bincount(plan.task_lease, minlength=plan.n_leases), out=ptr[1:])
    return ptr, tasks


class LeaseState:
    """A lease while it lives: its room, and how far its order has been started."""

    __slots__ = (
        "alarm_set",
        "drained",
        "free_gpus",
        "free_memory",
        "free_vcpus",
        "next",
        "ready",
        "running",
        "stop",
    )

    def __init__(
        self, first: int, stop: int, room: tuple[int, float, int], drained: simpy.Event
    ) -> None:
        self.next = first
        self.stop = stop
        self.running = 0
        self.ready = False
        self.alarm_set = False
        self.free_vcpus, self.free_memory, self.free_gpus = room
        self.drained = drained


class Engine:
    """Plays one plan, once, with all chance off.

    Leases are SimPy processes. Tasks are not, because a process and a resource request a task
    cost most of the time of a run: whatever may let a lease's next task start (an alarm at its
    planned start, the end of a parent or of a neighbour, the end of boot) calls :meth:`_advance`.

    Parameters
    ----------
    plan
        A plan whose leases and types exist and whose tasks fit them;
        :func:`simulator.running.simulate` checks that.
    """

    def __init__(self, plan: Plan) -> None:
        self.env = simpy.Environment()
        self.plan = plan
        w, n = plan.problem.workflow, len(plan.problem.workflow)
        self._phases_s = phases_s(plan.problem, plan.lease_type[plan.task_lease])
        duration_s = self._phases_s[0] + self._phases_s[1] + self._phases_s[2]
        holds = duration_s > TIME_TOL_S
        # Read one at a time while the run goes on: lists, because numpy scalars are slow.
        self._duration_s: list[float] = duration_s.tolist()
        self._planned_s: list[float] = plan.task_start_s.tolist()
        self._need_vcpus: list[int] = np.where(holds, w.vcpus, 0).tolist()
        self._need_memory: list[int] = np.where(holds, w.memory_bytes, 0).tolist()
        self._need_gpus: list[int] = np.where(holds, w.gpus, 0).tolist()
        self._unended_parents: list[int] = np.diff(w.parent_ptr).tolist()
        self._child_ptr: list[int] = w.child_ptr.tolist()
        self._lease_ptr, order = plan_order(plan)
        self._order: list[int] = order.tolist()
        self._leases = self._new_leases()
        self._lease_of = [self._leases[number] for number in plan.task_lease.tolist()]
        self._task_ready_s = np.zeros(n)
        self._task_start_s = np.full(n, np.nan)
        self._task_end_s = np.full(n, np.nan)
        self._requested_s = np.full(plan.n_leases, np.nan)
        self._lease_ready_s = np.full(plan.n_leases, np.nan)
        self._released_s = np.full(plan.n_leases, np.nan)
        self._billed_s = np.full(plan.n_leases, np.nan)

    def _new_leases(self) -> list[LeaseState]:
        types = [self.plan.problem.catalog.types[k] for k in self.plan.lease_type.tolist()]
        ptr = self._lease_ptr.tolist()
        return [
            LeaseState(first, stop, (t.vcpus, t.memory_bytes, t.gpus), self.env.event())
            for t, first, stop in zip(types, ptr[:-1], ptr[1:], strict=True)
        ]

    def run(self) -> SimulationResult:
        """Play the plan from submission to the release of the last lease; return the records."""
        for number in range(self.plan.n_leases):
            self.env.process(self._live(number))
        self.env.run()
        return self._result()

    def _live(self, number: int) -> Generator[simpy.Event, Any, None]:
        """Request the lease, boot it, let it run its tasks, release it, bill it."""
        env, lease, problem = self.env, self._leases[number], self.plan.problem
        planned_end_s = float(self.plan.lease_end_s[number])
        yield env.timeout(max(0.0, float(self.plan.lease_start_s[number])))
        requested_s = self._requested_s[number] = env.now
        if lease.next < lease.stop:
            yield env.timeout(problem.boot_s)
            self._lease_ready_s[number] = env.now
            lease.ready = True
            self._advance(lease)
            yield lease.drained
        if planned_end_s > env.now:
            yield env.timeout(planned_end_s - env.now)
        self._released_s[number] = env.now
        self._billed_s[number] = problem.billing.billed_s(env.now - requested_s)

    def _advance(self, lease: LeaseState) -> None:
        """Start the next tasks of the lease's order that may start now."""
        now = self.env.now
        while lease.next < lease.stop and lease.ready:
            task = self._order[lease.next]
            if self._unended_parents[task]:
                return  # the last parent to end calls again
            if now < self._planned_s[task]:
                self._set_alarm(lease, self._planned_s[task] - now)
                return
            vcpus, memory = self._need_vcpus[task], self._need_memory[task]
            gpus = self._need_gpus[task]
            if vcpus > lease.free_vcpus or memory > lease.free_memory or gpus > lease.free_gpus:
                return  # each task that ends on this lease calls again
            lease.free_vcpus -= vcpus
            lease.free_memory -= memory
            lease.free_gpus -= gpus
            lease.next += 1
            lease.running += 1
            self._start(task, now)

    def _set_alarm(self, lease: LeaseState, delay_s: float) -> None:
        if lease.alarm_set:
            return

        def ring(_: simpy.Event) -> None:
            # Rounding may ring an ulp early; then advancing sets it again, now exactly.
            lease.alarm_set = False
            self._advance(lease)

        lease.alarm_set = True
        self.env.timeout(delay_s).callbacks.append(ring)

    def _start(self, task: int, now: float) -> None:
        """Run a task to its end; with fixed shares its three phases need no events between."""
        self._task_start_s[task] = now
        self.env.timeout(self._duration_s[task], task).callbacks.append(self._end)

    def _end(self, event: simpy.Event) -> None:
        task, now, lease_of = cast("int", event.value), self.env.now, self._lease_of
        self._task_end_s[task] = now
        lease = lease_of[task]
        lease.free_vcpus += self._need_vcpus[task]
        lease.free_memory += self._need_memory[task]
        lease.free_gpus += self._need_gpus[task]
        lease.running -= 1
        self._advance(lease)
        for child in self._children(task):
            self._unended_parents[child] -= 1
            if not self._unended_parents[child]:
                self._task_ready_s[child] = now
                waiting = lease_of[child]
                if waiting.next < waiting.stop and self._order[waiting.next] == child:
                    self._advance(waiting)
        if not lease.running and lease.next == lease.stop:
            lease.drained.succeed()

    def _children(self, task: int) -> list[int]:
        first, stop = self._child_ptr[task], self._child_ptr[task + 1]
        members: list[int] = self.plan.problem.workflow.children[first:stop].tolist()
        return members

    def _result(self) -> SimulationResult:
        plan, (fetch_s, compute_s, store_s) = self.plan, self._phases_s
        waits = waits_s(
            plan.task_start_s,
            self._task_start_s,
            parents=self._task_ready_s,
            boot=self._lease_ready_s[plan.task_lease],
            order=self._started_before_s(),
        )
        price = np.array([t.price_usd_per_hour for t in plan.problem.catalog.types])
        return SimulationResult(
            problem=plan.problem,
            tasks=TaskRecords(
                lease=plan.task_lease,
                ready_s=self._task_ready_s,
                start_s=self._task_start_s,
                fetch_s=fetch_s,
                compute_s=compute_s,
                store_s=store_s,
                end_s=self._task_end_s,
                **waits,
            ),
            leases=LeaseRecords(
                type=plan.lease_type,
                requested_s=self._requested_s,
                ready_s=self._lease_ready_s,
                released_s=self._released_s,
                billed_s=self._billed_s,
                cost_usd=price[plan.lease_type] / 3600 * self._billed_s,
                tasks=np.diff(self._lease_ptr),
                busy_vcpu_s=self._busy_vcpu_s(plan.task_lease),
            ),
        )

    def _started_before_s(self) -> FloatArray:
        """Return when the task before each one on its lease started; -inf for the first."""
        order = np.array(self._order)
        before = np.full(order.size, -np.inf)
        before[order[1:]] = self._task_start_s[order[:-1]]
        first = self._lease_ptr[:-1][np.diff(self._lease_ptr) > 0]
        before[order[first]] = -np.inf
        return before

    def _busy_vcpu_s(self, task_lease: Int32Array) -> FloatArray:
        held = (self._task_end_s - self._task_start_s) * self.plan.problem.workflow.vcpus
        busy: FloatArray = np.bincount(
            task_lease, weights=held, minlength=self.plan.n_leases
        ).astype(np.float64)
        return busy
