"""Our own policy for budgets: least weighted turnaround within what each hour may cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.policies.about import About
from autoscale.policies.rolling.loop import STEP_S, RollingPolicy
from autoscale.policies.rolling.mix import Mix
from autoscale.policies.rolling.outlook import Extra
from autoscale.units import COST_TOL_USD, TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState, LeaseView, Policy
    from autoscale.policies.rolling.work import JobWork

ABOUT = About(
    aim="turnaround",
    summary="our own: rolling horizon, leases where they save most weighted turnaround per USD",
)

PLACE_S = 1e8
"""Places in the order of jobs lie so far apart, more than any workflow is long."""

WORTHWHILE_S = 20.0
"""A lease is launched if it brings the jobs' ends forward by this much together, seconds."""

NEVER_S = 1e6
"""A job that never ends counts as ending so much later than now, seconds."""

BUSY_S = 3600.0
"""The fleet that is aimed at does the work that is open in so long, seconds."""

SPARE = 1.3
"""It does so many times the work that has arrived on average."""

WARM_S = 900.0
"""An idle lease is kept within the budget if it has worked so recently, seconds."""


def make(terms: Terms) -> Policy:
    """Return a fresh policy.

    Raises
    ------
    InputError
        The terms state no hourly budget.
    """
    return BudgetPolicy(terms)


