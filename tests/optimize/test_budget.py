"""Least makespan within a budget, both limits, and what is said when a goal cannot be met."""

from __future__ import annotations

import dataclasses
import math
import re
from itertools import pairwise

import numpy as np
import pytest

from autoscale.errors import InfeasibleError, LimitError, SolverError
from autoscale.lp.bound import Bound, CostBound
from autoscale.lp.work import work_bound_usd
from autoscale.model.billing import PER_SECOND
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.optimize.budget import plan_within_budget
from autoscale.optimize.planner import solve
from autoscale.optimize.refusals import chain_text, enough_money, enough_time
from autoscale.plan.check import check_plan
from autoscale.units import parse_duration, parse_money
from tests.optimize.brute import all_plans, tiny_problem
from tests.problems import random_problem

LIMIT_S = 0.7


@pytest.mark.parametrize("seed", range(8))
def test_bound_optimum_plan(seed: int) -> None:
    """Whatever the budget, bound <= least makespan of all plans within it <= the plan's."""
    problem = tiny_problem(seed)
    plans = all_plans(problem)
    costs = np.unique([plan.cost_usd for plan in plans])
    for part in (0.0, 0.4):
        budget = float(costs[int(part * (costs.size - 1))]) * (1 + 1e-9)
        optimum = min(plan.makespan_s for plan in plans if plan.cost_usd <= budget)
        goal = problem.replace(budget_usd=budget)
        try:
            plan = solve(goal, time_limit_s=LIMIT_S)
        except LimitError:
            continue  # allowed to give up; never to claim that it is impossible
        assert check_plan(goal, plan) == ()
        assert plan.certificate is not None
        assert plan.certificate.objective == "makespan"
        assert plan.certificate.lower_bound <= optimum
        assert plan.cost_usd <= budget
        # The enumeration starts every task at once, but a plan may wait for a lease to fill.
        assert plan.makespan_s >= optimum * (1 - 1e-9)


def test_small_problems_are_solved_to_the_optimum() -> None:
    """Of the brute-forced problems nearly all end at the least makespan there is."""
    reached = []
    for seed in range(8):
        problem = tiny_problem(seed)
        plans = all_plans(problem)
        budget = float(np.median([plan.cost_usd for plan in plans]))
        optimum = min(plan.makespan_s for plan in plans if plan.cost_usd <= budget)
        plan = solve(problem.replace(budget_usd=budget), time_limit_s=LIMIT_S)
        reached.append(plan.makespan_s <= optimum * (1 + 1e-6))
    assert np.mean(reached) >= 0.75


@pytest.mark.parametrize("seed", range(2))
def test_more_money_never_makes_the_bound_larger(seed: int) -> None:
    """Bounds for rising budgets do not rise; plans of a smaller budget exceed larger's bounds."""
    problem = random_problem(seed, 10).replace(deadline_s=None)
    cheapest = solve(problem, time_limit_s=LIMIT_S).cost_usd
    results = [
        plan_within_budget(
            problem.replace(budget_usd=cheapest * factor), seed=0, time_limit_s=LIMIT_S
        )
        for factor in (1.05, 1.5, 3.0)
    ]
    for (tight, tight_bound, _), (_, loose_bound, _) in pairwise(results):
        assert loose_bound <= tight.makespan_s * (1 + 1e-9)
        # Searched in steps, a bound may stop a step short.
        assert loose_bound <= tight_bound * (1 + 0.01)


def test_unlimited_money_buys_the_least_makespan() -> None:
    """With a huge budget, plan and bound meet at boot plus the critical path."""
    problem = random_problem(3, 12).replace(deadline_s=None, budget_usd=1e6)
    plan = solve(problem, time_limit_s=LIMIT_S)
    assert plan.makespan_s == pytest.approx(problem.least_makespan_s)
    assert plan.gap < 1e-4


def test_the_bound_rises_above_the_critical_path() -> None:
    """Many equal tasks on a small budget: haste would need more boots than the budget has."""
    problem = tiny_problem(0).replace(billing=PER_SECOND, boot_s=90.0)
    cheapest = solve(problem, time_limit_s=LIMIT_S)
    goal = problem.replace(budget_usd=cheapest.cost_usd * 1.001)
    optimum = min(p.makespan_s for p in all_plans(goal) if p.cost_usd <= (goal.budget_usd or 0.0))
    plan = solve(goal, time_limit_s=LIMIT_S)
    assert plan.certificate is not None
    assert problem.least_makespan_s < plan.certificate.lower_bound <= optimum


def test_same_seed_same_plan() -> None:
    """Both threads count effort, so a search that ends by itself is reproducible."""
    problem = random_problem(5, 8).replace(deadline_s=None, budget_usd=0.4)
    first, again = (solve(problem, seed=4, time_limit_s=3.0) for _ in range(2))
    assert first.to_frame().equals(again.to_frame())
    assert first.certificate == again.certificate


