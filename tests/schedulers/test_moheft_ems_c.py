"""MOHEFT and EMS-C: whole fronts by brute force, operators by their definitions."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.plan.check import check_plan
from autoscale.plan.decode import decode
from autoscale.schedulers import ems_c_scheduler, moheft_scheduler
from autoscale.schedulers.budgeted.fronts import best_for_goal, non_dominated
from autoscale.schedulers.budgeted.listing import offer
from autoscale.schedulers.evolution import kernels
from tests.problems import random_problem
from tests.schedulers.paid_by_use import costs_usd, longest_path, paid_by_use

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.front import ParetoFront
    from autoscale.plan.plan import Plan

seeds = st.integers(0, 10**6)


def true_front(problem: Problem) -> list[tuple[float, float]]:
    """Return the front over every assignment of types, in the papers' model."""
    assert problem.durations_s is not None
    n, n_types = problem.durations_s.shape
    usd = costs_usd(problem)
    points = [
        (
            longest_path(problem, [float(problem.durations_s[i, k]) for i, k in enumerate(kinds)]),
            float(sum(usd[i, k] for i, k in enumerate(kinds))),
        )
        for kinds in product(range(n_types), repeat=n)
    ]
    time, cost = np.array(points).T
    return [points[i] for i in non_dominated(time, np.round(cost, 6))]


def points_of(front: ParetoFront) -> list[tuple[float, float]]:
    return [(plan.makespan_s, plan.cost_usd) for plan in front.points]


@pytest.mark.parametrize("seed", range(6))
def test_moheft_with_room_for_everything_finds_the_whole_front(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moheft_scheduler, "KEPT", 400)
    problem = paid_by_use(seed, n_tasks=5, n_types=2)
    found = points_of(moheft_scheduler.front(problem, rng=np.random.default_rng(0)))
    assert len(found) == len(true_front(problem))
    assert np.allclose(found, true_front(problem))


@pytest.mark.parametrize("seed", range(6))
def test_ems_c_finds_the_whole_front_of_small_problems(seed: int) -> None:
    problem = paid_by_use(seed, n_tasks=4, n_types=2)
    found = points_of(ems_c_scheduler.front(problem, rng=np.random.default_rng(0)))
    assert len(found) == len(true_front(problem))
    assert np.allclose(found, true_front(problem))


@pytest.mark.parametrize("module", [moheft_scheduler, ems_c_scheduler])
@settings(max_examples=10, deadline=None)
@given(seeds)
def test_fronts_hold_right_plans_that_do_not_beat_each_other(module: object, seed: int) -> None:
    problem = random_problem(seed, 12).replace(deadline_s=None)
    front = module.front(problem, rng=np.random.default_rng(0))  # type: ignore[attr-defined]
    points = points_of(front)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(points))
    assert points[0][0] >= problem.least_makespan_s - 1e-6
    for plan in front.points:
        assert check_plan(plan.problem, plan) == ()


@pytest.mark.parametrize("module", [moheft_scheduler, ems_c_scheduler])
def test_goals_pick_from_the_front(module: object) -> None:
    problem = random_problem(11, 16).replace(deadline_s=None)

    def run(goal: Problem) -> Plan:
        rng = np.random.default_rng(3)
        return module.schedule(goal, rng=rng)  # type: ignore[attr-defined,no-any-return]

    least = problem.least_makespan_s
    quick, slow = (run(problem.replace(deadline_s=f * least)) for f in (1.05, 3.0))
    assert quick.makespan_s <= 1.05 * least + 1e-6
    assert slow.cost_usd <= quick.cost_usd
    affordable = run(problem.replace(budget_usd=slow.cost_usd))
    assert affordable.cost_usd <= slow.cost_usd + 1e-6
    assert (
        run(problem.replace(deadline_s=2 * least))
        .to_frame()
        .equals(run(problem.replace(deadline_s=2 * least)).to_frame())
    )


def test_the_plan_for_a_goal_by_hand() -> None:
    """Of (makespan, cost) = (10, 9), (20, 5), (30, 1)."""
    base = random_problem(0, 3).replace(deadline_s=None)

    class Fake:
        def __init__(self, makespan_s: float, cost_usd: float) -> None:
            self.makespan_s, self.cost_usd = makespan_s, cost_usd

        def replace(self, **_: object) -> Fake:
            return self

    plans = [Fake(10, 9), Fake(20, 5), Fake(30, 1)]
    for deadline, budget, cost in (
        (None, None, 1), (25.0, None, 5), (5.0, None, 9), (None, 6.0, 5), (None, 0.5, 1),
        (25.0, 9.5, 5), (15.0, 6.0, 9),
    ):  # fmt: skip
        goal = base.replace(deadline_s=deadline, budget_usd=budget)
        assert best_for_goal(goal, plans).cost_usd == cost  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(0, 13), st.integers(0, 13), st.floats(0, 0.999))
def test_orders_stay_topological(seed: int, cut: int, at: int, chance: float) -> None:
    problem = random_problem(seed, 14)
    given_types = offer(problem)
    w, rng = problem.workflow, np.random.default_rng(seed)

    def topological(order: np.ndarray) -> bool:
        place = np.argsort(order)
        return all(place[p] < place[i] for i in range(14) for p in w.parents_of(i).tolist())

    orders = []
    for _ in range(2):
        key = rng.random(14)
        for i in range(14):
            key[i] = max([key[i], *(key[p] + 1e-9 for p in w.parents_of(i).tolist())])
        orders.append(np.argsort(key, kind="stable"))
    child = np.empty(14, dtype=np.int64)
    kernels.cross_orders(orders[0], orders[1], cut, child)
    assert sorted(child.tolist()) == list(range(14))
    assert topological(child)
    assert child[:cut].tolist() == orders[0][:cut].tolist()
    kernels.move_in_order(given_types.x, child, at, chance)
    assert sorted(child.tolist()) == list(range(14))
    assert topological(child)


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_chromosomes_are_worth_what_their_plans_are(seed: int) -> None:
    """Repaired and evaluated as decoded, up to leases that are cut at long idle gaps."""
    problem = random_problem(seed, 12)
    given_types, rng = offer(problem), np.random.default_rng(seed)
    lease = rng.integers(0, int(rng.integers(1, 12)), 12).astype(np.int32)
    kind = rng.integers(0, len(problem.catalog), 12).astype(np.int32)
    kernels.repair(given_types.x, given_types.types, lease, kind)
    plan = decode(problem, kind, lease, given_types.order)
    makespan, cost = kernels.evaluate(given_types.x, given_types.order, lease, kind)
    assert check_plan(problem.replace(deadline_s=None), plan) == ()
    assert makespan == pytest.approx(plan.makespan_s)
    assert cost >= plan.cost_usd - 1e-9
    if plan.n_leases == np.unique(lease).size:
        assert cost == pytest.approx(plan.cost_usd)
