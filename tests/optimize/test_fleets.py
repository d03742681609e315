"""Starts from fleets: one type, changed, and what the relaxation rents."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest

from autoscale.lp.bound import CostBound
from autoscale.model.billing import HOURLY
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.optimize.fleets.search import climb, fleets_of_one_type, guided_fleets
from autoscale.plan.check import check_plan
from tests.problems import random_problem


def collecting(n: int, deadline_s: float) -> Problem:
    """Return tasks of 100 s on either type, then one of 1000 s on the first, 50 s on the other."""
    types = tuple(
        InstanceType(name=name, vcpus=1, memory_gib=1.0, price_usd_per_hour=price)
        for name, price in (("bulk", 1.0), ("quick", 2.5))
    )
    workflow = Workflow.from_columns(
        name="collecting",
        ids=[f"t{i}" for i in range(n + 1)],
        runtime_s=np.full(n + 1, 100.0),
        edges=(np.arange(n), np.full(n, n)),
    )
    durations_s = np.full((n + 1, 2), 100.0)
    durations_s[n] = (1000.0, 50.0)
    return Problem(
        workflow=workflow, catalog=Catalog(types), boot_s=10.0, billing=HOURLY,
        durations_s=durations_s, deadline_s=deadline_s,
    )  # fmt: skip


def least_usd(n: int, deadline_s: float) -> float:
    """Return the least cost over all numbers of machines: rounds of 100 s, then the last task."""
    costs = [
        bulk + 2.5 * quick
        for bulk, quick in product(range(n + 1), range(1, n + 1))
        if 10 + 100 * -(-n // (bulk + quick)) + 50 <= deadline_s
    ]
    return min(costs)


@pytest.mark.parametrize(("n", "rounds"), [(12, 3), (12, 4), (20, 2), (9, 9)])
def test_the_relaxation_tells_which_types_belong_together(n: int, rounds: int) -> None:
    """Many cheap machines and one that is quick at the last task, as brute force has it."""
    problem = collecting(n, 10 + 100.0 * rounds + 50)
    bound = CostBound(problem).root()
    found = guided_fleets(
        problem, bound, seed=0, cost_usd=1e3, effort_s=0.2, clock_limit_s=time.perf_counter() + 60
    )
    assert found[0].start.plan.cost_usd == pytest.approx(least_usd(n, problem.deadline_s or 0.0))


@pytest.mark.parametrize("seed", range(6))
def test_fleets_give_plans_in_time_and_below_the_limit(seed: int) -> None:
    problem = random_problem(seed, n_tasks=14)
    ends = time.perf_counter() + 60
    found = fleets_of_one_type(problem, cost_usd=1e3, effort_s=0.05, clock_limit_s=ends)
    assert found
    costs = [fleet.start.plan.cost_usd for fleet in found]
    assert costs == sorted(costs)
    limit_usd = 0.9 * costs[0]
    changed = climb(found, seed=seed, effort_s=0.05, cost_usd=limit_usd, clock_limit_s=ends)
    assert all(fleet.start.plan.cost_usd < limit_usd for fleet in changed)
    for fleet in [*found, *changed]:
        assert check_plan(problem, fleet.start.plan) == ()