class BudgetPolicy(RollingPolicy):
    """Least weighted turnaround within an hourly budget, see ``docs/policy-lp.md``.

    At no moment do the leases that are paid cost more than the budget by the hour, so that no hour
    of the clock does, whatever chance brings.
    """

    name = "lp-budget"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        if terms.budget_usd_per_hour is None:
            raise InputError("policy 'lp-budget': expected a budget per hour in the terms")
        self._budget_usd_per_s = terms.budget_usd_per_hour / 3600
        self._mix = Mix()
        self._first_s: float | None = None
        self._target: dict[int, int] = {}
        self._worked_s: dict[int, float] = {}
        self._sunk: list[tuple[float, float]] = []

    # -- the order of work ------------------------------------------------------------------

    def _enter(self, job: JobWork, now_s: float) -> None:
        job.due = np.zeros(job.n)
        job.limit = np.full(job.n, np.inf)
        job.worth_usd = job.view.job.priority
        job.set_ranks(now_s)
        self._order()
        self._mix.add(job)
        self._first_s = job.view.job.arrival_s if self._first_s is None else self._first_s
        self._target = {}

    def _order(self) -> None:
        """Put jobs in the order of remaining work per priority, tasks by what follows them."""
        jobs = self._backlog.jobs.values()
        by_work = sorted(jobs, key=lambda j: (j.work_left_usd() / j.worth_usd, j.view.number))
        for place, job in enumerate(by_work):
            job.key = PLACE_S * place - job.rank_s

    # -- which leases -----------------------------------------------------------------------

    def _plan(self, state: ClusterState) -> tuple[int, ...]:
        backlog, now_s = self._backlog, state.now_s
        backlog.learn(self._ratios, now_s)
        for job in backlog.jobs.values():
            job.set_ranks(now_s)
        self._order()
        backlog.rebuild_ready()
        for held in self._fleet.held.values():
            held.leaving = False
        self._next_plan_s = now_s + STEP_S
        if not self._target:
            self._aim(state)
        free_usd = self._budget_usd_per_s - self._paid_usd_per_s(state)
        self._pending = self._add(state, free_usd)
        return tuple(backlog.columns[e.column] for e in self._pending for _ in range(e.count))

    def _aim(self, state: ClusterState) -> None:
        """Choose the fleet to aim at: of the fastest types that suffice for what arrives."""
        catalog, columns = state.catalog, np.array(self._backlog.columns)
        room = np.stack([catalog.vcpus, catalog.memory_bytes, catalog.gpus], axis=1)[columns]
        room = room.astype(np.float64)
        price = catalog.price_per_s[columns]
        speed = self._mix.speed(columns.size)
        since_s = max(state.now_s - (self._first_s or 0.0), BUSY_S)
        left_s = math.fsum(job.work_left_s() for job in self._backlog.jobs.values())
        wanted = max(SPARE / since_s, left_s / (BUSY_S * self._mix.work_s()))
        for least in sorted(set(np.round(speed, 3).tolist()), reverse=True):
            allowed = speed >= least - 1e-3
            counts, share = self._mix.best(room, price, self._budget_usd_per_s, allowed)
            if share >= wanted:
                break
        self._target = {int(k): int(n) for k, n in zip(columns, counts, strict=True)}

    def _ends_s(self, state: ClusterState, extra: list[Extra]) -> float:
        """Return the weighted sum of when the open jobs end, with leases added."""
        last_s = self._look(state).play(extra).last_s
        weight = np.array([job.worth_usd for job in self._backlog.jobs.values()])
        return float(weight @ np.minimum(last_s, state.now_s + NEVER_S))

    def _worthwhile_s(self) -> float:
        jobs = self._backlog.jobs.values()
        return WORTHWHILE_S * math.fsum(job.worth_usd for job in jobs) / len(jobs)

    def _add(self, state: ClusterState, free_usd: float) -> list[Extra]:
        """Return the leases to add, each where a dollar saves most."""
        extra: list[Extra] = list(self._pending)
        ends_s = self._ends_s(state, extra)
        prices = state.catalog.price_per_s[np.array(self._backlog.columns)].tolist()
        options = range(len(prices))
        wanted = [self._wanted(state, kind) for kind in self._backlog.columns]
        for one in extra:
            wanted[one.column] -= one.count
        while True:
            best: tuple[float, float, Extra] | None = None
            for column in options:
                count = min(self._chunk(free_usd, prices[column]), wanted[column])
                if count < 1:
                    continue
                more = Extra(column, count, state.now_s)
                then_s = self._ends_s(state, [*extra, more])
                rate = (ends_s - then_s) / (count * prices[column])
                if ends_s - then_s > self._worthwhile_s() and (best is None or rate > best[0]):
                    best = (rate, then_s, more)
            if best is None:
                return extra
            extra.append(best[2])
            ends_s = best[1]
            free_usd -= best[2].count * prices[best[2].column]
            wanted[best[2].column] -= best[2].count

    def _wanted(self, state: ClusterState, kind: int) -> int:
        """Return how many more leases of a type the fleet that is aimed at has."""
        held = self._fleet.held
        staying = sum(v.type == kind and not held[v.number].leaving for v in state.leases)
        return self._target.get(kind, 0) - staying

    def _chunk(self, free_usd: float, usd: float) -> int:
        """Return how many leases to add in one step: one, or more where many are affordable."""
        affordable = math.floor((free_usd + COST_TOL_USD / 3600) / usd)
        return min(affordable, max(1, affordable // 16))

    def _paid_usd_per_s(self, state: ClusterState) -> float:
        """Return what is paid by the second now: leases held, and those gone before their time."""
        price = state.catalog.price_per_s
        held = math.fsum(float(price[view.type]) for view in state.leases)
        self._sunk = [one for one in self._sunk if one[0] > state.now_s + TIME_TOL_S]
        return held + math.fsum(usd for _, usd in self._sunk)

    def _take_in(self, state: ClusterState) -> bool:
        if self._seen:
            for number in state.gone:
                view, held = self._fleet.views[number], self._fleet.held[number]
                price = float(state.catalog.price_per_s[view.type])
                self._sunk.append((held.paid_until_s, price))
                self._worked_s.pop(number, None)
        news = super()._take_in(state)
        for view in state.leases:
            if view.running or view.ready_s is None:
                self._worked_s[view.number] = state.now_s
        return news

    def _renews(self, state: ClusterState, number: int) -> bool:
        held = self._fleet.held[number]
        if held.leaving:
            return False
        if self._wanted(state, self._fleet.views[number].type) < 0:
            held.leaving = True
            return False
        held.paid_until_s += self._fleet.billing.quantum_s
        return True

    def _needed(self, state: ClusterState, view: LeaseView) -> bool:
        if self._wanted(state, view.type) < 0:
            self._fleet.held[view.number].leaving = True
            return False
        if self._backlog.jobs:
            outlook = self._look(state)
            soon_s = state.now_s + outlook.boot_s
            if outlook.first_use_s(self._pending)[view.number] <= soon_s:
                return True
        return state.now_s - self._worked_s.get(view.number, -math.inf) < WARM_S
