"""The planner ``lp``: quick plans, improvement, and the fleet LP's bound, side by side.

The improvement runs in a thread of its own (its compiled search holds no lock), the bound in the
caller's; both count work rather than read the clock, so that a plan does not depend on how busy
the machine is unless the time limit strikes.
"""

from __future__ import annotations

import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import SolverError
from autoscale.lp.bound import Bound, BoundSettings, cost_bound
from autoscale.lp.work import work_bound_usd
from autoscale.optimize.improve import improve
from autoscale.optimize.portfolio import quick_plans
from autoscale.schedulers import get_scheduler
from autoscale.schedulers.list_scheduler import lateness_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)

STARTS = 4
"""Quick plans that are improved."""

Progress = "Callable[[float, float], None]"


@dataclass(slots=True)
class _Incumbent:
    """What is known so far: the best plan and the best bound."""

    plan: Plan
    bound_usd: float
    gap: float
    tell: Callable[[float, float], None]

    def offer(self, plan: Plan) -> bool:
        """Take a plan if it is better; return whether the wanted gap is reached."""
        if plan.cost_usd < self.plan.cost_usd * (1 - 1e-9):
            self.plan = plan
            self.tell(plan.cost_usd, self.bound_usd)
        return self.reached()

    def raise_bound(self, usd: float) -> None:
        """Take a bound if it is better."""
        if usd > self.bound_usd:
            self.bound_usd = usd
            self.tell(self.plan.cost_usd, usd)

    def reached(self) -> bool:
        """Return whether the gap is at most the wanted one."""
        return self.plan.cost_usd <= self.bound_usd * (1 + self.gap) + 1e-12


def plan_lp(
    problem: Problem,
    *,
    seed: int,
    time_limit_s: float,
    gap: float = 0.0,
    tell: Callable[[float, float], None] | None = None,
) -> tuple[Plan, float, str]:
    """Return (plan, lower bound on cost in USD, how the bound was found).

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free).
    seed
        Seed of the improvement.
    time_limit_s
        Seconds for everything.
    gap
        Wanted gap; the search ends when it is reached.
    tell
        Called with cost and bound whenever either gets better.
    """
    began = time.perf_counter()
    limit = began + time_limit_s
    plans = _starts(problem, time_limit_s, limit)
    problem = plans[0].problem
    state = _Incumbent(plans[0], work_bound_usd(problem), gap, tell or (lambda cost, bound: None))
    state.tell(state.plan.cost_usd, state.bound_usd)
    method = "cheapest share of a machine per task"
    cancelled = Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        job = pool.submit(_improve_all, plans, state, seed, 0.8 * time_limit_s, limit, cancelled)
        try:
            bound = _bound(problem, plans, state, limit)
            if bound is not None and bound.usd >= state.bound_usd:
                state.raise_bound(bound.usd)
                method = bound.method
            job.result()
        except KeyboardInterrupt:
            logger.warning("interrupted: the best plan so far is kept")
        finally:
            cancelled.set()
    return state.plan, min(state.bound_usd, state.plan.cost_usd), method


def _starts(problem: Problem, time_limit_s: float, limit: float) -> list[Plan]:
    """Return quick plans, cheapest first; without a deadline the last one's end becomes it."""
    plans = quick_plans(problem, effort_s=0.2 * time_limit_s, clock_limit_s=limit)
    if not plans:
        plans = [get_scheduler("fastest")(problem, rng=np.random.default_rng(0))]
    try:
        single = get_scheduler("cheapest")(problem, rng=np.random.default_rng(0))
    except ValueError:
        single = plans[0]
    except Exception as error:  # an unsuitable heuristic must not cost the user the others
        logger.info("planner 'cheapest' does not apply: %s", error)
        single = plans[0]
    if lateness_s(single) == 0.0:
        plans = sorted([*plans, single], key=lambda plan: plan.cost_usd)
    return plans[: max(STARTS, 1)]


def _improve_all(
    plans: list[Plan],
    state: _Incumbent,
    seed: int,
    effort_s: float,
    limit: float,
    cancelled: Event,
) -> None:
    """Improve every start a little, then the best one for the rest of the effort."""

    def stop(plan: Plan) -> bool:
        return state.offer(plan) or cancelled.is_set()

    tried = []
    for number, start in enumerate(plans):
        if stop(start):
            return
        part = 0.1 * effort_s
        tried.append(
            improve(start, seed=seed + number, effort_s=part, stop=stop, clock_limit_s=limit)
        )
    tried.sort(key=lambda plan: plan.cost_usd)
    for number, plan in enumerate(tried[:2]):
        if stop(plan):
            return
        part = (0.45, 0.15)[number] * effort_s
        improve(plan, seed=seed + 97 + number, effort_s=part, stop=stop, clock_limit_s=limit)


def _bound(problem: Problem, plans: list[Plan], state: _Incumbent, limit: float) -> Bound | None:
    """Return the LP's bound, or None where it does not apply or the solver fails."""
    deadline = problem.deadline_s
    if deadline is None or not math.isfinite(deadline):
        return None
    used = np.unique(np.concatenate([plan.lease_type for plan in plans]))
    try:
        return cost_bound(
            problem,
            settings=BoundSettings(),
            used_types=used,
            clock_limit_s=limit,
            target_usd=lambda: state.plan.cost_usd,
            tell=state.raise_bound,
        )
    except SolverError as error:
        logger.warning("the bound's solver failed, a simpler bound is kept: %s", error)
        return None