def test_a_solver_that_fails_or_lies_costs_only_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a usable linear program the plan stays, with the critical path as its bound."""
    problem = random_problem(6, 8).replace(deadline_s=None)
    problem = problem.replace(budget_usd=solve(problem, time_limit_s=LIMIT_S).cost_usd * 1.1)
    real = CostBound.root

    def fail(search: CostBound, *_: object) -> Bound:
        raise SolverError("injected")

    def lie(search: CostBound, *_: object) -> Bound:
        return dataclasses.replace(real(search), usd=math.inf)

    for fake in (fail, lie):
        monkeypatch.setattr(CostBound, "root", fake)
        monkeypatch.setattr(CostBound, "branch", fake)
        plan = solve(problem, time_limit_s=LIMIT_S)
        assert check_plan(problem, plan) == ()
        assert plan.certificate is not None
        assert plan.certificate.lower_bound == pytest.approx(problem.least_makespan_s, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_both_limits(seed: int) -> None:
    """Plan, contradiction or giving up: each agrees with all plans there are."""
    problem = tiny_problem(seed)
    plans = all_plans(problem)
    quick = min(plan.makespan_s for plan in plans)
    cheap = min(plan.cost_usd for plan in plans)
    for more_time, more_money in ((1.0, 1.0), (1.2, 1.3), (2.0, 2.0)):
        goal = problem.replace(deadline_s=quick * more_time, budget_usd=cheap * more_money)
        possible = any(
            p.makespan_s <= quick * more_time and p.cost_usd <= cheap * more_money for p in plans
        )
        try:
            plan = solve(goal, time_limit_s=LIMIT_S)
        except (InfeasibleError, LimitError) as error:
            refusal = error
        else:
            assert check_plan(goal, plan) == ()
            continue
        assert "deadline of" in str(refusal)
        assert "budget of" in str(refusal)
        if isinstance(refusal, InfeasibleError):
            assert not possible
            assert refusal.least_cost_usd is not None
            least = min(p.cost_usd for p in plans if p.makespan_s <= quick * more_time)
            assert refusal.least_cost_usd <= least


def test_contradicting_limits_name_each_other_and_what_would_do() -> None:
    """Either hint of the message, taken, makes the goal feasible."""
    # Eight tasks of a minute at once need eight boots; one after another they need one.
    workflow = Workflow.from_columns(
        name="wide", ids=[f"t{i}" for i in range(8)], runtime_s=np.full(8, 60.0), edges=((), ())
    )
    offer = InstanceType(
        name="one", vcpus=1, memory_gib=4.0, price_usd_per_hour=0.36, speed=1.0, region="here"
    )
    problem = Problem(workflow=workflow, catalog=Catalog((offer,), name="one type"))
    at_once, in_turn = 8 * 150 * 1e-4, (90 + 8 * 60) * 1e-4
    goal = problem.replace(deadline_s=155.0, budget_usd=0.7 * at_once)
    assert in_turn < 0.7 * at_once
    with pytest.raises(InfeasibleError, match="contradict each other") as refused:
        solve(goal, time_limit_s=LIMIT_S)
    message = str(refused.value)
    money = re.search(r"allow a budget of (\$[\d.]+)", message)
    until = re.search(r"or a deadline of (\S+)$", message)
    assert money
    assert until
    richer = goal.replace(budget_usd=parse_money(money[1]))
    assert check_plan(richer, solve(richer, time_limit_s=LIMIT_S)) == ()
    later = goal.replace(deadline_s=parse_duration(until[1]))
    assert check_plan(later, solve(later, time_limit_s=LIMIT_S)) == ()


def test_an_impossible_deadline_names_the_chain() -> None:
    """The message shows the critical path with the fastest types, and a deadline that works."""
    problem = random_problem(2, 25)
    with pytest.raises(InfeasibleError, match="critical path") as refused:
        solve(problem.replace(deadline_s=0.5 * problem.least_makespan_s))
    assert refused.value.least_makespan_s == problem.least_makespan_s
    hint = re.search(r"allow at least (\S+)", str(refused.value))
    assert hint
    enough = problem.replace(deadline_s=parse_duration(hint[1]))
    assert check_plan(enough, solve(enough, time_limit_s=LIMIT_S)) == ()
    assert " on b." in chain_text(problem)  # the fast family


def test_an_impossible_budget_names_the_dearest_work() -> None:
    """A budget below the cheapest share of machines is refused with the certified least cost."""
    problem = random_problem(2, 12).replace(deadline_s=None)
    least = work_bound_usd(problem)
    with pytest.raises(InfeasibleError, match=r"of it for \d+ tasks of .* \(c\.huge\)") as refused:
        solve(problem.replace(budget_usd=0.9 * least))
    assert refused.value.least_cost_usd == least
    assert least <= solve(problem, time_limit_s=LIMIT_S).cost_usd


def test_hints_read_back_are_never_less() -> None:
    """What people read is rounded up, by little."""
    rng = np.random.default_rng(0)
    for value in 10 ** rng.uniform(-3, 5, 300):
        assert value * (1 - 1e-8) <= parse_duration(enough_time(value)) <= value * 1.02
        assert value * (1 - 1e-8) <= parse_money(enough_money(value)) <= value * 1.02
