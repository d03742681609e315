"""Least makespan within a budget, with a certified lower bound on the makespan.

Let LB(D) be a lower bound on the cost of any plan that ends by D. The least cost of such plans does
not rise with D; so where LB(D) > budget, no plan that ends by D, or by anything earlier, is within
the budget, and D is a lower bound on the makespan. Both sides are searched for by trying
deadlines, side by side as in the planner ``lp``: plans in a thread of their own, bounds in the
caller's.

A deadline that the other side has settled (ruled out, or met within the budget) is passed over:
trying it could only confirm that. So neither result depends on how fast the other side is.
"""

from __future__ import annotations

import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import LimitError, SolverError
from autoscale.lp.bound import CostBound, settings_for
from autoscale.lp.work import SAFETY, work_bound_usd
from autoscale.optimize.refusals import enough_money
from autoscale.optimize.short import short_plan
from autoscale.units import COST_TOL_USD, format_money

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import Int32Array
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)

ATTEMPTS, QUICK = 10, 0.015
"""Deadlines of the bisection for a plan, and the part of the time limit as effort for each."""

PRESSES, PRESS, PRESS_STEP = 7, 0.07, 0.02
"""Attempts at deadlines a little before the best plan's end, their effort, and the first step."""

CLOSE = 2e-3
"""A bisection ends when its ends differ by less than this part."""

BOUND_STEPS = 14
"""Deadlines that one search for the bound tries at most."""

STEPS = (0.5, 0.03)
"""First step of the search for the bound, as a part of the deadline: at first, and when again."""

NODES = 12
"""Linear programs for one deadline at most."""

CHAIN = "boot plus the critical path on the fastest types"


@dataclass(slots=True)
class _State:
    """What is known so far: the best plan, and a makespan below which there is none."""

    problem: Problem
    plan: Plan
    bound_s: float
    gap: float
    tell: Callable[[float, float, float], None]
    method: str = CHAIN
    cancelled: Event = field(default_factory=Event)

    def affordable(self, plan: Plan) -> bool:
        """Return whether the plan is within the budget."""
        return plan.cost_usd <= (self.problem.budget_usd or 0.0)

    def offer(self, plan: Plan | None) -> bool:
        """Take a plan if it is within the budget and quicker; return whether it is within."""
        if plan is None or not self.affordable(plan):
            return False
        if plan.makespan_s < self.plan.makespan_s * (1 - 1e-9):
            self.plan = plan
            self.tell(plan.makespan_s, plan.cost_usd, self.bound_s)
        return True

    def raise_bound(self, deadline_s: float, method: str) -> None:
        """Take a deadline that is ruled out."""
        if deadline_s > self.bound_s:
            self.bound_s, self.method = deadline_s, method
            self.tell(self.plan.makespan_s, self.plan.cost_usd, deadline_s)

    def done(self) -> bool:
        """Return whether the search is over: interrupted, or the wanted gap is reached."""
        # The bound is scaled by SAFETY when it is stated; so is it here.
        reached = self.plan.makespan_s <= SAFETY * self.bound_s * (1 + self.gap)
        return self.cancelled.is_set() or reached


def plan_within_budget(
    problem: Problem,
    *,
    seed: int,
    time_limit_s: float,
    gap: float = 0.0,
    tell: Callable[[float, float, float], None] | None = None,
) -> tuple[Plan, float, str]:
    """Return (plan, lower bound on makespan in seconds, how the bound was found).

    Parameters
    ----------
    problem
        With a budget; a deadline plays no part.
    seed
        Seed of all randomness.
    time_limit_s
        Seconds for everything.
    gap
        Wanted gap; the search ends when it is reached.
    tell
        Called with makespan, cost and bound whenever the plan or the bound gets better.

    Raises
    ------
    LimitError
        No plan within the budget was found, though none is ruled out.
    """
    limit = time.perf_counter() + time_limit_s
    problem = problem.replace(deadline_s=None)
    first = _first_plan(problem, seed, 0.2 * time_limit_s, limit)
    state = _State(
        problem, first, problem.least_makespan_s, max(gap, 1e-6), tell or (lambda *figures: None)
    )
    state.tell(first.makespan_s, first.cost_usd, state.bound_s)
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            job = pool.submit(_quicker_plans, state, seed, time_limit_s, limit)
            _raise_bound(state, first, limit, quick=True)
            _raise_bound(state, first, limit, quick=False)
            job.result()
        except KeyboardInterrupt:
            logger.warning("interrupted: the best plan so far is kept")
        finally:
            state.cancelled.set()
    return state.plan, min(SAFETY * state.bound_s, state.plan.makespan_s), state.method


