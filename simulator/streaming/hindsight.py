"""What a stream would cost at least if it were known in advance.

For one seed, with what its tasks really take and when its machines really are ready:

- ``work_usd``: no schedule that runs all jobs costs less, whenever they end;
- ``usd``: no schedule costs less in which every job ends by its deadline, except those that nothing
  could save: jobs whose deadline could not be met even by machines that are ready when they
  arrive. Those, and jobs without a deadline, may end at any time: of them it counts at most the
  work.

So a run that misses no other deadline never costs less than ``usd``; one that misses some may, but
never less than ``work_usd``. Both hold for all schedules that start once a job has arrived, request
no lease before time 0, use no more machines than the largest fleet that was seen, and start no task
more often than was seen: machines and attempts beyond have luck that nobody met.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from autoscale.lp.bound import CostBound
from autoscale.lp.work import work_bound_usd
from simulator.luck import BOOT_TIME, RUNTIME_LEASE, Luck
from simulator.streams import merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autoscale.lp.bound import Bound
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from simulator.records import SimulationResult
    from simulator.streaming.scenario import Scenario, Stream

SHORTENED = 1 - 1e-9
"""Durations of records are differences of times: they may be short by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """Lower bounds on the cost of a stream known in advance; see the module.

    Parameters
    ----------
    usd
        On schedules that meet every deadline that could be met, USD; NaN where nothing is known.
    work_usd
        On all schedules, USD.
    late
        Jobs whose deadline nothing could meet.
    method
        One line for reports.
    """

    usd: float
    work_usd: float
    late: int
    method: str


def hindsight(
    scenario: Scenario,
    stream: Stream,
    seed: int,
    results: Sequence[SimulationResult],
    *,
    time_limit_s: float,
) -> Hindsight:
    """Return what a stream costs at least.

    Parameters
    ----------
    scenario, stream, seed
        The stream and its luck.
    results
        The runs that the bound is for: they say how many machines and attempts there were.
    time_limit_s
        Seconds after which the relaxation is left as it is, > 0.
    """
    spot = scenario.luck.spot
    if spot is not None and spot.markets:
        return Hindsight(usd=math.nan, work_usd=math.nan, late=0, method="none: prices vary")
    true = _true(scenario, stream, seed, results)
    first = np.cumsum([0, *(len(job.problem.workflow) for job in stream.jobs)])
    stated = [job.problem.deadline_s for job in stream.jobs]
    arrival_s = np.array([job.arrival_s for job in stream.jobs])
    due_s = arrival_s + np.array([math.inf if d is None else d for d in stated])
    end_s = _soonest_s(true, np.repeat(arrival_s, np.diff(first)), first[:-1])
    work_usd = work_bound_usd(true)
    usd, method = work_usd, "work"
    counted = np.flatnonzero((end_s <= due_s) & np.isfinite(due_s))
    if counted.size:
        some = _only(true, stream, counted, first)
        sizes = np.diff(first)[counted]
        windows = (np.repeat(arrival_s[counted], sizes), np.repeat(due_s[counted], sizes))
        found = _bound(some, *windows, time_limit_s)
        if math.isfinite(found.usd) and found.usd > work_usd:
            usd, method = found.usd, found.method
    return Hindsight(usd=usd, work_usd=work_usd, late=int((end_s > due_s).sum()), method=method)


def _true(
    scenario: Scenario, stream: Stream, seed: int, results: Sequence[SimulationResult]
) -> Problem:
    """Return the problem of all jobs with what they really take, at the luckiest."""
    problem = merged(stream.jobs)
    chance = scenario.luck
    luck = Luck(chance, problem, seed)
    w = problem.workflow
    machines = max((r.n_leases for r in results), default=1) or 1
    attempts = max((int(r.tasks.attempts.max(initial=1)) for r in results), default=1)
    factor = np.ones(len(w)) if luck.truth is None else np.array(luck.truth)
    factor = factor * _least_noise(luck, len(w), attempts)
    factor *= min(luck.draw(RUNTIME_LEASE, m) for m in range(machines))
    boot_s = min(luck.draw(BOOT_TIME, m) for m in range(machines))
    runtime_s = w.runtime_s * factor * SHORTENED
    runtime_s.flags.writeable = False
    network = chance.network
    shared = network is not None and (network.cache or network.sharing != "fixed")
    return replace(
        problem,
        workflow=w.replace(runtime_s=runtime_s),
        boot_s=boot_s,
        transfers=problem.transfers and not shared,
    )


def _least_noise(luck: Luck, n: int, attempts: int) -> FloatArray:
    """Return each task's smallest noise over as many attempts as were seen."""
    if luck.task_factor_first is None:
        return np.ones(n)
    least = np.array(luck.task_factor_first)
    for attempt in range(1, attempts):
        again = np.array([luck.task_factor(task, attempt) for task in range(n)])
        least = np.minimum(least, again)
    return least


def _soonest_s(true: Problem, arrival_s: FloatArray, first: IntArray) -> FloatArray:
    """Return when each job ends at the soonest, on machines that are ready, shape (jobs,)."""
    from autoscale.lp import kernels

    w = true.workflow
    ready_s = np.maximum(arrival_s, true.boot_s)
    start_s = kernels.earliest_starts(w.parent_ptr, w.parents, true.fastest_s, ready_s)
    out: FloatArray = np.maximum.reduceat(start_s + true.fastest_s, first)
    return out


def _only(true: Problem, stream: Stream, jobs: IntArray, first: IntArray) -> Problem:
    """Return the problem of some of the jobs."""
    if jobs.size == len(stream.jobs):
        return true
    some = merged(tuple(stream.jobs[int(j)] for j in jobs))
    tasks = np.concatenate([np.arange(first[j], first[j + 1]) for j in jobs])
    runtime_s = true.workflow.runtime_s[tasks]
    runtime_s.flags.writeable = False
    return replace(
        some,
        workflow=some.workflow.replace(runtime_s=runtime_s),
        boot_s=true.boot_s,
        transfers=true.transfers,
    )


def _bound(
    problem: Problem, arrival_s: FloatArray, due_s: FloatArray, time_limit_s: float
) -> Bound:
    """Return the fleet relaxation's bound on running tasks within their windows."""
    return CostBound(
        problem.replace(deadline_s=float(due_s.max())),
        clock_limit_s=time.perf_counter() + time_limit_s,
        release_s=arrival_s,
        due_s=due_s,
    ).root()
