"""Ensembles within one budget and one deadline: what DPDS and WA-DPDS have in common.

Malawski, Juve, Deelman and Nabrzyski, SC'12. A fleet of one type starts with as many machines as
the budget pays for until the deadline. Every interval it shrinks if the budget cannot pay for
another quantum of those whose quantum is over; else it grows by one where nearly all are busy, and
loses half of those that are idle where many are. Ready tasks go in the order of their workflows'
priorities.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.policies.autoscaler import Autoscaler
from autoscale.policies.fleet import paid_until_s
from autoscale.policies.loads import EPS
from autoscale.policies.protocol import RUNNING
from autoscale.units import COST_TOL_USD, TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Fleet, Room
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

HIGH, LOW = 0.9, 0.7
"""Shares of busy machines above which the fleet grows and below which it shrinks."""

MOST = 1.0
"""It never grows beyond so many times its first size."""


class Ensemble(Autoscaler):
    """Dynamic provisioning and dynamic scheduling, for one run."""

    name = "dpds"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        for term in ("budget_usd", "horizon_s"):
            if getattr(terms, term) is None:
                raise InputError(
                    f"policy {self.name!r}: {term}: expected a number > 0, got none; this policy "
                    "runs an ensemble within one budget by one deadline"
                )
        self.budget_usd: float = terms.budget_usd or 0.0
        self.deadline_s: float = terms.horizon_s or 0.0
        self.kind = -1
        self._first_size = 0
        self._size = 0

    def look(self, state: ClusterState) -> None:
        """Choose the type once: that on which the work of all that is there costs least."""
        if self.kind >= 0 or not self.work.arrived:
            return
        usd = np.zeros(len(state.catalog))
        for job in self.work.arrived:
            usd += job.usd()[job.problem.task_class].sum(axis=0)
        if not np.isfinite(usd).any():
            raise InputError(
                f"policy {self.name!r}: no instance type fits all tasks of the ensemble; it runs "
                "on machines of one type"
            )
        self.kind = int(np.argmin(usd))
        price = float(state.catalog.price_per_s[self.kind])
        left_s = max(self.deadline_s - state.now_s, 1.0)
        self._first_size = self._size = math.ceil(self.budget_usd / (left_s * price) - EPS)

    @property
    def quantum_usd(self) -> float:
        """What another quantum of a machine costs."""
        price = float(self.problem.catalog.price_per_s[self.kind])
        return price * self.problem.billing.quantum_s

    @property
    def hold_usd(self) -> float:
        """Return what an idle machine costs until the next plan, where what is paid for is over."""
        price = float(self.problem.catalog.price_per_s[self.kind])
        return price * max(self.problem.billing.quantum_s, self.interval_s)

    def left_usd(self, state: ClusterState) -> float:
        """Return what is left of the budget."""
        return self.budget_usd - state.spent_usd

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Set the size of the fleet."""
        leases = [x for x in state.leases if x.leaves_s is None]
        idle = [x for x in leases if x.idle and x.ready_s is not None]
        soon_s = state.now_s + self.interval_s
        over = [x for x in idle if paid_until_s(x, self.problem.billing, state.now_s) <= soon_s]
        free_usd = self.left_usd(state) - self._committed_usd(state)
        if state.now_s >= self.deadline_s:
            self._size = 0
        elif free_usd < len(over) * self.hold_usd - COST_TOL_USD:
            affordable = max(0, math.floor(free_usd / self.hold_usd + EPS))
            self._size = len(leases) - max(0, len(over) - affordable)
        elif leases:
            used = 1 - len(idle) / len(leases)
            if used > HIGH and len(leases) < MOST * self._first_size:
                self._size = len(leases) + 1
            elif used < LOW:
                self._size = len(leases) - math.ceil(len(idle) / 2)

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return the fleet's size."""
        out = [0] * len(state.catalog)
        out[self.kind] = self._size
        return out

    def launchable(self, state: ClusterState, kinds: list[int]) -> list[int]:
        """Return the launches that the budget pays for, besides what runs."""
        if state.now_s >= self.deadline_s:
            return []
        price = float(state.catalog.price_per_s[self.kind])
        first_usd = price * self.problem.billing.billed_s(self.problem.boot_s + self.interval_s)
        idle = [x for x in state.leases if x.idle and x.leaves_s is None]
        free_usd = self.left_usd(state) - self._committed_usd(state) - self._waiting_usd(len(idle))
        return kinds[: max(0, math.floor(free_usd / first_usd + EPS))]

    def _waiting_usd(self, idle: int) -> float:
        """Return what idle machines cost until the next plan can give them back."""
        pays_by_use = self.problem.billing.quantum_s <= self.interval_s
        return idle * self.hold_usd if pays_by_use else 0.0

    def _committed_usd(self, state: ClusterState) -> float:
        """Return what is still to be charged for leases that boot and for tasks that run.

        When a task ends, its machine is there until the next plan can give it back.
        """
        pays_by_use = self.problem.billing.quantum_s <= self.interval_s
        until_plan_s = self.interval_s if pays_by_use else 0.0
        price, billing = float(state.catalog.price_per_s[self.kind]), self.problem.billing
        out = 0.0
        for lease in state.leases:
            ends = [state.now_s]
            if lease.ready_s is None:
                ends.append(lease.requested_s + self.problem.boot_s + self.interval_s)
            for task in lease.running:
                job, i = self.work.at(task)
                ends.append(job.expected_end_s(i, lease.type, state.now_s) + until_plan_s)
            held_s = max(ends) - lease.requested_s
            out += price * (
                billing.billed_s(held_s) - billing.billed_s(state.now_s - lease.requested_s)
            )
        return out

    def decide(self, state: ClusterState, fleet: Fleet) -> tuple[list[tuple[int, int]], list[int]]:
        """Place what has room, as far as the budget pays for it and it ends by the deadline."""
        self._now_s = state.now_s
        self._free_usd = self.left_usd(state) - self._committed_usd(state)
        self._free_usd -= self._waiting_usd(len(fleet.idle()))
        return super().decide(state, fleet)

    def place(self, fleet: Fleet, job: OpenJob, i: int) -> Room | None:
        """Return a lease with room, unless the task would be too late or too dear there."""
        room = fleet.best(job, i, self.kind)
        end_s = self._now_s + job.duration_s(i, self.kind)
        if room is None or end_s > self.deadline_s + TIME_TOL_S:
            return None
        quanta = math.ceil(max(0.0, end_s - room.paid_s) / self.problem.billing.quantum_s - EPS)
        usd = quanta * self.quantum_usd
        if usd > self._free_usd + COST_TOL_USD:
            return None
        self._free_usd -= usd
        room.paid_s += quanta * self.problem.billing.quantum_s
        return room

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the one type."""
        return [self.kind]

    def key(self, job: OpenJob, i: int) -> Key:
        """Return the order by priority, then arrival."""
        return (-job.priority, float(job.number))

    def awake(self, state: ClusterState) -> bool:
        """Return whether anything that is accepted is open, and the deadline is not over."""
        return state.now_s < self.deadline_s and any(
            self.accepts(job) for job in self.work.jobs.values()
        )

    def left_to_do_usd(self, job: OpenJob) -> float:
        """Return what the rest of a job costs on the one type, at the price of its time."""
        price = float(job.problem.catalog.price_per_s[self.kind])
        status = job.view.status
        table, share = job.table_s[:, self.kind], job.shares[:, self.kind]
        of = job.problem.task_class
        held_s = (table * share)[of]
        running = np.flatnonzero(status == RUNNING)
        part_s = held_s[status < RUNNING].sum()
        for i in running.tolist():
            begun_s = self._now_s - float(job.view.start_s[i])
            part_s += max(0.0, held_s[i] - begun_s * float(share[of[i]]))
        return float(part_s) * price
