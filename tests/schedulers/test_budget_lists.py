"""The budget schedulers and MLS: their rules in the papers' model, and the budget in ours."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.errors import InputError
from autoscale.model.billing import HOURLY
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.plan.check import check_plan
from autoscale.schedulers import (
    bheft_scheduler,
    cheapest_scheduler,
    gain_budget_scheduler,
    get_scheduler,
    grp_heft_scheduler,
    loss2_scheduler,
    loss3_scheduler,
    mls_scheduler,
    mslbl_scheduler,
)
from autoscale.schedulers.budgeted import kernels
from autoscale.schedulers.budgeted.index import kernels as index_kernels
from autoscale.schedulers.budgeted.listing import cheapest_pass, offer, overhead
from tests.optimize import brute
from tests.problems import random_problem
from tests.schedulers.moves import Moves
from tests.schedulers.paid_by_use import costs_usd, longest_path, paid_by_use, unbeaten
from tests.tiny import tiny_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.plan.plan import Plan

BUDGETED = ("bheft", "hbcs", "mslbl", "grp-heft", "loss2", "loss3", "gain-budget")
QUICKEST_WITHOUT_BUDGET = ("bheft", "hbcs", "mslbl", "loss2", "loss3", "gain-budget")

seeds = st.integers(0, 10**6)


def planned(name: str, problem: Problem) -> Plan:
    return get_scheduler(name)(problem, rng=np.random.default_rng(0))


def without_goal(problem: Problem) -> Problem:
    return problem.replace(deadline_s=None, budget_usd=None)


@pytest.mark.parametrize("name", BUDGETED)
@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(1.0, 8.0), st.booleans())
def test_budgets_that_one_machine_meets_are_kept(
    name: str, seed: int, factor: float, tiny: bool
) -> None:
    problem = without_goal(tiny_problem(seed) if tiny else random_problem(seed, 14))
    least = cheapest_scheduler.schedule(problem, rng=np.random.default_rng(0)).cost_usd
    goal = problem.replace(budget_usd=max(1e-9, factor * least))
    plan = planned(name, goal)
    assert check_plan(goal, plan) == ()
    assert plan.makespan_s >= problem.least_makespan_s - 1e-6


@pytest.mark.parametrize("name", BUDGETED)
@pytest.mark.parametrize("seed", range(6))
def test_no_plan_is_quicker_than_the_quickest_affordable_of_all(name: str, seed: int) -> None:
    problem = brute.tiny_problem(seed)
    plans = brute.all_plans(problem)
    least = min(plan.cost_usd for plan in plans)
    for factor in (0.5, 1.0, 1.3, 2.0):
        goal = problem.replace(budget_usd=factor * least)
        plan = planned(name, goal)
        if factor < 1.0:  # infeasible: the plan must not pretend otherwise
            assert plan.cost_usd >= least - 1e-9
            assert check_plan(without_goal(goal), plan) == ()
            continue
        affordable = [p.makespan_s for p in plans if p.cost_usd <= factor * least + 1e-9]
        if plan.cost_usd <= factor * least + 1e-6:
            assert plan.makespan_s >= min(affordable) - 1e-6


@pytest.mark.parametrize("name", QUICKEST_WITHOUT_BUDGET)
@pytest.mark.parametrize("seed", range(4))
def test_without_a_budget_nothing_is_quicker(name: str, seed: int) -> None:
    problem = without_goal(random_problem(seed, 20))
    assert planned(name, problem).makespan_s == pytest.approx(problem.least_makespan_s, rel=1e-6)


def test_a_task_that_no_single_type_shares_with_others_is_planned() -> None:
    """One task needs memory, the other vCPUs: there is no one machine to fall back on."""
    types = (
        InstanceType(name="wide", vcpus=8, memory_gib=4, price_usd_per_hour=0.4),
        InstanceType(name="deep", vcpus=2, memory_gib=64, price_usd_per_hour=0.4),
    )
    workflow = Workflow.from_columns(
        name="two",
        ids=["a", "b"],
        runtime_s=[100.0, 100.0],
        edges=((), ()),
        vcpus=[8, 1],
        memory_bytes=[0, 60 * 2**30],
    )
    problem = Problem(workflow=workflow, catalog=Catalog(types))
    with pytest.raises(InputError):
        cheapest_scheduler.schedule(problem, rng=np.random.default_rng(0))
    for name in BUDGETED:
        plan = planned(name, problem.replace(budget_usd=1e-6))
        assert plan.cost_usd == pytest.approx(2 * 190 * 0.4 / 3600)


# The rules, written plainly for the papers' model.


def ranked(problem: Problem) -> list[int]:
    """Return HEFT's order with mean durations over the unbeaten types."""
    assert problem.durations_s is not None
    n = len(problem.workflow)
    mean = [
        float(np.mean([problem.durations_s[i, k] for k in unbeaten(problem, i)])) for i in range(n)
    ]
    rank = [0.0] * n
    for i in reversed(range(n)):
        below = [rank[c] for c in problem.workflow.children_of(i).tolist()]
        rank[i] = mean[i] + max(below, default=0.0)
    return sorted(range(n), key=lambda i: (-rank[i], i))


