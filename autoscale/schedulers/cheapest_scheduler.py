"""Everything on one machine: the type on which the whole workflow costs least.

With per-second billing one well-chosen machine wastes nothing on further boots; it is the plan to
beat where time does not matter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.model import graph
from autoscale.plan.decode import decode, tighten
from autoscale.schedulers.about import About

if TYPE_CHECKING:
    from autoscale.model.arrays import BoolArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="none",
    summary="everything one after another on the one machine that does it for least money",
)

TRIED = 6
"""Types that are really scheduled, of those that look cheapest by volume of work."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the cheapest one-machine plan, however long it takes.

    Parameters
    ----------
    problem
        What is planned; deadline and budget play no part.
    rng
        Not used: the algorithm has no ties to break by chance.
    time_limit_s
        Not used: the algorithm ends by itself, soon.

    Raises
    ------
    InputError
        When no single type fits every task.
    """
    w, catalog = problem.workflow, problem.catalog
    duration = problem.duration_s
    usable: BoolArray = np.asarray(np.isfinite(duration).all(axis=0))
    if not usable.any():
        raise InputError(
            f"planner 'cheapest': no single type of {catalog.name} fits every task of "
            f"{w.name!r}; use planner 'list'"
        )
    per_class = np.bincount(problem.task_class, weights=w.vcpus, minlength=len(duration))
    with np.errstate(invalid="ignore"):
        volume = np.where(usable, per_class @ np.where(usable, duration, 0.0), np.inf)
    estimate = catalog.price_per_s * volume / catalog.vcpus + problem.boot_s * catalog.price_per_s
    candidates = np.argsort(estimate, kind="stable")[:TRIED]
    plans = []
    for k in candidates[usable[candidates]]:
        rank = graph.upward_rank_s(w, problem.durations_on(int(k)))
        order = np.lexsort((np.arange(len(w)), w.level, -rank))
        plans.append(tighten(decode(problem, [k], np.zeros(len(w), np.int32), order)))
    return min(plans, key=lambda plan: (plan.cost_usd, plan.makespan_s))
