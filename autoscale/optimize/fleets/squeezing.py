"""Cheaper fleets, and orders of the tasks in which they are in time.

Where leases are charged in quanta that outlast the deadline, a plan costs what its machines cost
for one quantum each, however long they are up. Then all that matters is which machines there are,
and whether some order of the tasks ends in time on them. Fleets near that of the best plan that
cost less are put to the test: the order of a list schedule is changed task by task until its
makespan is short enough. Fleets that come close get more of the effort (successive halving,
Karnin, Koren, Somekh, ICML 2013), and the first that succeeds is the next to be undercut.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

from autoscale.optimize.fleets.search import MACHINES_A_SECOND, SURELY, plan_on
from autoscale.optimize.portfolio import preferred_types
from autoscale.plan.decode import capacities, needs
from autoscale.schedulers.list_scheduler import lateness_s

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ROUNDS = 5
"""In each, the half of the fleets that came closest is left, with twice the effort for each."""

MOST_FLEETS = 256
"""Fleets that are put to the test, those with most room for the work."""

LEAST_TRIES = 8
"""Orders that each of them gets in the first round; there are fewer fleets where tries are dear."""

CHEAPER = 1 - 1e-6
"""Costs that differ by less are the same."""


@dataclass(slots=True, eq=False)
class _Candidate:
    """A fleet: its types, the best order so far, none to begin with, and when that one ends."""

    fleet: IntArray
    usd: float
    key: FloatArray
    makespan_s: float = np.inf


def one_quantum(problem: Problem) -> bool:
    """Return whether a lease costs the same however long it is up until the deadline."""
    if problem.deadline_s is None or problem.quotas:
        return False
    shortest_s = min(problem.deadline_s, max(problem.boot_s, 1e-3))
    billing = problem.billing
    return billing.billed_s(problem.deadline_s) == billing.billed_s(shortest_s)


def squeeze(
    plan: Plan, *, seed: int, bound_usd: float, effort_s: float, clock_limit_s: float
) -> Plan:
    """Return a plan on a cheaper fleet, or the plan itself where none is found.

    Parameters
    ----------
    plan
        In time, and :func:`one_quantum` of its problem.
    seed
        Seed of the changes.
    bound_usd
        No plan costs less.
    effort_s
        Effort in nominal seconds.
    clock_limit_s
        Reading of ``time.perf_counter()`` after which nothing further is begun.
    """
    left = effort_s * MACHINES_A_SECOND
    while left > 0 and time.perf_counter() < clock_limit_s:
        better, work = _undercut(plan, seed, bound_usd, left, clock_limit_s)
        left -= work
        if better is None:
            break
        plan, seed = better, seed + 1
    return plan


def _undercut(
    plan: Plan, seed: int, bound_usd: float, work_limit: float, clock_limit_s: float
) -> tuple[Plan | None, float]:
    """Return the first cheaper plan that is found, or None; and the work done."""
    problem, n = plan.problem, len(plan.problem.workflow)
    a_try = n * (plan.lease_type.size + 20)
    most = int(work_limit / (ROUNDS * LEAST_TRIES * a_try))
    found = _cheaper_fleets(plan, bound_usd, min(most, MOST_FLEETS))
    work = 0.0
    for number in range(ROUNDS):
        each = work_limit / (ROUNDS * max(1, len(found)))
        for place, candidate in enumerate(found):
            if time.perf_counter() > clock_limit_s:
                return None, work
            own_seed = seed + 1000 * number + place
            better, looked = _ordered(problem, candidate, each, own_seed, clock_limit_s)
            work += looked
            if better is not None and better.cost_usd < plan.cost_usd * CHEAPER:
                return better, work
        found.sort(key=lambda candidate: candidate.makespan_s)
        found = found[: (len(found) + 1) // 2]
    return None, work_limit


def _ordered(
    problem: Problem, candidate: _Candidate, work_limit: float, seed: int, clock_limit_s: float
) -> tuple[Plan | None, float]:
    """Search for an order that is in time; return its plan, if there is one, and the work done."""
    from autoscale.optimize.fleets import kernels

    w = problem.workflow
    # What ends by then on a slow or busy machine too: a compiled search does not read the clock.
    surely = SURELY * MACHINES_A_SECOND * max(0.0, clock_limit_s - time.perf_counter())
    candidate.makespan_s, candidate.key, task_lease, start, work = kernels.order_search(
        seed,
        min(work_limit, surely),
        candidate.fleet,
        candidate.key,
        problem.task_class,
        problem.duration_s,
        *(w.parent_ptr, w.parents, w.child_ptr, w.children),
        *(needs(problem), capacities(problem), problem.boot_s, problem.deadline_s),
    )
    if candidate.makespan_s > (problem.deadline_s or np.inf):
        return None, work
    plan = plan_on(problem, task_lease, candidate.fleet, start)
    return (None if lateness_s(plan) else plan), work


def _cheaper_fleets(plan: Plan, bound_usd: float, most: int) -> list[_Candidate]:
    """Return fleets that cost less and could do the work, those with most room first."""
    problem = plan.problem
    kinds = np.unique([*preferred_types(problem), *plan.lease_type]).astype(np.int64)
    billed_s = problem.billing.billed_s(problem.deadline_s or 0.0)
    usd = problem.catalog.price_per_s[kinds] * billed_s
    has = (plan.lease_type[:, None] == kinds).sum(axis=0)
    counts = _near(has, usd, bound_usd / CHEAPER, plan.cost_usd * CHEAPER)
    load = _loads(problem, kinds, counts)
    best = np.argsort(load, kind="stable")[:most]
    return [
        _Candidate(np.repeat(kinds, counts[j]), float(counts[j] @ usd), np.empty(0))
        for j in best.tolist()
        if load[j] <= 1
    ]


def _near(has: IntArray, usd: FloatArray, least_usd: float, most_usd: float) -> IntArray:
    """Return the fleets between two costs that are near one, and those of nearly one type.

    Up to two machines go and up to two others come; or there are as many as can be paid of one
    type beside at most one of another.
    """
    one = np.eye(has.size, dtype=np.int64)
    pairs = np.array(list(combinations_with_replacement(range(has.size), 2)), dtype=np.int64)
    few = np.concatenate([0 * one[:1], one, one[pairs[:, 0]] + one[pairs[:, 1]]])
    few_usd = few @ usd
    beside, beside_usd = few[: has.size + 1, None, :], few_usd[: has.size + 1, None]
    number = np.floor(np.maximum(most_usd - beside_usd, 0.0) / usd).astype(np.int64)
    fleets = [(number[:, :, None] * one + beside).reshape(-1, has.size)]
    for gone in few[(few <= has).all(axis=1)]:
        rest = has - gone
        cost = float(rest @ usd) + few_usd
        fleets.append(rest + few[(cost <= most_usd) & (cost >= least_usd)])
    out = np.unique(np.concatenate(fleets), axis=0)
    cost = out @ usd
    return np.asarray(out[(cost <= most_usd) & (cost >= least_usd)])


def _loads(problem: Problem, kinds: IntArray, counts: IntArray) -> FloatArray:
    """Return what part of each fleet's vCPU-seconds the work takes at least; inf if unfit."""
    w = problem.workflow
    weight = np.bincount(problem.task_class, weights=w.vcpus, minlength=len(problem.duration_s))
    duration = problem.duration_s[:, kinds]
    window = (problem.deadline_s or np.inf) - problem.boot_s
    work = np.array([duration[:, row > 0].min(axis=1, initial=np.inf) @ weight for row in counts])
    room = counts @ problem.catalog.vcpus[kinds] * window
    load: FloatArray = np.where(np.isnan(work), np.inf, work) / np.maximum(room, 1e-9)
    return load
