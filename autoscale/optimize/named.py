"""The schedulers of the literature, each for any goal.

A scheduler for deadlines is given a budget by bisecting deadlines for the tightest that it can
afford; one for budgets is given a deadline by bisecting budgets for the least with which it is in
time. One that looks at both takes the goal as it is.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import LimitError
from autoscale.lp.work import work_bound_usd
from autoscale.schedulers import about_scheduler, get_scheduler
from autoscale.units import COST_TOL_USD, format_duration, format_money

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

BISECTIONS = 24
"""Deadlines (or budgets) tried where a scheduler is for the other goal."""

CLOSE = 1e-4
"""Relative distance of the ends at which bisecting stops."""

LATE_S = 1e-6
"""Seconds by which a deadline may be missed: rounding noise."""


def plan_named(
    problem: Problem,
    name: str,
    *,
    seed: int = 0,
    time_limit_s: float = math.inf,
    tell: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Return what a scheduler makes of the problem, be it made for the goal or not.

    Parameters
    ----------
    problem
        With a deadline, a budget, both or neither.
    name
        A name from ``autoscale.schedulers.SCHEDULERS``.
    seed
        Seed of all randomness; every run of the scheduler starts from it.
    time_limit_s
        Seconds after which nothing further is begun.
    tell
        Called with a line of text when something is found.

    Raises
    ------
    LimitError
        The cheapest plan that the scheduler makes is beyond a budget that stands alone.
    """
    run = _Runs(problem, name, seed, time.perf_counter() + time_limit_s)
    goal = about_scheduler(name).goal
    if goal == "pareto":
        return run.attempt(problem.deadline_s, problem.budget_usd)
    if goal == "budget":
        return _affordable_in_time(problem, run, tell)
    if problem.deadline_s is None and problem.budget_usd is not None:
        return _quickest_affordable(problem, run, tell)
    return run.attempt(problem.deadline_s, None)


@dataclass(slots=True)
class _Runs:
    """Runs of one scheduler on one workflow for different goals, within one time limit."""

    problem: Problem
    name: str
    seed: int
    ends: float

    def attempt(self, deadline_s: float | None, budget_usd: float | None, parts: int = 1) -> Plan:
        """Return the plan for a goal, in one of so many parts of the time that is left."""
        left = max(0.0, self.ends - time.perf_counter()) / parts
        goal = self.problem.replace(deadline_s=deadline_s, budget_usd=budget_usd)
        return get_scheduler(self.name)(
            goal, rng=np.random.default_rng(self.seed), time_limit_s=left
        )

    @property
    def over(self) -> bool:
        """Whether the time limit has passed."""
        return time.perf_counter() > self.ends


def _quickest_affordable(problem: Problem, run: _Runs, tell: Callable[[str], None]) -> Plan:
    """Bisect the deadline for the tightest one that a deadline scheduler can afford."""
    budget = problem.budget_usd or 0.0
    best = run.attempt(None, None, BISECTIONS + 1)
    if best.cost_usd > budget:
        raise LimitError(
            f"found no plan within the budget of {format_money(budget)}: the cheapest that "
            f"planner {run.name!r} made costs {format_money(best.cost_usd)}; none is ruled out "
            f"above {format_money(work_bound_usd(problem))}. Planner 'lp' may find one"
        )
    low, high = problem.least_makespan_s, best.makespan_s
    for number in range(BISECTIONS):
        if high - low <= CLOSE * high or run.over:
            break
        middle = 0.5 * (low + high)
        tried = run.attempt(middle, None, BISECTIONS - number)
        if tried.cost_usd <= budget and tried.makespan_s < best.makespan_s:
            best = tried
            tell(f"{format_duration(best.makespan_s)} for {format_money(best.cost_usd)}")
        if tried.cost_usd <= budget:
            high = min(middle, tried.makespan_s)
        else:
            low = middle
    return best


def _affordable_in_time(problem: Problem, run: _Runs, tell: Callable[[str], None]) -> Plan:
    """Run a budget scheduler; with a deadline, or no goal, for the least budget that will do."""
    budget = problem.budget_usd
    if budget is not None and problem.deadline_s is None:
        return run.attempt(None, budget)
    deadline = math.inf if problem.deadline_s is None else problem.deadline_s + LATE_S
    # With all the money that the goal allows; its price is where the search starts.
    best = run.attempt(None, budget, BISECTIONS + 1)
    low, high = work_bound_usd(problem), best.cost_usd
    if best.makespan_s > deadline:
        return best
    for number in range(BISECTIONS):
        if high - low <= CLOSE * high or run.over:
            break
        middle = 0.5 * (low + high)
        tried = run.attempt(None, middle, BISECTIONS - number)
        in_time = tried.makespan_s <= deadline
        if in_time and tried.cost_usd < best.cost_usd - COST_TOL_USD:
            best = tried
            tell(f"{format_money(best.cost_usd)}, {format_duration(best.makespan_s)}")
        if in_time and tried.cost_usd <= middle + COST_TOL_USD:
            high = min(middle, tried.cost_usd)
        else:
            low = middle
    return best
