"""A plan as a policy, and a policy that takes over where reality drifts too far from a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.policies.protocol import ENDED, READY, WAITING, Decision

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan
    from autoscale.policies.protocol import ClusterState, JobView, LeaseView, Policy


class PlanPolicy:
    """Follows a plan for one job: its leases, its order on each lease, its planned starts.

    A lease that is lost or about to be interrupted is launched again for the tasks that are left.
    With all chance off a feasible plan is reproduced.

    Parameters
    ----------
    plan
        A feasible plan; the only job of the stream is its workflow, arriving at 0.
    """

    name = "plan"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        n = len(plan.problem.workflow)
        order = np.lexsort((np.arange(n), plan.task_start_s, plan.task_lease))
        stops = np.cumsum(np.bincount(plan.task_lease, minlength=plan.n_leases))
        self._tasks = [part.tolist() for part in np.split(order, stops[:-1])]
        last_s = np.zeros(plan.n_leases)
        np.maximum.at(last_s, plan.task_lease, plan.task_end_s)
        self._hold_s = np.maximum(plan.lease_end_s - last_s, 0.0)
        self._lease: list[int | None] = [None] * plan.n_leases
        self._over = [False] * plan.n_leases

    def __call__(self, state: ClusterState) -> Decision:
        """Return what the plan does now."""
        if not state.jobs:
            return Decision()
        (job,) = state.jobs
        held = {lease.number: lease for lease in state.leases}
        launches: list[int] = []
        assignments: list[tuple[int, int]] = []
        releases: list[int] = []
        for number in range(self.plan.n_leases):
            if self._over[number] or self.plan.lease_start_s[number] > state.now_s:
                continue
            if self._ends(number, job, state.now_s):
                self._over[number] = True
                at = self._lease[number]
                releases += [at] if at in held else []
                continue
            at = self._lease[number]
            if at is None or at not in held or held[at].leaves_s is not None:
                at = self._lease[number] = state.next_lease + len(launches)
                launches.append(int(self.plan.lease_type[number]))
            assignments += [(task, at) for task in self._due(number, job, state.now_s)]
        releases += self._left_behind(state.leases)
        return Decision(
            launches=tuple(launches),
            assignments=tuple(assignments),
            releases=tuple(dict.fromkeys(releases)),
            wake_s=self._next_s(job, state.now_s),
        )

    def _ends(self, number: int, job: JobView, now_s: float) -> bool:
        tasks = self._tasks[number]
        if not tasks:
            return now_s >= float(self.plan.lease_end_s[number])
        if not (job.status[tasks] == ENDED).all():
            return False
        return now_s >= float(job.end_s[tasks].max() + self._hold_s[number])

    def _due(self, number: int, job: JobView, now_s: float) -> list[int]:
        planned_s = self.plan.task_start_s
        due = [t for t in self._tasks[number] if planned_s[t] <= now_s]
        return [job.first + t for t in due if job.status[t] in (WAITING, READY)]

    def _left_behind(self, leases: tuple[LeaseView, ...]) -> list[int]:
        """Return the leases that are about to be interrupted and have nothing left to do."""
        return [lease.number for lease in leases if lease.leaves_s is not None and lease.idle]

    def _next_s(self, job: JobView, now_s: float) -> float | None:
        """Return when the plan does something next, without anything happening before."""
        plan = self.plan
        times = [float(t) for t in plan.lease_start_s if t > now_s]
        waiting = (job.status <= READY) & (plan.task_start_s > now_s)
        times += [float(t) for t in plan.task_start_s[waiting]]
        for number, tasks in enumerate(self._tasks):
            if not self._over[number] and (job.status[tasks] == ENDED).all():
                last_s = float(job.end_s[tasks].max()) if tasks else 0.0
                hold_s = float(self._hold_s[number]) if tasks else float(plan.lease_end_s[number])
                times += [last_s + hold_s] if last_s + hold_s > now_s else []
        return min(times, default=None)

    def drift_s(self, state: ClusterState) -> float:
        """Return by how much the latest task that has not started is late, seconds."""
        if not state.jobs:
            return 0.0
        unstarted = np.isnan(state.jobs[0].start_s)
        late_s = state.now_s - self.plan.task_start_s[unstarted]
        return float(late_s.max(initial=0.0))


class HandOver:
    """Follows a plan until a task is too late, then leaves everything to another policy.

    Parameters
    ----------
    plan
        As of :class:`PlanPolicy`.
    then
        The policy that takes over, with the leases that are held and what is queued on them.
    drift_s
        It takes over once a task starts later than planned by more than this, seconds.
    """

    def __init__(self, plan: Plan, then: Policy, *, drift_s: float) -> None:
        self._first = PlanPolicy(plan)
        self._then = then
        self._drift_s = drift_s
        self.handed_over_s: float | None = None

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"plan, then {self._then.name}"

    def __call__(self, state: ClusterState) -> Decision:
        """Return the plan's decision, or the other policy's."""
        if self.handed_over_s is None and self._first.drift_s(state) > self._drift_s:
            self.handed_over_s = state.now_s
        return (self._first if self.handed_over_s is None else self._then)(state)
