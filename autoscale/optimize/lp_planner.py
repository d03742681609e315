"""The planner ``lp``: quick plans, improvement, and the fleet LP's bound, side by side.

The improvement runs in a thread of its own (its compiled search holds no lock), the bound in the
caller's; both count work rather than read the clock, so that a plan does not depend on how busy
the machine is unless the time limit strikes.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import require_interrupt
from autoscale.lp.bound import CostBound, rules_out
from autoscale.lp.work import METHOD
from autoscale.optimize.fleets.search import Fleet, climb
from autoscale.optimize.improve import improve
from autoscale.optimize.incumbent import Incumbent, guarded
from autoscale.optimize.large import plan_large
from autoscale.optimize.portfolio import (
    Start,
    distinct,
    guided_starts,
    share_slack_better,
    soonest,
    varied,
)
from autoscale.optimize.refusals import refuse_for_quotas
from autoscale.optimize.starts import FLEET_WITHIN, Starts
from autoscale.schedulers.list_scheduler import LARGE_TASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)

ROOT_PART = 0.4
"""Part of the time limit after which the search goes on with the relaxation as far as it is."""

STARTS = 4
"""Quick plans that are improved."""


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
    limit = time.perf_counter() + time_limit_s
    tell = tell or (lambda cost, bound: None)
    if len(problem.workflow) > LARGE_TASKS and not problem.quotas:
        return plan_large(problem, seed=seed, time_limit_s=time_limit_s, gap=gap, tell=tell)
    first = Starts(problem, time_limit_s, limit, tell)
    interrupted = first.make()
    starts = distinct(first.found)
    if interrupted:
        return starts[0].plan, first.bound_usd, METHOD
    if not starts:
        refuse_for_quotas(problem, soonest(problem), rules_out(problem, limit))
    state = Incumbent(starts[0].plan, first.bound_usd, gap, tell)
    method = METHOD
    cancelled = Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            early = pool.submit(
                _early, starts, first.fleets, state, seed, time_limit_s, limit, cancelled
            )
            search = _search(problem, starts, limit)
            pause_s = limit - (1 - ROOT_PART) * time_limit_s
            root = guarded(lambda: search.root(pause_at_s=pause_s)) if search else None
            starts = distinct([*starts, *early.result()])
            if root is not None:
                state.raise_bound(root.usd)
                method = root.method
                models = [(start.setting, start.offer) for start in varied(starts, STARTS)]
                guided = guided_starts(problem, root, models)
                starts = distinct([*starts, *guided])
            plans = [start.plan for start in starts[:STARTS]]
            state.offer(plans[0])
            effort_s = 0.5 * time_limit_s
            job = pool.submit(_improve_all, plans, state, seed, effort_s, limit, cancelled)
            if search is not None and root is not None:
                bound = guarded(
                    lambda: search.branch(lambda: state.plan.cost_usd, state.raise_bound)
                )
                method = bound.method if bound is not None else method
            job.result()
        except (KeyboardInterrupt, SystemError) as error:
            require_interrupt(error)
            logger.warning("interrupted: the best plan so far is kept")
        finally:
            cancelled.set()
    return state.plan, state.bound_usd, method


def _early(
    starts: list[Start],
    fleets: list[Fleet],
    state: Incumbent,
    seed: int,
    time_limit_s: float,
    limit: float,
    cancelled: Event,
) -> list[Start]:
    """Do what needs no relaxation while that is solved.

    That is to share slack better, to change fleets, and to improve the best plan; what improvement
    finds goes to the state only.
    """
    shared = _share_slack(starts, seed, 0.1 * time_limit_s, limit, cancelled)
    shared += _other_fleets(fleets, state, seed, 0.15 * time_limit_s, limit)
    best = distinct([*starts, *shared])[0].plan

    def stop(plan: Plan) -> bool:
        return state.offer(plan) or cancelled.is_set()

    if not stop(best):
        improve(
            best,
            seed=seed + 53,
            effort_s=0.1 * time_limit_s,
            stop=stop,
            cancelled=cancelled.is_set,
            clock_limit_s=limit,
        )
    return shared


def _share_slack(
    starts: list[Start], seed: int, effort_s: float, limit: float, cancelled: Event
) -> list[Start]:
    """Search for better ways to share slack, from the best starts of different settings."""
    chosen = varied([start for start in starts if np.isfinite(start.plan.slack_s)], STARTS)
    return [
        share_slack_better(
            start, seed=seed + number, effort_s=effort_s / len(chosen), clock_limit_s=limit
        )
        for number, start in enumerate(chosen)
        if not cancelled.is_set()
    ]


def _search(problem: Problem, starts: list[Start], limit: float) -> CostBound | None:
    """Return the bound's search, or None where no deadline leaves time to model."""
    if problem.deadline_s is None or not problem.deadline_s > problem.boot_s:
        return None
    used = np.unique(np.concatenate([start.plan.lease_type for start in starts[:STARTS]]))
    cost_usd = starts[0].plan.cost_usd
    return CostBound(problem, used_types=used, clock_limit_s=limit, cost_usd=cost_usd)


def _other_fleets(
    fleets: list[Fleet], state: Incumbent, seed: int, effort_s: float, limit: float
) -> list[Start]:
    """Change the best fleets."""
    cost_usd = FLEET_WITHIN * state.plan.cost_usd
    found = climb(fleets, seed=seed, effort_s=effort_s, cost_usd=cost_usd, clock_limit_s=limit)
    return [fleet.start for fleet in found]


def _improve_all(
    plans: list[Plan],
    state: Incumbent,
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
            improve(
                start,
                seed=seed + number,
                effort_s=part,
                stop=stop,
                cancelled=cancelled.is_set,
                clock_limit_s=limit,
            )
        )
    tried.sort(key=lambda plan: plan.cost_usd)
    for number, plan in enumerate(tried[:2]):
        if stop(plan):
            return
        part = (0.45, 0.15)[number] * effort_s
        improve(
            plan,
            seed=seed + 97 + number,
            effort_s=part,
            stop=stop,
            cancelled=cancelled.is_set,
            clock_limit_s=limit,
        )