def plain_bheft(problem: Problem, budget: float) -> dict[int, int]:
    """Return BHEFT's type of each task."""
    usd = costs_usd(problem)
    mean = [float(np.mean(usd[i, unbeaten(problem, i)])) for i in range(len(usd))]
    left, spent, chosen = sum(mean), 0.0, {}
    for i in ranked(problem):
        spare = budget - spent - left
        allowance = mean[i] + max(spare, 0.0) * mean[i] / left
        row = unbeaten(problem, i)
        affordable = [k for k in row if usd[i, k] <= allowance + 1e-12]
        if affordable:
            chosen[i] = affordable[0]
        else:
            chosen[i] = row[0] if spare >= 0 else row[-1]
        spent += usd[i, chosen[i]]
        left -= mean[i]
    return chosen


def plain_mslbl(problem: Problem, budget: float) -> dict[int, int]:
    """Return MSLBL's type of each task."""
    usd = costs_usd(problem)
    rows = [unbeaten(problem, i) for i in range(len(usd))]
    least = [min(usd[i, row]) for i, row in enumerate(rows)]
    most = [max(usd[i, row]) for i, row in enumerate(rows)]
    level = min(1.0, max(0.0, (budget - sum(least)) / (sum(most) - sum(least))))
    reserve = [low + level * (high - low) for low, high in zip(least, most, strict=True)]
    kept, spent, chosen = sum(reserve), 0.0, {}
    for i in ranked(problem):
        allowance = budget - spent - (kept - reserve[i])
        affordable = [k for k in rows[i] if usd[i, k] <= allowance + 1e-9]
        chosen[i] = affordable[0] if affordable else rows[i][-1]
        spent += usd[i, chosen[i]]
        kept -= reserve[i]
    return chosen