def _first_plan(problem: Problem, seed: int, effort_s: float, limit: float) -> Plan:
    """Return a plan within the budget, made with all the time in the world."""
    budget = problem.budget_usd or 0.0
    plan = short_plan(
        problem,
        seed=seed,
        effort_s=effort_s,
        clock_limit_s=limit,
        enough=lambda plan: plan.cost_usd <= budget,
    )
    if plan is None or plan.cost_usd > budget:
        found = math.inf if plan is None else plan.cost_usd
        raise LimitError(
            f"found no plan within the budget of {format_money(budget)}: the cheapest found costs "
            f"{format_money(found)}, and none is ruled out above "
            f"{format_money(work_bound_usd(problem))}; allow {enough_money(found)}, or more time"
        )
    return plan


def _middle(low_s: float, high_s: float) -> float:
    """Return a deadline between two: the geometric mean, kept off the ends."""
    return math.sqrt(max(low_s, 1e-3 * high_s) * high_s)


def _quicker_plans(state: _State, seed: int, time_limit_s: float, limit: float) -> None:
    """Look for the tightest deadline with a plan in the budget: bisect quickly, then press on."""
    least = state.problem.least_makespan_s
    low, high, deadline = least, state.plan.makespan_s, least
    for number in range(ATTEMPTS):
        if state.done() or high - low < CLOSE * low or time.perf_counter() > limit:
            break
        tried = _attempt(state, deadline, seed + number, QUICK * time_limit_s, limit)
        if state.offer(tried):
            high = min(deadline, state.plan.makespan_s)
        else:
            low = deadline
        deadline = _middle(low, high)
    step = PRESS_STEP
    for number in range(PRESSES):
        if state.done() or step < CLOSE or time.perf_counter() > limit:
            break
        deadline = max(state.plan.makespan_s * (1 - step), least)
        tried = _attempt(state, deadline, seed + 100 + number, PRESS * time_limit_s, limit)
        step = step if state.offer(tried) else step / 2


def _attempt(
    state: _State, deadline_s: float, seed: int, effort_s: float, limit: float
) -> Plan | None:
    if deadline_s <= state.bound_s and deadline_s > state.problem.least_makespan_s:
        return None  # ruled out already
    return short_plan(
        state.problem.replace(deadline_s=deadline_s),
        seed=seed,
        effort_s=effort_s,
        clock_limit_s=limit,
        enough=lambda plan: state.affordable(plan) or state.cancelled.is_set(),
        cancelled=state.cancelled.is_set,
    )


def _raise_bound(state: _State, first: Plan, limit: float, *, quick: bool) -> None:
    """Look for the loosest deadline whose bound on cost exceeds the budget.

    Steps double while deadlines are ruled out, and shrink when one is not.
    """
    used = np.unique(first.lease_type)
    if quick and not _rules_out(state, state.bound_s, used, limit, quick=quick):
        return
    step = STEPS[not quick]
    for _ in range(BOUND_STEPS):
        if state.done() or step < CLOSE or time.perf_counter() > limit:
            break
        deadline = state.bound_s * (1 + step)
        # What the best plan meets cannot be ruled out.
        met = deadline >= state.plan.makespan_s
        ruled_out = not met and _rules_out(state, deadline, used, limit, quick=quick)
        step = 2 * step if ruled_out else step / 4


def _rules_out(
    state: _State, deadline_s: float, used: Int32Array, limit: float, *, quick: bool
) -> bool:
    """Return whether no plan that ends by the deadline is within the budget; note it if so."""
    problem = state.problem.replace(deadline_s=deadline_s)
    too_dear = (problem.budget_usd or 0.0) + COST_TOL_USD
    search = CostBound(
        problem,
        settings=replace(settings_for(problem, quick=quick), nodes=NODES),
        used_types=used.astype(np.int64),
        clock_limit_s=limit,
        cost_usd=too_dear * (1 + 1e-4),  # only plans below this are of interest
    )
    try:
        bound = search.root()
        if bound.usd <= too_dear and not quick:
            bound = search.branch(lambda: too_dear * (1 + 1e-4), lambda usd: None)
    except SolverError as error:
        logger.warning("the bound's solver failed, a simpler bound is kept: %s", error)
        return False
    # Every deadline from the critical path on has a plan: an infinite bound is a solver's error.
    if not too_dear < bound.usd < math.inf:
        return False
    state.raise_bound(deadline_s, f"deadlines whose plans exceed the budget: {bound.method}")
    return True
