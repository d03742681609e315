"""Scheduling-first (Mao and Humphrey, IPDPS'13): a plan for each job within its share, then fleet.

Every interval the budget is shared among the open jobs: each is first guaranteed its cheapest plan,
by priority, and what is left goes by priority weights. A job's plan starts on the cheapest types;
the upgrade with the most seconds off the makespan for a dollar is made as long as the job's share
pays for it; what is left over goes to the next job. The plans make load vectors and these a fleet,
partial hours consolidated as in SCS; jobs that the budget does not reach wait. Tasks go by priority
and rank, to the type of their plan, else to any other that is idle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.policies.about import About
from autoscale.policies.loads import consolidate, machines, peaks
from autoscale.policies.planning import Dated
from autoscale.policies.spending import Budgeted
from autoscale.units import COST_TOL_USD

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.policies.about import Terms
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.loads import Loads
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.subdeadlines.dates import Dates
    from autoscale.policies.work import OpenJob

ABOUT = About(
    aim="turnaround",
    summary="the fastest plan of each job within its share of the hourly budget, then the fleet",
    source="Mao and Humphrey, IPDPS'13 (scheduling-first)",
    reconstruction=(
        "from the abstract and memory: a plan costs its work spread over its makespan, an hour at "
        "least; that tasks take idle machines of other types"
    ),
)


def shares_of_budget(
    least: FloatArray, priority: FloatArray, budget: float
) -> tuple[FloatArray, FloatArray]:
    """Return what each job is given, and whether it runs, jobs in the order of priority.

    Parameters
    ----------
    least
        What each job's cheapest plan costs, USD per hour.
    priority
        Weights.
    budget
        USD per hour.

    Examples
    --------
    Three jobs that need $2, $5 and $1 of $7, with weights of 3, 2 and 1: the second cannot be paid
    for beside the first, the third can; the $4 that are left go three to one.

    >>> given, runs = shares_of_budget(np.array([2.0, 5.0, 1.0]), np.array([3.0, 2.0, 1.0]), 6.0)
    >>> given.tolist(), runs.tolist()
    ([4.25, 0.0, 1.75], [True, False, True])
    """
    runs = np.zeros(least.size, dtype=bool)
    left = budget
    for j, usd in enumerate(least.tolist()):
        # Whoever comes first always runs: alone it has all machines that the budget pays for.
        if usd <= left + COST_TOL_USD or not j:
            runs[j] = True
            left -= min(usd, left)
    weight = np.where(runs, priority, 0.0)
    given = np.where(runs, np.minimum(least, budget), 0.0) + left * weight / weight.sum()
    return given, runs


class SchedulingFirst(Budgeted):
    """Scheduling-first for one run."""

    name = "scheduling-first"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.dated = Dated(self.work, rule="soonest")
        self._others: dict[int, list[list[int]]] = {}
        self._wanted: list[int] = []

    def look(self, state: ClusterState) -> None:
        """Take note of new jobs and leases; order types by durations."""
        super().look(state)
        self.dated.look(state)
        for job in self.work.ended:
            self._others.pop(job.number, None)
        for job in self.work.arrived:
            self._others[job.number] = [
                [k for k in np.argsort(held, kind="stable").tolist() if math.isfinite(held[k])]
                for held in job.table_s
            ]

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Share the budget out, plan the jobs, make the fleet."""
        jobs = sorted(self.work.jobs.values(), key=lambda job: (-job.priority, job.number))
        if not jobs:
            return
        dates = [self.dated.of[job.number] for job in jobs]
        for one in dates:
            self._assign(one, state, 0.0)
        least = np.array([one.usd_per_hour for one in dates])
        weights = np.array([job.priority for job in jobs])
        given, runs = shares_of_budget(least, weights, self.budget)
        left = 0.0
        for one, usd, run in zip(dates, given.tolist(), runs.tolist(), strict=True):
            if run:
                self._assign(one, state, usd + left)
                left = max(0.0, usd + left - one.usd_per_hour)
        order = [job.number for job, run in zip(jobs, runs.tolist(), strict=True) if run]
        self._scale(state, fleet, order)
        self.requeue()

    def _assign(self, dates: Dates, state: ClusterState, usd_per_hour: float) -> None:
        wait_s = 0.0 if dates.started else self.problem.boot_s
        entry_s = state.now_s + wait_s
        dates.assign(state.now_s, entry_s, self.dated.kinds.of, usd_per_hour=usd_per_hour)

    def _scale(self, state: ClusterState, fleet: Fleet, order: list[int]) -> None:
        """Set the fleet by the loads of the plans, job by job as far as the budget reaches."""
        until_s = state.now_s + self.problem.boot_s + self.interval_s
        price = 3600.0 * state.catalog.price_per_s
        loads = self.dated.loads(state)
        consolidate(loads, fleet.held, price, state.now_s, until_s)
        self.dated.moved(loads)
        running = loads.owner[:, 0] < 0
        taken = running
        for number in order:
            more = taken | (loads.owner[:, 0] == number)
            if float(self._machines(loads, more, state, until_s) @ price) <= self.budget + 1e-9:
                taken = more
        self._wanted = self._machines(loads, taken, state, until_s).tolist()

    def _machines(self, loads: Loads, rows: Any, state: ClusterState, until_s: float) -> Any:
        return machines(peaks(loads.only(rows), len(state.catalog), state.now_s, until_s))

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the type of the plan, then the others by durations."""
        kind = self.dated.kind(job, i)
        return [kind, *(k for k in self._others[job.number][job.cls[i]] if k != kind)]

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return what was set at the last plan."""
        return self.within(self._wanted, 3600.0 * state.catalog.price_per_s)


def make(terms: Terms) -> SchedulingFirst:
    """Return scheduling-first for one run.

    Raises
    ------
    InputError
        No budget by the hour.
    """
    return SchedulingFirst(terms)
