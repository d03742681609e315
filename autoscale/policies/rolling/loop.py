"""What every policy with a rolling horizon does: take in, plan, dispatch, give back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from autoscale.policies.protocol import ENDED, Decision
from autoscale.policies.rolling.dispatch import Dispatch
from autoscale.policies.rolling.fleet import Fleet
from autoscale.policies.rolling.learning import BootTimes, RuntimeRatios
from autoscale.policies.rolling.outlook import Extra, Outlook
from autoscale.policies.rolling.work import Backlog, Caution
from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState, LeaseView
    from autoscale.policies.rolling.work import JobWork

STEP_S = 60.0
"""The plan is made anew at least so often while work is open, seconds."""


class RollingPolicy(ABC):
    """Plans all known work, acts on the first step, and plans again.

    Parameters
    ----------
    terms
        What it is told.
    caution
        How much it hedges.
    """

    name = "rolling"

    def __init__(self, terms: Terms, caution: Caution | None = None) -> None:
        self.terms = terms
        self.caution = caution or Caution()
        self._backlog = Backlog()
        self._ratios = RuntimeRatios()
        self._fleet: Fleet
        self._boots: BootTimes
        self._seen = 0
        self._next_plan_s = math.inf
        self._pending: list[Extra] = []
        self._outlook: Outlook | None = None

    @abstractmethod
    def _enter(self, job: JobWork, now_s: float) -> None:
        """Set the windows and the order of a job that has arrived."""

    @abstractmethod
    def _plan(self, state: ClusterState) -> tuple[int, ...]:
        """Make the plan anew; return the types to launch now."""

    @abstractmethod
    def _renews(self, state: ClusterState, number: int) -> bool:
        """Return whether a lease is kept for another quantum so that it can take more work."""

    @abstractmethod
    def _needed(self, state: ClusterState, view: LeaseView) -> bool:
        """Return whether an idle lease is better kept beyond what is paid."""

    def __call__(self, state: ClusterState) -> Decision:
        """Return what to do now."""
        if not self._seen and not state.jobs:
            return Decision()
        self._outlook, self._pending = None, []
        news = self._take_in(state)
        launches: tuple[int, ...] = ()
        if not self._backlog.jobs:
            self._next_plan_s = math.inf
        elif news or state.now_s >= self._next_plan_s - TIME_TOL_S:
            launches = self._plan(state)
        dispatch = Dispatch(
            state.now_s,
            self._backlog,
            self._fleet,
            caution=self._ratios.sd,
            urgent_s=self._boots.quantile(self.caution.boot_share),
        )
        assignments = dispatch.run(lambda number: self._renews(state, number))
        releases, wakes = self._give_back(state, dispatch.used)
        wakes = [t for t in (*wakes, self._next_plan_s) if state.now_s < t < math.inf]
        return Decision(
            launches=launches,
            assignments=tuple(assignments),
            releases=tuple(releases),
            wake_s=min(wakes, default=None),
        )

    # -- what has happened ------------------------------------------------------------------

    def _take_in(self, state: ClusterState) -> bool:
        """Take in what is new; return whether the plan must be made anew."""
        new = [view for view in state.jobs if view.number >= self._seen]
        if not self._seen:
            rules = new[0].job.problem
            self._fleet, self._boots = Fleet(rules.billing), BootTimes(rules.boot_s)
        for lease in self._fleet.update(state.leases, state.now_s):
            assert lease.ready_s is not None
            self._boots.observe(lease.ready_s - lease.requested_s)
        for lease in state.leases:
            self._backlog.add_column(lease.type)
        for view in new:
            job = self._backlog.arrive(view)
            job.learn(self._ratios)
            self._enter(job, state.now_s)
            self._seen = view.number + 1
            for local in (job.pending == 0).nonzero()[0].tolist():
                self._backlog.push(view.first + local)
        lost = self._follow(state)
        leaving = any(view.leaves_s is not None for view in state.leases)
        return bool(new or lost or state.gone or leaving)

    def _follow(self, state: ClusterState) -> bool:
        """Follow what ran; return whether anything was lost."""
        backlog = self._backlog
        now = {task for lease in state.leases for task in lease.running}
        over = [task for task in backlog.running if task not in now]
        lost = False
        for task in over:
            job, column = backlog.job_of(task), backlog.running.pop(task)
            local = task - job.view.first
            if job.view.status[local] == ENDED:
                self._observe(job, local, column)
                backlog.ended(task)
            else:
                lost = True
                backlog.push(task)
        if over:
            backlog.drop_ended()
        return lost

    def _observe(self, job: JobWork, local: int, column: int) -> None:
        stated_s = float(job.stated[local, column])
        if stated_s > 1.0:
            w = job.problem.workflow
            took_s = float(job.view.end_s[local] - job.view.start_s[local])
            self._ratios.observe(w.categories[w.category[local]], took_s / stated_s)

    def _look(self, state: ClusterState) -> Outlook:
        if self._outlook is None:
            self._outlook = Outlook(
                state.now_s,
                self._backlog,
                self._fleet,
                self._boots,
                state.catalog,
                self.caution,
            )
        return self._outlook

    def _give_back(self, state: ClusterState, used: set[int]) -> tuple[list[int], list[float]]:
        """Return the leases to release now, and when to look again."""
        releases: list[int] = []
        wakes: list[float] = []
        for view in state.leases:
            if not view.idle or view.number in used:
                continue
            if view.leaves_s is not None:
                releases.append(view.number)
                continue
            paid_s = self._fleet.held[view.number].paid_until_s
            if view.ready_s is None:
                continue
            if state.now_s < paid_s - TIME_TOL_S:
                wakes.append(paid_s)
            elif self._needed(state, view):
                wakes.append(self._hold(state, view))
            else:
                releases.append(view.number)
        return releases, wakes

    def _hold(self, state: ClusterState, view: LeaseView) -> float:
        """Keep a lease; return when to look again."""
        if self._fleet.coarse:
            held = self._fleet.held[view.number]
            held.paid_until_s += self._fleet.billing.quantum_s
            return held.paid_until_s
        return state.now_s + STEP_S
