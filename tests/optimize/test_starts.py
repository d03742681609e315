"""The quick plans that planner ``lp`` begins with, against the schedulers that join them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from autoscale.api import make_problem
from autoscale.optimize.starts import CLASSIC, MANY_TASKS, Starts
from autoscale.schedulers import get_scheduler
from autoscale.schedulers.list_scheduler import lateness_s
from autoscale.workloads.families import generate


@pytest.mark.parametrize(("n_tasks", "joins"), [(60, False), (MANY_TASKS, True)])
def test_schedulers_of_the_literature_join_where_they_should(n_tasks: int, joins: bool) -> None:
    """A stretch of CyberShake where upgrades of single tasks beat the first list schedules."""
    workflow = generate("cybershake", n_tasks, seed=1)
    problem = make_problem(workflow, catalog="aws", region="us-east-1", billing="second", boot=90)
    path_s = problem.least_makespan_s - problem.boot_s
    problem = problem.replace(deadline_s=problem.boot_s + 1.6 * path_s)
    starts = Starts(problem, 0.5, time.perf_counter() + 3600)
    starts.begin()
    starts.make(lambda plan: False)
    costs = [start.plan.cost_usd for start in starts.found]
    for name in CLASSIC:
        plan = get_scheduler(name)(problem, rng=np.random.default_rng(0), time_limit_s=60.0)
        there = any(cost == pytest.approx(plan.cost_usd, rel=1e-9) for cost in costs)
        assert there == (lateness_s(plan) == 0.0 and (joins or name != "gain-deadline"))