PLAIN: dict[str, tuple[Callable[..., Plan], Callable[[Problem, float], dict[int, int]]]] = {
    "bheft": (bheft_scheduler.schedule, plain_bheft),
    "mslbl": (mslbl_scheduler.schedule, plain_mslbl),
    "loss2": (loss2_scheduler.schedule, lambda p, b: Moves(p, gain=False, renewed=False).types(b)),
    "loss3": (loss3_scheduler.schedule, lambda p, b: Moves(p, gain=False, renewed=True).types(b)),
    "gain": (
        gain_budget_scheduler.schedule,
        lambda p, b: Moves(p, gain=True, renewed=True).types(b),
    ),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("seed", range(12))
def test_in_the_papers_model_plans_are_the_papers(name: str, seed: int) -> None:
    """Pay by use, no boot: the rule written plainly gives the same cost and makespan."""
    problem = paid_by_use(seed)
    assert problem.durations_s is not None
    usd = costs_usd(problem)
    least, most = usd.min(axis=1).sum(), usd.max(axis=1).sum()
    schedule, plain = PLAIN[name]
    for part in (0.05, 0.3, 0.6, 0.9):
        budget = least + part * (most - least)
        chosen = plain(problem, budget)
        expected = sum(usd[i, k] for i, k in chosen.items())
        if expected > budget + 1e-6:
            continue  # where the paper's algorithm fails, ours tries again with less
        plan = schedule(problem.replace(budget_usd=budget), rng=np.random.default_rng(0))
        assert plan.cost_usd == pytest.approx(expected)
        seconds = [float(problem.durations_s[i, chosen[i]]) for i in range(len(usd))]
        assert plan.makespan_s == pytest.approx(longest_path(problem, seconds))


def test_in_the_papers_model_there_is_no_overhead() -> None:
    given_types = offer(paid_by_use(3))
    assert overhead(given_types, cheapest_pass(given_types)) == pytest.approx(1.0)


def test_hbcs_weighs_time_by_what_is_left() -> None:
    """One task, two machines: 10 s for $20 or 20 s for $10; rcb is 0, so only time counts."""
    workflow = Workflow.from_columns(name="one", ids=["t"], runtime_s=[1.0], edges=((), ()))
    types = tuple(
        InstanceType(name=name, vcpus=1, memory_gib=1, price_usd_per_hour=price)
        for name, price in (("quick", 7200.0), ("slow", 1800.0))
    )
    problem = paid_by_use(0).replace(
        workflow=workflow, catalog=Catalog(types), durations_s=np.array([[10.0, 20.0]])
    )
    assert planned("hbcs", problem.replace(budget_usd=20.0)).makespan_s == 10.0
    assert planned("hbcs", problem.replace(budget_usd=19.0)).makespan_s == 20.0


def test_choose_by_hand() -> None:
    """Three options: (finish, cost) = (10, 9) new, (14, 4) new, (20, 0) on a lease."""
    o = (
        np.zeros(3),
        np.array([10.0, 14.0, 20.0]),
        np.array([9.0, 4.0, 0.0]),
        np.array([2.0, 1.0, 2.0]),
        np.array([-1, -1, 0], dtype=np.int32),
        np.zeros(3, dtype=np.int32),
    )
    inf = np.inf

    def chosen(rule: int, allowance: float = inf, own: float = inf, weight: float = 0.0) -> int:
        return int(kernels.choose(rule, o, 3, allowance, own, weight, 0))

    assert chosen(kernels.CHEAPEST) == 2
    assert chosen(kernels.SHARE) == 0
    assert chosen(kernels.SHARE, allowance=8.0) == 1
    assert chosen(kernels.SHARE, own=1.5) == 1
    assert chosen(kernels.SHARE, allowance=-1.0) == 0  # nothing affordable: the quickest
    assert chosen(kernels.FLEET) == 2  # costs nothing more
    assert chosen(kernels.WEIGHTED, weight=1.0) == 0
    assert chosen(kernels.WEIGHTED, weight=0.0) == 2
    # Worth: (20 - FT) / 10 + w (9 - C) / 9 is 1, 0.6 + 0.56 w, w.
    assert chosen(kernels.WORTH, weight=0.5) == 0
    assert chosen(kernels.WORTH, weight=0.8) == 1
    assert chosen(kernels.WORTH, weight=1.4) == 2
    assert chosen(kernels.WORTH, allowance=5.0, weight=0.0) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2), st.integers(0, 9)), max_size=60))
def test_leases_stay_sorted_by_their_key(moves: list[tuple[int, int, int]]) -> None:
    index = index_kernels.new_index(3, 12)
    held: dict[int, tuple[int, float]] = {}
    for lease, k, key in moves:
        kind = held.get(lease, (k, 0.0))[0]
        index_kernels.index_put(index, kind, lease, float(key), lease not in held)
        held[lease] = (kind, float(key))
    members, where, _, _ = index
    for k in range(3):
        own = members[where[k, 0] : where[k, 0] + where[k, 1]].tolist()
        assert own == sorted((x for x in held if held[x][0] == k), key=lambda x: (held[x][1], x))


@pytest.mark.parametrize("seed", range(20))
def test_types_kept_are_those_that_no_other_beats(seed: int) -> None:
    problem = paid_by_use(seed, n_types=4)
    kept = offer(problem).types
    for i in range(len(problem.workflow)):
        assert [k for k in kept[i].tolist() if k >= 0] == unbeaten(problem, i)


