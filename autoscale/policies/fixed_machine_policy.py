"""Fixed machine: a fleet of one general type within the hourly budget, the baseline of IPDPS'13.

Mao and Humphrey, IPDPS'13, compare with a fleet of a fixed general type. It grows with what runs
and waits up to what the budget pays for; jobs go by priority, tasks of a job by upward rank.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.policies.about import About
from autoscale.policies.loads import EPS
from autoscale.policies.one_type import busy_shares
from autoscale.policies.spending import Budgeted
from autoscale.units import COST_TOL_USD

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

ABOUT = About(
    aim="turnaround",
    summary="a fleet of one general type within the hourly budget",
    source="Mao and Humphrey, IPDPS'13 (baseline)",
    reconstruction=(
        "the general type: of category general where there is one, fitting most tasks, the least "
        "expensive an hour; tasks that do not fit it get the cheapest type that they fit"
    ),
)


class FixedMachine(Budgeted):
    """A fleet of one type for one run."""

    name = "fixed-machine"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.general = -1
        self._liked: dict[int, list[int]] = {}
        self._wanted: list[int] = []

    def look(self, state: ClusterState) -> None:
        """Choose the type once; find types for what does not fit it."""
        super().look(state)
        for job in self.work.ended:
            self._liked.pop(job.number, None)
        for job in self.work.arrived:
            if self.general < 0:
                self.general = _general(job)
            fits = np.isfinite(job.table_s[:, self.general])
            liked = np.where(fits, self.general, np.argmin(job.usd(), axis=1))
            self._liked[job.number] = liked.tolist()

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the general type where a task fits it, else the cheapest that it fits."""
        return [self._liked[job.number][job.cls[i]]]

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Set the fleet by what runs and waits, within the budget."""
        demand = busy_shares(state)
        waiting = [(job, i) for _, _, job, i in self.queue.items()] + self.work.fresh
        for job, i in waiting:
            kind = self.types_of(job, i)[0]
            demand[kind] += job.shares[job.cls[i], kind]
        price = 3600.0 * state.catalog.price_per_s
        most = np.floor((self.budget + COST_TOL_USD) / price)
        self._wanted = [math.ceil(d - EPS) for d in np.minimum(demand, most).tolist()]

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return what was set at the last plan."""
        return self.within(self._wanted, 3600.0 * state.catalog.price_per_s)


def _general(job: OpenJob) -> int:
    """Return the general type: see ``ABOUT``."""
    catalog = job.problem.catalog
    unfit = (~np.isfinite(job.table_s))[job.problem.task_class].sum(axis=0)
    named = np.array([not t.category.startswith("general") for t in catalog])
    usable = ~np.isfinite(job.table_s).any(axis=0)
    return int(np.lexsort((catalog.price_per_s, unfit, named, usable))[0])


def make(terms: Terms) -> FixedMachine:
    """Return a fleet of one type for one run.

    Raises
    ------
    InputError
        No budget by the hour.
    """
    return FixedMachine(terms)
