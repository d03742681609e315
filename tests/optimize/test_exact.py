"""Planner exact against brute force, against another constraint model, and against planner lp."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from autoscale.api import make_problem, read_workflow
from autoscale.errors import InputError
from autoscale.lp.bound import CostBound
from autoscale.lp.useful import needless
from autoscale.model.limits import Quota
from autoscale.optimize import exact
from autoscale.optimize.planner import solve
from autoscale.plan.check import check_plan
from tests.exact import optimum_usd
from tests.optimize import brute
from tests.tiny import tiny_problem

NEAR = 1 + 2e-5
"""Money is counted in billionths of the plan at hand, and bounds are scaled down by 4e-6."""


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("ortools.init", reason="extra 'exact' is not installed")


def test_it_finds_and_proves_the_optimum_of_another_model() -> None:
    cases = [tiny_problem(seed, 4) for seed in range(8)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        answers = [pool.submit(optimum_usd, problem, time_limit_s=5.0) for problem in cases]
        for problem, answer in zip(cases, answers, strict=True):
            optimum, proven = answer.result()
            plan = solve(problem, planner="exact", time_limit_s=4.0, gap=0.0)
            assert check_plan(problem, plan) == ()
            assert plan.certificate is not None
            assert plan.certificate.lower_bound <= optimum * (1 + 1e-9)
            if proven:
                assert plan.cost_usd == pytest.approx(optimum, rel=1e-6)
                assert plan.cost_usd <= plan.certificate.lower_bound * NEAR


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_finds_the_cheapest_of_all_plans(seed: int) -> None:
    problem = brute.tiny_problem(seed)
    deadline = problem.least_makespan_s * 1.3
    cheapest = min(p.cost_usd for p in brute.all_plans(problem) if p.makespan_s <= deadline)
    plan = solve(problem.replace(deadline_s=deadline), planner="exact", time_limit_s=5.0, gap=0.0)
    # All plans of brute force start tasks early; a later start may be cheaper, never dearer.
    assert plan.cost_usd <= cheapest * (1 + 1e-6)
    assert plan.certificate is not None
    assert plan.cost_usd <= plan.certificate.lower_bound * (1 + 1e-2)


def test_a_quota_makes_the_optimum_no_cheaper_and_a_loose_one_changes_nothing() -> None:
    free = tiny_problem(4, 4, 4.0)
    costs = [
        solve(free.replace(quotas=quotas), planner="exact", time_limit_s=4.0, gap=0.0).cost_usd
        for quotas in ((), (Quota(limit=99),), (Quota(limit=1),))
    ]
    assert costs[1] == pytest.approx(costs[0], rel=1e-9)
    assert costs[2] >= costs[0] * (1 - 1e-9)


@pytest.mark.parametrize("seed", [2, 3, 5, 8])
def test_types_that_are_left_out_are_in_no_cheaper_plan(seed: int) -> None:
    problem = tiny_problem(seed, 5, 1.5)
    plan = solve(problem, time_limit_s=1.0)
    search = CostBound(problem, cost_usd=plan.cost_usd * 1.2)
    out = needless(search.root().best, plan.cost_usd * 1.2)
    assert not np.isin(plan.lease_type, np.flatnonzero(out)).any()


def test_a_solver_that_dies_costs_nothing(monkeypatch) -> None:
    problem = make_problem(read_workflow("example:sipht"), deadline="2h", types="m7i.large")
    monkeypatch.setattr(exact, "MOST_TASKS", 10**6)
    monkeypatch.setattr(exact.sys, "executable", "/bin/false")
    plan = solve(problem, planner="exact", time_limit_s=2.0, gap=0.0)
    assert check_plan(problem, plan) == ()


def test_what_it_cannot_do_is_said() -> None:
    workflow = read_workflow("example:montage")
    with pytest.raises(InputError, match="is for up to 60 tasks"):
        solve(make_problem(workflow, deadline="1h"), planner="exact")
    small = tiny_problem(1, 3)
    with pytest.raises(InputError, match="needs a deadline"):
        solve(small.replace(deadline_s=None), planner="exact")
    with pytest.raises(InputError, match="needs a deadline"):
        solve(small.replace(deadline_s=None, budget_usd=9.0), planner="exact")
