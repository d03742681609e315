"""Short attempts: what can be had for one deadline within a given effort.

Budgets and fronts need plans for many deadlines; each is a portfolio of list schedules, a search
over how slack is shared, and improvement, as in the planner ``lp``, with less effort.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.optimize.improve import improve
from autoscale.optimize.portfolio import Offer, Start, distinct, quick_starts, share_slack_better
from autoscale.schedulers import get_scheduler
from autoscale.schedulers.list_scheduler import Setting, lateness_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

SHARED = 2
"""Starts for which better ways to share slack are looked for."""


def short_starts(
    problem: Problem, *, seed: int, effort_s: float, clock_limit_s: float
) -> list[Start]:
    """Return feasible plans without improvement, cheapest first; at least one.

    The quickest plan there is, is among them, so that the list is empty for no deadline that can
    be met.

    Parameters
    ----------
    problem
        With or without a deadline.
    seed
        Seed of the search for ways to share slack.
    effort_s
        Effort in nominal seconds.
    clock_limit_s
        Reading of ``time.perf_counter()`` after which nothing further is begun.
    """
    starts = quick_starts(problem, effort_s=0.5 * effort_s, clock_limit_s=clock_limit_s)
    fastest = get_scheduler("fastest")(problem, rng=np.random.default_rng(0))
    if lateness_s(fastest) == 0.0:
        starts = distinct([*starts, Start(fastest, Setting(), None, Offer.whole(problem))])
    shared = [
        share_slack_better(
            start,
            seed=seed + number,
            effort_s=0.5 / SHARED * effort_s,
            clock_limit_s=clock_limit_s,
        )
        for number, start in enumerate(starts[:SHARED])
        if math.isfinite(start.plan.slack_s)
    ]
    return distinct([*starts, *shared])


def short_plan(
    problem: Problem,
    *,
    seed: int,
    effort_s: float,
    clock_limit_s: float,
    enough: Callable[[Plan], bool],
    cancelled: Callable[[], bool] | None = None,
) -> Plan | None:
    """Return the quickest plan found that is good enough, else the cheapest one; None if none.

    Parameters
    ----------
    problem
        With or without a deadline.
    seed
        Seed of all randomness.
    effort_s
        Effort in nominal seconds.
    clock_limit_s
        Reading of ``time.perf_counter()`` after which nothing further is begun.
    enough
        Whether a plan is good enough; the attempt ends with the first such plan.
    cancelled
        Asked often while a plan is improved; true ends the attempt.
    """
    starts = short_starts(problem, seed=seed, effort_s=0.6 * effort_s, clock_limit_s=clock_limit_s)
    good = [start.plan for start in starts if enough(start.plan)]
    if good or not starts:
        return min(good, key=lambda plan: (plan.makespan_s, plan.cost_usd), default=None)
    return improve(
        starts[0].plan,
        seed=seed,
        effort_s=0.4 * effort_s,
        stop=enough,
        cancelled=cancelled,
        clock_limit_s=clock_limit_s,
    )
