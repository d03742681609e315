"""Improvement of a plan by ruin and recreate; a thin driver around the compiled search."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.plan.decode import capacities, decode, keeps_quotas, needs, tighten
from autoscale.schedulers.list_scheduler import Setting, new_type_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

SHORTEST_S = 1e-5
"""Tasks of no duration are given this much while searching, so that they take part in profiles."""

PLACES_PER_SECOND = 5e6
"""Places looked at per second of time limit. Counting work instead of reading the clock makes the
search the same on every machine that is fast enough."""

CALL_WORK = 2e4
"""What one call costs besides the places it looks at, in places."""

IDLE_CALLS = 24
"""Calls without a gain of 0.01 % after which the search gives up."""

HEATS = (0.02, 0.1, 0.3, 0.005)
"""First temperatures of the calls, in the mean cost of a lease."""

ROUNDS = 2000
"""Rounds of one call to the compiled search, at most."""


def improve(
    plan: Plan,
    *,
    seed: int,
    effort_s: float,
    stop: Callable[[Plan], bool] | None = None,
    cancelled: Callable[[], bool] | None = None,
    clock_limit_s: float = math.inf,
) -> Plan:
    """Return a plan at most as dear, found by ruin and recreate within the effort.

    Parameters
    ----------
    plan
        A plan that meets its deadline.
    seed
        Seed of the search.
    effort_s
        Effort in nominal seconds; see ``PLACES_PER_SECOND``.
    stop
        Called with each better plan; true ends the search.
    cancelled
        Asked often; true ends the search.
    clock_limit_s
        Reading of ``time.perf_counter()`` at which the search ends in any case.
    """
    problem = plan.problem
    if plan.cost_usd <= 0:
        return plan
    best = current = plan
    budget = effort_s * PLACES_PER_SECOND
    spent, idle = 0.0, 0
    rng = np.random.default_rng(seed)
    while spent < budget and idle < IDLE_CALLS and time.perf_counter() < clock_limit_s:
        if cancelled is not None and cancelled():
            break
        # A lease's worth of money is the natural unit of heat; calls go from hot to cold and back.
        heat = current.cost_usd / max(1, current.n_leases) * HEATS[idle % len(HEATS)]
        found, work = _search(problem, current, int(rng.integers(2**31)), heat, budget - spent)
        spent += work + CALL_WORK
        idle += 1
        if found.cost_usd < best.cost_usd * (1 - 1e-9):
            idle = 0 if found.cost_usd < best.cost_usd * (1 - 1e-4) else idle
            best = current = found
            if stop is not None and stop(best):
                break
    return best


def _search(
    problem: Problem, plan: Plan, seed: int, heat: float, budget: float
) -> tuple[Plan, float]:
    from autoscale.optimize import kernels

    w = problem.workflow
    duration = np.maximum(problem.duration_s, SHORTEST_S)
    task_lease = plan.task_lease.astype(np.int64)
    start = plan.task_start_s.copy()
    room = plan.n_leases + max(16, plan.n_leases // 4)
    lease_type = np.zeros(room, dtype=np.int32)
    lease_type[: plan.n_leases] = plan.lease_type
    kind = plan.lease_type[plan.task_lease]
    finish = start + duration[problem.task_class, kind]
    per_round = 8.0 * max(4, plan.n_leases)
    rounds = int(min(ROUNDS, max(50, budget / per_round)))
    _, n_leases, work = kernels.ruin_recreate(
        seed,
        rounds,
        heat,
        heat * 1e-2,
        problem.task_class,
        duration,
        new_type_order(problem, Setting()),
        duration.min(axis=1)[problem.task_class],
        w.parent_ptr,
        w.parents,
        w.child_ptr,
        w.children,
        needs(problem),
        capacities(problem),
        problem.catalog.price_per_s,
        problem.boot_s,
        problem.billing.quantum_s,
        problem.billing.minimum_s,
        problem.quota_weights,
        problem.quota_limits,
        problem.deadline_s if problem.deadline_s is not None else np.inf,
        task_lease,
        start,
        finish,
        lease_type,
        plan.n_leases,
    )
    order = np.lexsort((np.arange(len(w)), start))
    found = decode(problem, lease_type[:n_leases], task_lease, order, not_before_s=start)
    found = tighten(found)
    deadline = problem.deadline_s
    late = deadline is not None and found.makespan_s > deadline + 1e-7
    if late or not keeps_quotas(found):
        return plan, float(work)
    return found, float(work)