def test_huge_machines_are_not_cheap_for_few_tasks() -> None:
    """A share of a machine for hundreds counts with the machine's whole hour for one task."""
    types = (
        InstanceType(name="small", vcpus=1, memory_gib=4, price_usd_per_hour=0.05),
        InstanceType(name="huge", vcpus=100, memory_gib=400, price_usd_per_hour=4.0),
    )
    for n, best in ((1, "small"), (1000, "huge")):
        workflow = Workflow.from_columns(
            name="n", ids=[f"t{i}" for i in range(n)], runtime_s=np.full(n, 3000.0), edges=((), ())
        )
        problem = Problem(workflow=workflow, catalog=Catalog(types), billing=HOURLY)
        kinds = offer(problem).types[0]
        assert problem.catalog.names[kinds[kinds >= 0][-1]] == best


def test_a_fleet_is_bought_greedily() -> None:
    """$10 for 100 s: two at $3.5 leave $3, which buys one at $3 and none at $0.6."""
    price = np.array([0.03, 0.035, 0.006])
    kinds = np.array([1, 0, 2])
    assert grp_heft_scheduler.fleet(price, kinds, 10.0, 100.0, 5).tolist() == [1, 2, 0]
    assert grp_heft_scheduler.fleet(price, kinds, 10.5, 100.0, 5).tolist() == [0, 3, 0]
    # Two tasks need no more than two machines.
    assert grp_heft_scheduler.fleet(price, kinds, 10.0, 100.0, 2).tolist() == [0, 2, 0]


def test_efficient_machines_first() -> None:
    """Speeds 1, 2, 3 for $1, $1.5, $4; a fourth is slower and dearer than the second."""
    types = tuple(
        InstanceType(name=name, vcpus=1, memory_gib=1, price_usd_per_hour=price, speed=speed)
        for name, price, speed in (("a", 1.0, 1.0), ("b", 1.5, 2.0), ("c", 4.0, 3.0), ("d", 2, 1.9))
    )
    workflow = Workflow.from_columns(
        name="w", ids=["s", "t"], runtime_s=[7200.0, 3600.0], edges=((0,), (1,))
    )
    problem = Problem(workflow=workflow, catalog=Catalog(types), boot_s=0.0)
    kinds = grp_heft_scheduler.efficient_kinds(offer(problem))
    # The cheaper and slower "a" is beaten by "b" in what tasks cost and in time, so not offered.
    assert [problem.catalog.names[k] for k in kinds] == ["b", "c"]


def test_grp_heft_keeps_to_its_fleet() -> None:
    """$4 buys four instance-hours at $1: eight hour-long tasks take two hours on two of them."""
    only = InstanceType(name="m", vcpus=1, memory_gib=1, price_usd_per_hour=1.0)
    workflow = Workflow.from_columns(
        name="bag", ids=[f"t{i}" for i in range(4)], runtime_s=np.full(4, 3600.0), edges=((), ())
    )
    problem = Problem(workflow=workflow, catalog=Catalog((only,)), boot_s=0.0, billing=HOURLY)
    plan = planned("grp-heft", problem.replace(budget_usd=4.0))
    assert (plan.cost_usd, plan.makespan_s, plan.n_leases) == (4.0, 3600.0, 4)


@pytest.mark.parametrize("seed", range(4))
def test_mls_reaches_both_ends_and_nothing_on_its_front_beats_another(seed: int) -> None:
    problem = without_goal(random_problem(seed, 20))
    front = mls_scheduler.front(problem, rng=np.random.default_rng(0))
    points = [(plan.makespan_s, plan.cost_usd) for plan in front.points]
    assert points == sorted(points)
    assert all(b[1] < a[1] for a, b in pairwise(points))
    assert points[0][0] == pytest.approx(problem.least_makespan_s)
    assert points[-1][1] <= cheapest_pass(offer(problem)).cost_usd + 1e-9
    for plan in front.points:
        assert check_plan(plan.problem, plan) == ()
