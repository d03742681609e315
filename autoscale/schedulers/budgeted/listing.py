"""List schedulers for a budget: HEFT's order, one pass, a rule that shares the budget out.

BHEFT, HBCS, MSLBL, GRP-HEFT and MLS differ in the rule alone. In their papers a task pays for its
own time on the machine it takes, so what the rest of the tasks will cost is a sum. Under the
execution model it is not: machines boot, run several tasks at once, idle, and are charged in
quanta. Here a task pays what its choice adds to the bill of all leases, and what the others will
cost is the sum of what they cost by themselves times an ``overhead``: what the cheapest pass really
costs over its sum of costs by themselves. It is 1 in the papers' model.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.model import graph
from autoscale.plan.decode import tighten
from autoscale.schedulers import cheapest_scheduler
from autoscale.schedulers.leasing.instance import Instance, instance, plan_of
from autoscale.schedulers.list_scheduler import topological_order
from autoscale.units import COST_TOL_USD

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

TOLERANCE = 1e-9
"""Relative difference below which types are equally quick or dear."""

ENDLESS_USD = 1e15
"""Stands for no budget: finite, so that parts of it are."""

LARGE_TASKS = 2_000
"""From this many tasks on, less money is tried less often."""

TRIES, FEW_TRIES = 10, 3
"""Amounts of money tried for a plan that is really within the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the tasks may run on, and what that costs by itself.

    Parameters
    ----------
    problem, x
        What is planned, also as arrays.
    types
        Per class, the catalogue indices that no other beats in duration and share of price,
        quickest first; -1 ends a row.
    type_usd
        What a task of each class costs on each of those types, like ``types``.
    cheap_usd, mean_usd, dear_usd
        What each task costs at least, on average and at most over those types, shape (tasks,).
    mean_s
        Each task's mean duration over those types, shape (tasks,).
    order
        The tasks by upward rank of mean durations, descending.
    """

    problem: Problem
    x: Instance
    types: Any
    type_usd: FloatArray
    cheap_usd: FloatArray
    mean_usd: FloatArray
    dear_usd: FloatArray
    mean_s: FloatArray
    order: Any


def offer(problem: Problem, member: IntArray | None = None, x: Instance | None = None) -> Offer:
    """Return what the tasks may run on.

    Parameters
    ----------
    problem
        What is planned.
    member
        Catalogue indices of the types that new leases may be of, ascending; all if None.
    x
        The problem as arrays, where it is at hand or holds transfer times.
    """
    x = instance(problem) if x is None else x
    w, catalog = problem.workflow, problem.catalog
    share = _cost_usd(problem)
    everyone = np.arange(len(catalog)) if member is None else member
    from autoscale.schedulers.budgeted.index import kernels

    types = kernels.efficient_types(problem.duration_s, share, x.price, everyone, TOLERANCE)
    taken, listed = np.maximum(types, 0), types >= 0
    cost = np.take_along_axis(share, taken, axis=1)
    seconds = np.take_along_axis(problem.duration_s, taken, axis=1)
    count = np.maximum(listed.sum(axis=1), 1)
    mean_s = (np.where(listed, seconds, 0.0).sum(axis=1) / count)[problem.task_class]
    return Offer(
        problem=problem,
        x=x,
        types=types,
        type_usd=cost,
        cheap_usd=np.where(listed, cost, np.inf).min(axis=1)[problem.task_class],
        mean_usd=(np.where(listed, cost, 0.0).sum(axis=1) / count)[problem.task_class],
        dear_usd=np.where(listed, cost, 0.0).max(axis=1)[problem.task_class],
        mean_s=mean_s,
        order=topological_order(problem, -graph.upward_rank_s(w, mean_s)),
    )


def _cost_usd(problem: Problem) -> FloatArray:
    """Return what a task of each class costs on each type, shape (classes, types).

    That is its share of the machine while it runs, and of what else a lease is charged (boot,
    other vCPUs, the rest of the quantum) the n-th part, n being the tasks of the workflow: as if
    all of them used one lease. So a huge machine is not cheap for few tasks.
    """
    w, catalog, n = problem.workflow, problem.catalog, len(problem.workflow)
    seconds = problem.duration_s
    fits = np.isfinite(seconds)
    held = w.vcpus[problem.class_member, None] / catalog.vcpus
    charged = problem.billing.billed_array_s(np.where(fits, seconds, 0.0) + problem.boot_s)
    own = np.where(fits, seconds * held, 0.0)
    cost: FloatArray = catalog.price_per_s * (own + np.maximum(charged - own, 0.0) / n)
    cost[~fits] = np.inf
    return cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How options are chosen; see ``budgeted.kernels.choose`` and ``budget_list``.

    Parameters
    ----------
    code
        Number of the rule.
    fallback
        What is taken where nothing is affordable.
    allow_share
        Whether a task may spend only its share of what is left beyond the reserves.
    coefficient
        Weight of time, for the rule that weighs.
    """

    code: int
    fallback: int = 1
    allow_share: bool = False
    coefficient: float = 0.0


