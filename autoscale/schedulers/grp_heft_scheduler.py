"""GRP-HEFT: the budget buys a fleet of the most efficient machines, HEFT runs on it.

Faragardi, Saleh Sedghpour, Fazliahmadi, Fahringer and Rasouli, "GRP-HEFT: A budget-constrained
resource provisioning scheme for workflow scheduling in IaaS clouds", IEEE TPDS 31(6), 2020.

1. Types that another beats in price and speed are left out; the others are sorted by speed per
   price.
2. Provisioning: as many instances of the most efficient type as the budget pays for one billing
   interval, of the next as many as what is left pays for, and so on.
3. Modified HEFT: tasks by upward rank; with I the instance of earliest finish and I* the one of
   earliest finish among those that would cost nothing more, a task goes to I* if I has not been
   used yet. If I has been used and costs another interval, that is paid for by giving up one
   instance of its type that has not been used.
4. The most efficient type is left out and steps 2 and 3 are repeated; the plan with the least
   makespan within the budget wins.

Step 2 fits workflows that last an interval. Here the budget pays for a horizon that is searched
for, a whole number of quanta at least as long as the minimum charge; the shortest whose plan is
within the budget wins. In step 3 an instance is given up for every horizon that another outlasts;
what costs nothing more is decided by the real billing rule. An instance's price and speed are those
of all its vCPUs; how efficient it is, is what the tasks' work costs on it against each one's
cheapest type. A task that fits no machine of the fleet gets a lease of the type that costs it
least.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.schedulers.about import About
from autoscale.schedulers.budgeted.listing import (
    ENDLESS_USD,
    LARGE_TASKS,
    Offer,
    Rule,
    cheapest_pass,
    list_by_rule,
    offer,
    one_machine,
)
from autoscale.units import COST_TOL_USD

if TYPE_CHECKING:
    from autoscale.model.arrays import IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="budget",
    summary="the budget buys a fleet of the most efficient machines, HEFT runs on it",
    source="Faragardi, Saleh Sedghpour, Fazliahmadi, Fahringer and Rasouli, IEEE TPDS 31(6), 2020",
    reconstruction="the horizon for which the budget pays, and efficiency with several vCPUs",
)

HORIZONS, FEW_HORIZONS = 8, 3
"""Horizons tried for one list of types."""

LISTS, FEW_LISTS = 12, 1
"""Times that the most efficient type is left out, plus one."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return a quick plan within the budget; the quickest one without a budget.

    Parameters
    ----------
    problem
        What is planned. A deadline plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Seconds after which no further fleet is tried.
    """
    given = offer(problem)
    search = _Search(
        given=given,
        kinds=efficient_kinds(given),
        budget_usd=problem.budget_usd if problem.budget_usd is not None else ENDLESS_USD,
        best=cheapest_pass(given),
        ends=time.perf_counter() + time_limit_s,
    )
    large = len(problem.workflow) >= LARGE_TASKS
    for left_out in range(min(search.kinds.size, FEW_LISTS if large else LISTS)):
        search.run(search.kinds[left_out:], FEW_HORIZONS if large else HORIZONS)
    if search.best.cost_usd > search.budget_usd + COST_TOL_USD:
        return one_machine(problem, search.best)
    return search.best


def efficient_kinds(given: Offer) -> IntArray:
    """Return the types that no other beats in price and speed, the most efficient first."""
    problem = given.problem
    kinds = np.unique(given.types[given.types >= 0]).astype(np.int64)
    cls = problem.task_class
    seconds = problem.duration_s[:, kinds][cls]
    fits = np.isfinite(seconds)
    vcpus = problem.catalog.vcpus[kinds]
    price = given.x.price[kinds]
    work = problem.workflow.vcpus[:, None] * np.where(fits, seconds, 0.0)
    least = problem.workflow.vcpus * problem.fastest_s
    # The vCPU-seconds of what fits against those on its quickest type, times the vCPUs.
    fitting = (least[:, None] * fits).sum(axis=0)
    speed = vcpus * fitting / np.maximum(work.sum(axis=0), 1e-300)
    cheap = (given.cheap_usd[:, None] * fits).sum(axis=0)
    efficiency = cheap / np.maximum((work * price / vcpus).sum(axis=0), 1e-300)
    kept = []
    for k in range(kinds.size):
        no_worse = (price <= price[k]) & (speed >= speed[k]) & (fitting >= fitting[k])
        better = (price < price[k]) | (speed > speed[k]) | (fitting > fitting[k])
        same_before = ~better & (np.arange(kinds.size) < k)
        if not (no_worse & (better | same_before)).any():
            kept.append(k)
    order = sorted(kept, key=lambda k: (-efficiency[k], price[k], k))
    return kinds[order]


@dataclass(slots=True, kw_only=True)
class _Search:
    """The best plan so far, and what is needed to try another fleet."""

    given: Offer
    kinds: IntArray
    budget_usd: float
    best: Plan
    ends: float

    def run(self, kinds: IntArray, horizons: int) -> None:
        """Search for the shortest horizon whose plan on a fleet of these types is affordable."""
        problem = self.given.problem
        low = problem.least_makespan_s
        rate = float(self.given.x.price[kinds].min())
        high = max(low, min(self.budget_usd / rate, 2.0 * self.best.makespan_s))
        horizon = low
        for _ in range(horizons):
            if time.perf_counter() > self.ends or high <= low * (1 + 1e-3):
                break
            plan = self._on_fleet(kinds, horizon)
            if self._offer(plan):
                high = min(high, horizon)
            else:
                low = max(low, horizon)
            if high <= problem.least_makespan_s:
                break
            horizon = math.sqrt(low * high)

    def _offer(self, plan: Plan) -> bool:
        """Keep the plan if it is better; return whether it is affordable."""
        affordable = plan.cost_usd <= self.budget_usd + COST_TOL_USD
        first = self.best.cost_usd > self.budget_usd + COST_TOL_USD
        if affordable and (first or plan.makespan_s < self.best.makespan_s):
            self.best = plan
        return affordable

    def _on_fleet(self, kinds: IntArray, horizon_s: float) -> Plan:
        from autoscale.schedulers.budgeted import kernels

        given = self.given
        charged = max(given.problem.billing.billed_s(horizon_s), 1e-9)
        limit = fleet(given.x.price, kinds, self.budget_usd, charged, len(given.problem.workflow))
        row = np.broadcast_to(kinds.astype(np.int32), (len(given.types), kinds.size))
        unfit = ~np.isfinite(given.problem.duration_s[:, kinds])
        bought = replace(
            given,
            types=np.where(unfit, -1, row),
        )
        return list_by_rule(
            packed(bought), Rule(code=kernels.FLEET, coefficient=charged), limit=limit
        )


def packed(given: Offer) -> Offer:
    """Return the offer with the unfit types of each row moved to its end."""
    order = np.argsort(given.types < 0, axis=1, kind="stable")
    return replace(given, types=np.take_along_axis(given.types, order, axis=1))


def fleet(price: Any, kinds: IntArray, budget_usd: float, charged_s: float, most: int) -> IntArray:
    """Return how many instances of each type the budget pays for, in the order of ``kinds``.

    Parameters
    ----------
    price
        USD per second of each type.
    kinds
        Types to buy, the most efficient first.
    budget_usd
        Money for all of them.
    charged_s
        Seconds that each is paid for.
    most
        Instances of one type that can be of use.
    """
    limit = np.zeros(len(price), dtype=np.int64)
    left = budget_usd
    for k in kinds.tolist():
        affordable = math.floor(left / (price[k] * charged_s) * (1 + 1e-12))
        count = int(min(most, max(0, affordable)))
        limit[k] = count
        left -= count * price[k] * charged_s
        if count == most:
            break  # there is a machine for everyone
    return limit
