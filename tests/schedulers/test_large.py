"""The list scheduler for many leases against the one that compares them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.api import make_problem
from autoscale.lp.bound import CostBound
from autoscale.lp.types import bound_types, reduced, representatives
from autoscale.model.arrays import number_rows
from autoscale.model.billing import HOURLY
from autoscale.optimize.large import plan_large
from autoscale.optimize.planner import LARGE_TABLE, solve
from autoscale.plan.check import check_plan
from autoscale.schedulers import list_scheduler
from autoscale.schedulers.list_scheduler import (
    Setting,
    lateness_s,
    list_plan,
    slack_weights,
    targets_s,
)
from autoscale.workloads import generate
from tests.problems import random_problem
from tests.tiny import tiny_problem

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

seeds = st.integers(0, 10**6)


def with_kernel(problem: Problem, *, large: bool, weight: int, setting: Setting) -> Plan:
    """Return a list schedule by the kernel named, whatever the size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(list_scheduler, "LARGE_TASKS", 0 if large else 10**9)
        target = targets_s(problem, slack_weights(problem)[weight])
        return list_plan(problem, target, setting)


def without_goal(problem: Problem) -> Problem:
    return problem.replace(deadline_s=None, budget_usd=None)


@settings(max_examples=150, deadline=None)
@given(
    seeds, st.integers(1, 60), st.integers(0, 2), st.sampled_from([0.0, 0.5, 1.0]), st.booleans()
)
def test_plans_are_right_on_any_mix_of_vcpus_memory_and_gpus(
    seed: int, n: int, weight: int, power: float, tiny: bool
) -> None:
    problem = tiny_problem(seed) if tiny else random_problem(seed, n)
    kinds = len(problem.catalog)
    setting = Setting(share_power=power, prefer=seed % (kinds + 1) - 1)
    plan = with_kernel(problem, large=True, weight=weight, setting=setting)
    assert check_plan(without_goal(problem), plan) == ()
    free = without_goal(problem)
    plan = with_kernel(free, large=True, weight=weight, setting=setting)
    assert check_plan(free, plan) == ()


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 2))
def test_targets_that_new_leases_can_meet_are_met(seed: int, weight: int) -> None:
    # Every parent ends by its target, so a new lease of the fastest type always meets the next.
    problem = random_problem(seed, 40)
    plan = with_kernel(problem, large=True, weight=weight, setting=Setting())
    assert lateness_s(plan) == 0.0


def large_problem(family: str, billing: str, factor: float) -> Problem:
    problem = make_problem(generate(family, 3000), billing=billing)
    path = problem.least_makespan_s - problem.boot_s
    return reduced(problem.replace(deadline_s=problem.boot_s + factor * path))[0]


@pytest.mark.parametrize("family", ["montage", "1000genome", "epigenomics", "random"])
@pytest.mark.parametrize(("billing", "factor"), [("second", 1.5), ("hour", 4.0)])
def test_costs_are_near_those_of_comparing_every_lease(
    family: str, billing: str, factor: float
) -> None:
    problem = large_problem(family, billing, factor)
    cost = {}
    for large in (False, True):
        plans = [
            with_kernel(problem, large=large, weight=weight, setting=Setting()) for weight in (1, 2)
        ]
        assert all(check_plan(problem, plan) == () for plan in plans)
        cost[large] = min(plan.cost_usd for plan in plans)
    assert cost[True] <= 1.02 * cost[False]


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_rows_are_numbered_as_numpy_finds_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, 3, 200), rng.choice([0.5, 1.5], 200), rng.integers(0, 2, 200)]
    number, first = number_rows(columns)
    _, inverse = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    same = number[:, None] == number[None, :]
    assert np.array_equal(same, inverse.ravel()[:, None] == inverse.ravel()[None, :])
    # Numbers follow first appearance.
    assert [int(np.flatnonzero(number == x)[0]) for x in range(first.size)] == first.tolist()
    assert np.all(np.diff(first) > 0)


def dominating_pairs(problem: Problem, tasks: np.ndarray) -> np.ndarray:
    """Return which types every one of the tasks fits and runs no slower on, by brute force."""
    duration = problem.durations_of(tasks)
    pairs = np.zeros((duration.shape[1],) * 2, dtype=bool)
    for k in range(len(pairs)):
        fits = np.isfinite(duration[:, k])
        own = duration[fits]
        pairs[:, k] = (own <= own[:, [k]] * (1 + 1e-12)).all(axis=0)
    return pairs


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_few_tasks_tell_which_types_dominate(seed: int) -> None:
    problem = tiny_problem(seed)
    everyone = np.arange(len(problem.workflow))
    few = representatives(problem)
    assert np.array_equal(dominating_pairs(problem, few), dominating_pairs(problem, everyone))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_leaving_dominated_types_out_keeps_the_fastest_durations(seed: int) -> None:
    problem = tiny_problem(seed)
    fewer, index = reduced(problem)
    assert np.allclose(fewer.fastest_s, problem.fastest_s, rtol=1e-12)
    assert np.array_equal(fewer.duration_s, problem.duration_s[:, index])
    assert len(bound_types(fewer, 0.0)) == index.size


@pytest.fixture(scope="module")
def six_thousand() -> Problem:
    problem = make_problem(generate("montage", 6000))
    path = problem.least_makespan_s - problem.boot_s
    return problem.replace(deadline_s=problem.boot_s + 2 * path)


def test_large_workflows_are_planned_and_certified(six_thousand: Problem) -> None:
    problem = six_thousand
    assert len(problem.class_member) * len(problem.catalog) > LARGE_TABLE
    plan = solve(problem, time_limit_s=4)
    assert check_plan(problem, plan) == ()
    assert plan.problem is problem
    assert plan.certificate is not None
    assert 0 < plan.certificate.lower_bound <= plan.cost_usd
    simple = solve(problem, planner="list")
    assert plan.cost_usd <= simple.cost_usd


def test_the_bound_of_fewer_types_bounds_plans_on_all(six_thousand: Problem) -> None:
    fewer, _ = reduced(six_thousand)
    bound = CostBound(fewer).root().usd
    for weight in range(3):
        for prefer in (-1, 0, 100, 200):
            setting = Setting(prefer=prefer)
            plan = with_kernel(six_thousand, large=True, weight=weight, setting=setting)
            if lateness_s(plan) == 0.0:
                assert bound <= plan.cost_usd


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_the_search_for_large_workflows_is_right_on_small_ones(seed: int) -> None:
    problem = random_problem(seed, 30)
    plan, bound, _ = plan_large(problem, seed=0, time_limit_s=2)
    assert check_plan(problem, plan) == ()
    assert bound <= plan.cost_usd * (1 + 1e-7)


def test_without_a_deadline_the_search_for_large_workflows_ends() -> None:
    problem = without_goal(random_problem(3, 40)).replace(billing=HOURLY)
    plan, bound, _ = plan_large(problem, seed=0, time_limit_s=2)
    assert check_plan(problem, plan) == ()
    assert bound <= plan.cost_usd
