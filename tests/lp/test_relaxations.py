"""The parts of the bound one by one: duals, dual feasible functions, type reduction, solvers."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from autoscale.lp.backend import SolveStatus, solve_model
from autoscale.lp.bound import CostBound
from autoscale.lp.cuts import ROUNDINGS, dual_feasible
from autoscale.lp.fleet import build_fleet_model
from autoscale.lp.model import LinearModel, dual_bound
from autoscale.lp.relaxing import BoundSettings
from autoscale.lp.types import BoundTypes, bound_types
from autoscale.lp.windows import Windows, bucket_edges, group_tasks
from autoscale.lp.work import work_bound_usd
from tests.problems import random_problem
from tests.tiny import random_plan, tiny_problem

seeds = st.integers(0, 10**6)


def random_model(seed: int, *, integer: bool = False) -> LinearModel:
    """Return a feasible, bounded model with rows of every kind."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 8)), int(rng.integers(1, 6))
    model = LinearModel()
    low = rng.integers(-3, 2, n).astype(float)
    high = low + rng.integers(0, 6, n)
    x = model.add_variables(
        "x", n, cost=rng.integers(-5, 6, n), low=low, high=high, integer=integer
    )
    dense = rng.integers(-3, 4, (m, n)).astype(float)
    inside = np.round(rng.uniform(low, high))
    value = dense @ inside
    room = rng.integers(0, 4, (2, m))
    sides = [
        np.where(rng.random(m) < 0.3, -np.inf, value - room[0]),
        np.where(rng.random(m) < 0.3, np.inf, value + room[1]),
    ]
    row, column = np.indices((m, n))
    model.add_rows(
        "rows", row.ravel(), x[column.ravel()], dense.ravel(), low=sides[0], high=sides[1]
    )
    return model


def least(model: LinearModel) -> float:
    """Return the optimum by scipy, which is told the same in other words."""
    low, high = model.sides
    matrix = model.matrix().toarray()
    above, below = np.isfinite(high), np.isfinite(low)
    found = linprog(
        model.cost,
        A_ub=np.vstack([matrix[above], -matrix[below]]),
        b_ub=np.concatenate([high[above], -low[below]]),
        bounds=np.column_stack(model.bounds),
        integrality=model.integer.astype(int),
    )
    assert found.status == 0
    return float(found.fun)


@settings(max_examples=150, deadline=None)
@given(seeds, st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 100.0]))
def test_no_duals_give_too_high_a_bound(seed: int, noise: float) -> None:
    model = random_model(seed)
    optimum = least(model)
    solved = solve_model(model)
    assert solved.row_dual is not None
    assert solved.objective == pytest.approx(optimum, abs=1e-6)
    assert solved.bound == pytest.approx(optimum, abs=1e-6)
    rng = np.random.default_rng(seed)
    dual = solved.row_dual + noise * rng.normal(size=model.n_rows)
    assert dual_bound(model, dual) <= optimum + 1e-9 * max(1.0, abs(optimum))
    dual[rng.integers(model.n_rows)] = rng.choice([np.nan, np.inf, -np.inf])
    assert dual_bound(model, dual) <= optimum + 1e-9 * max(1.0, abs(optimum))


