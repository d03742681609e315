"""Dyna: the cheapest types of all by brute force, and what its probabilities mean."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.errors import InputError
from autoscale.model import graph
from autoscale.plan.check import check_plan
from autoscale.schedulers.budgeted.listing import offer
from autoscale.schedulers.dyna_scheduler import Chance, _Odds, schedule, search
from tests.problems import random_problem
from tests.schedulers.paid_by_use import costs_usd, longest_path, paid_by_use

if TYPE_CHECKING:
    from autoscale.model.problem import Problem

CERTAIN = Chance(probability=1.0, runtime_cv=0.0, draws=1)


def played(problem: Problem, nominal: np.ndarray, factors: np.ndarray) -> float:
    """Return the makespan when leases are ready as planned and durations are not as planned."""
    planned: list[float] = []
    real: list[float] = []
    for i in range(len(nominal)):
        above = problem.workflow.parents_of(i).tolist()
        ready = max((planned[p] for p in above), default=0.0)
        planned.append(ready + nominal[i])
        real.append(max([ready, *(real[p] for p in above)]) + nominal[i] * factors[i])
    return max(real)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("chance", [CERTAIN, Chance(runtime_cv=0.2, draws=50)])
def test_no_types_that_do_are_cheaper(seed: int, chance: Chance) -> None:
    """Every assignment of types is looked at, with the same luck."""
    problem = paid_by_use(seed, n_tasks=5)
    assert problem.durations_s is not None
    n, n_types = problem.durations_s.shape
    usd = costs_usd(problem)
    factors = chance.factors(n, np.random.default_rng(5))
    for factor in (1.05, 1.3, 1.8):
        goal = problem.replace(deadline_s=factor * problem.least_makespan_s)
        best = np.inf
        for kinds in product(range(n_types), repeat=n):
            nominal = np.array([problem.durations_s[i, k] for i, k in enumerate(kinds)])
            ends = np.array([played(problem, nominal, f) for f in factors])
            certain = longest_path(problem, list(nominal)) <= goal.deadline_s
            if certain and (ends <= goal.deadline_s).mean() >= chance.probability - 1e-9:
                best = min(best, sum(usd[i, k] for i, k in enumerate(kinds)))
        odds = _Odds(offer(goal), chance, np.random.default_rng(5))
        found = search(odds)
        if np.isinf(best):
            assert not odds.types_do(found)
            continue
        assert odds.types_do(found)
        assert usd[np.arange(n), found].sum() == pytest.approx(best)
        plan = schedule(goal, rng=np.random.default_rng(5), chance=chance)
        assert plan.cost_usd == pytest.approx(best)
        assert odds.plan_does(plan)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(1.0, 4.0))
def test_plans_meet_the_deadline_and_by_fresh_luck_nearly_as_often(seed: int, slack: float) -> None:
    problem = random_problem(seed, 12, slack=slack)
    plan = schedule(problem, rng=np.random.default_rng(0))
    assert check_plan(problem, plan) == ()
    chance = Chance(draws=2000)
    fresh = _Odds(offer(problem), chance, np.random.default_rng(1))
    fresh.least = int(0.85 * 2000)  # 100 draws with 96 in time: seven sigmas below
    quickest = offer(problem).types[problem.task_class, 0]
    old = _Odds(offer(problem), Chance(), np.random.default_rng(0))
    assert fresh.plan_does(plan) or not old.types_do(quickest)


def test_surer_is_dearer() -> None:
    """A chain of two: 99 of 100 costs at least what 50 of 100 costs, and its path is shorter."""
    problem = paid_by_use(3, n_tasks=6)
    goal = problem.replace(deadline_s=1.4 * problem.least_makespan_s)
    cost, path = [], []
    for probability in (0.5, 0.99):
        chance = Chance(probability=probability, runtime_cv=0.3, draws=200)
        plan = schedule(goal, rng=np.random.default_rng(2), chance=chance)
        cost.append(plan.cost_usd)
        seconds = plan.task_end_s - plan.task_start_s
        path.append(graph.critical_path_s(problem.workflow, seconds))
    assert cost[0] < cost[1]
    assert path[0] > path[1]


def test_factors_have_mean_one_and_the_variation_asked_for() -> None:
    drawn = Chance(runtime_cv=0.3, draws=4000).factors(50, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(1.0, abs=0.01)
    assert drawn.std() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("wrong", [{"probability": 0.0}, {"runtime_cv": -1.0}, {"draws": 0}])
def test_chances_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        Chance(**wrong)  # type: ignore[arg-type]


def test_without_a_deadline_the_cheapest_pass_is_returned() -> None:
    problem = random_problem(1, 10).replace(deadline_s=None)
    assert schedule(problem, rng=np.random.default_rng(0)).cost_usd > 0