def list_by_rule(
    given: Offer,
    rule: Rule,
    *,
    budget_usd: float = ENDLESS_USD,
    reserve_usd: FloatArray | None = None,
    limit: IntArray | None = None,
) -> Plan:
    """Return the plan of one pass.

    Parameters
    ----------
    given
        What the tasks may run on, and their order.
    rule
        How options are chosen.
    budget_usd
        Money for everything.
    reserve_usd
        Money kept for each task until it is scheduled, shape (tasks,); nothing if None.
    limit
        Leases allowed by type, shape (types,); any number if None.
    """
    from autoscale.schedulers.budgeted import kernels

    n, n_types = len(given.problem.workflow), len(given.problem.catalog)
    leases = kernels.budget_list(
        given.x,
        given.order,
        rule.code,
        rule.fallback,
        min(budget_usd, ENDLESS_USD),
        rule.coefficient,
        np.zeros(n) if reserve_usd is None else reserve_usd,
        rule.allow_share,
        given.types,
        np.full(n_types, n) if limit is None else np.asarray(limit, dtype=np.int64),
    )
    return tighten(plan_of(given.problem, leases))


def cheapest_pass(given: Offer) -> Plan:
    """Return the plan in which every task goes where it adds least to the bill."""
    from autoscale.schedulers.budgeted import kernels

    return list_by_rule(given, Rule(code=kernels.CHEAPEST))


def overhead(given: Offer, cheapest: Plan) -> float:
    """Return what the cheapest pass costs over the tasks' shares of machines; at least 1."""
    shares = float(given.cheap_usd.sum())
    return max(1.0, cheapest.cost_usd / shares) if shares > 0.0 else 1.0


def within_budget(
    problem: Problem,
    attempt: Callable[[float], Plan],
    cheapest: Plan,
    *,
    time_limit_s: float = math.inf,
) -> Plan:
    """Return the quickest plan found that is really within the budget, or the cheapest of all.

    The published algorithms stop at what they estimate. Where the plan costs more, less money is
    tried; with the budget it is the published algorithm's own plan.

    Parameters
    ----------
    problem
        With a budget, or without: then money is no object.
    attempt
        Makes a plan for an amount of money, USD.
    cheapest
        A plan to fall back on.
    time_limit_s
        Seconds after which no further amount is tried.
    """
    ends = time.perf_counter() + time_limit_s
    budget = ENDLESS_USD if problem.budget_usd is None else problem.budget_usd
    tried = attempt(budget)
    if tried.cost_usd <= budget + COST_TOL_USD:
        return tried
    best = cheapest
    if cheapest.cost_usd > budget + COST_TOL_USD:
        best = one_machine(problem, cheapest)
    low, high = 0.0, budget
    for _ in range(TRIES if len(problem.workflow) < LARGE_TASKS else FEW_TRIES):
        if time.perf_counter() > ends:
            break
        # Nothing known to be affordable: less by as much as the last plan was too dear.
        over = min(0.97, budget / tried.cost_usd)
        middle = 0.5 * (low + high) if low > 0.0 else over * high
        tried = attempt(middle)
        if tried.cost_usd > budget + COST_TOL_USD:
            high = middle
            continue
        low = middle
        if best.cost_usd > budget + COST_TOL_USD or tried.makespan_s < best.makespan_s:
            best = tried
    return best


def one_machine(problem: Problem, other: Plan) -> Plan:
    """Return the cheapest plan on one machine, or another that is cheaper."""
    try:
        plan = cheapest_scheduler.schedule(problem, rng=np.random.default_rng(0))
    except InputError:  # no type fits every task
        return other
    return min(other, plan, key=lambda plan: plan.cost_usd)