def solved_by_cbc(model: LinearModel) -> float:
    """Return the optimum by CBC through PuLP."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        bundled = getattr(pulp, "PULP_CBC_CMD", None)  # PuLP 4 brings no CBC of its own
        solver = (bundled or pulp.COIN_CMD)(msg=False)
    if not solver.available():
        pytest.skip("no CBC here")
    problem = model.to_pulp()
    problem.solve(solver)
    assert pulp.LpStatus[problem.status] == "Optimal"
    return float(pulp.value(problem.objective))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("integer", [False, True])
def test_cbc_agrees_with_highs(seed: int, integer: bool) -> None:
    model = random_model(seed, integer=integer)
    solved = solve_model(model)
    assert solved.status is SolveStatus.OPTIMAL
    assert solved_by_cbc(model) == pytest.approx(solved.objective, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_cbc_agrees_on_the_fleet_model(seed: int) -> None:
    problem = random_problem(seed, n_tasks=10)
    horizon = (problem.deadline_s or 0.0) - problem.boot_s
    windows = Windows.between(problem, horizon, np.zeros(10), np.full(10, np.inf))
    edges = bucket_edges(windows, problem.fastest_s, problem.fastest_s, horizon, 10)
    types = bound_types(problem, 0.0)
    groups = group_tasks(problem, types, windows, edges, 120, np.zeros(0, dtype=np.int64))
    model = build_fleet_model(problem, types, groups, edges, penalty_usd=1e3).model
    solved = solve_model(model)
    assert solved_by_cbc(model) == pytest.approx(solved.objective, rel=1e-6)
    assert solved.bound == pytest.approx(solved.objective, rel=1e-6)


def test_an_infeasible_model_is_said_to_be() -> None:
    model = LinearModel()
    x = model.add_variables("x", 1, high=1.0)
    model.add_rows("more", [0], x, [1.0], low=[2.0])
    solved = solve_model(model)
    assert solved.status is SolveStatus.INFEASIBLE
    assert solved.bound <= 0.0 or math.isinf(solved.bound)


def test_a_block_without_rows_adds_none() -> None:
    model = LinearModel()
    model.add_variables("x", 1)
    none = np.zeros(0, dtype=int)
    assert model.add_rows("none", none, none, np.zeros(0), high=np.zeros(0)).size == 0
    assert model.n_rows == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12), st.sampled_from(ROUNDINGS))
def test_what_fits_asks_for_at_most_one_machine(parts: list[float], p: int) -> None:
    kept = np.array(parts)
    kept = kept[np.cumsum(kept) <= 1.0]
    assert dual_feasible(kept, p).sum() <= 1.0 + 1e-12
    # What just fits is where rounding is dangerous.
    if kept.size:
        assert dual_feasible(kept / kept.sum(), p).sum() <= 1.0 + 1e-12
    assert dual_feasible(np.full(p + 1, 1 / (p + 1)), p).sum() <= 1.0
    assert dual_feasible(np.ones(1), p)[0] == 1.0


def test_two_halves_and_a_little_more_ask_for_two_machines() -> None:
    assert dual_feasible(np.array([0.5001, 0.5001]), 1).sum() == 2.0


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.002, 0.02, 0.3]))
def test_no_plan_beats_its_cost_on_reduced_types(seed: int, tolerance: float) -> None:
    # Every type that was dropped can be replaced: lease by lease, the reduced types do the same
    # tasks at least as fast for at most the price, whole or in parts.
    problem = tiny_problem(seed)
    types = bound_types(problem, tolerance)
    catalog, w, member = problem.catalog, problem.workflow, problem.class_member
    for k in range(len(catalog)):
        fits = np.isfinite(problem.duration_s[:, k])
        if not fits.any():
            continue
        replaced = False
        for position, j in enumerate(types.index.tolist()):
            own = types.duration_s[fits, position]
            if not (own <= problem.duration_s[fits, k] * (1 + 1e-12)).all():
                continue
            whole = (
                catalog.vcpus[j] >= catalog.vcpus[k]
                and catalog.memory_bytes[j] >= catalog.memory_bytes[k]
                and catalog.gpus[j] >= catalog.gpus[k]
            )
            small = member[fits]
            in_parts = (
                (w.vcpus[small] == 1).all()
                and (w.memory_bytes[small] * catalog.vcpus[j] <= catalog.memory_bytes[j]).all()
                and (w.gpus[small] * catalog.vcpus[j] <= catalog.gpus[j]).all()
            )
            copies = 1 if whole else math.ceil(catalog.vcpus[k] / catalog.vcpus[j])
            cheap = types.price_per_s[position] * copies <= catalog.price_per_s[k] * (1 + 1e-12)
            replaced |= bool((whole or in_parts) and cheap)
        assert replaced, (seed, k)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_reduced_types_never_bound_higher(seed: int) -> None:
    problem = random_problem(seed, n_tasks=8)
    everyone = np.arange(len(problem.catalog))
    # Coarse models may group the tasks differently by chance: fine ones compare the types alone.
    fine = BoundSettings(buckets=40)
    reduced = CostBound(problem, settings=fine, used_types=everyone)
    full = CostBound(problem, settings=fine, used_types=everyone)
    full.relaxer.types = BoundTypes(
        everyone, problem.catalog.price_per_s, problem.duration_s, everyone
    ).forgiving()
    full.relaxer.active = np.ones(everyone.size, dtype=bool)
    assert reduced.root().usd <= full.root().usd * 1.0001


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 8))
def test_the_work_bound_is_below_every_plan(seed: int, n: int) -> None:
    problem = tiny_problem(seed, n, 20.0)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        plan = random_plan(problem, rng)
        if plan is not None:
            assert work_bound_usd(problem) <= plan.cost_usd * (1 + 1e-9)


def test_a_left_out_type_is_priced_by_any_lease_of_it() -> None:
    # Only whole leases are branched on here; the cheap type enters although nothing is worth
    # anything but the lease itself (a node that asks for one lease at least).
    problem = tiny_problem(1001)
    bound = CostBound(problem, settings=BoundSettings(nodes=300))
    bound.root()
    assert bound.branch(lambda: math.inf, lambda usd: None).usd <= 0.12
