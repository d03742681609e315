"""Any right plan, averaged over buckets, is a point of the fleet model: rows, cuts and cost.

This is the proof that the model is a relaxation, carried out on plans of random decisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.lp.bound import CostBound
from autoscale.lp.chains import long_chains
from autoscale.lp.cuts import (
    ROUNDINGS,
    PackingCut,
    add_machine_cuts,
    add_packing_cuts,
    add_size_cuts,
)
from autoscale.lp.fleet import FleetModel, Limits
from autoscale.lp.order import stage_order
from autoscale.lp.relaxing import BoundSettings, needed_price
from autoscale.lp.types import BoundTypes
from autoscale.lp.windows import Windows, bucket_edges
from autoscale.lp.work import forgiving_deadline_s
from tests.tiny import random_plan, tiny_problem

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

seeds = st.integers(0, 10**6)


def shared_s(start: Any, end: Any, edges: Any) -> Any:
    """Return the seconds that each interval shares with each bucket."""
    low = np.maximum(np.asarray(start)[:, None], edges[:-1])
    high = np.minimum(np.asarray(end)[:, None], edges[1:])
    return np.maximum(high - low, 0.0)


def unimproved(problem: Problem) -> BoundTypes:
    """Return all types, none of them left out or better than it is."""
    everyone = np.arange(len(problem.catalog))
    return BoundTypes(
        everyone, problem.catalog.price_per_s, problem.duration_s, everyone
    ).forgiving()


def free_windows(problem: Problem, horizon: float) -> Windows:
    """Return the windows of the root node."""
    n = len(problem.workflow)
    return Windows.between(problem, horizon, np.zeros(n), np.full(n, np.inf))


def model_of(problem: Problem, n_buckets: int, n_groups: int) -> FleetModel:
    """Return the root's model of all types, with packing cuts and every machine and size cut."""
    bound = CostBound(problem).relaxer
    bound.types = unimproved(problem)
    bound.active = np.ones(len(bound.types), dtype=bool)
    bound.dear_usd_per_s = needed_price(problem, bound.types, bound.horizon_s)
    windows = free_windows(problem, bound.horizon_s)
    work = problem.fastest_s * problem.workflow.vcpus
    edges = bucket_edges(windows, work, problem.fastest_s, bound.horizon_s, n_buckets)
    groups = bound.groups(windows, edges, n_groups)
    last = edges.size - 2
    cuts = [
        PackingCut(a, b, k, p)
        for a in range(last)
        for b in range(a + 1, last + 1)
        for k in range(len(bound.types))
        for p in ROUNDINGS
    ]
    some = np.random.default_rng(len(cuts)).permutation(len(cuts))[:200]
    fleet = bound.model(groups, windows, edges, Limits.none(len(bound.types)), [])
    add_packing_cuts(fleet, problem, [cuts[c] for c in some])
    tempting = np.zeros(fleet.model.n_variables)
    tempting[fleet.x] = 1e9
    add_machine_cuts(fleet, problem, tempting, 10**6)
    add_size_cuts(fleet, problem, tempting, 10**6)
    return fleet


def point_of(plan: Plan, fleet: FleetModel) -> Any:
    """Return the model's variables as the plan has them."""
    problem, model, edges = plan.problem, fleet.model, fleet.edges
    lengths, groups = np.diff(edges), fleet.groups
    kind = plan.lease_type[plan.task_lease]
    x = np.zeros(model.n_variables)
    # Work as the groups measure it: each task's shortest duration that its window allows.
    horizon = forgiving_deadline_s(problem.deadline_s or 0.0) - problem.boot_s
    windows = free_windows(problem, horizon)
    duration = fleet.types.duration_s[problem.task_class]
    span = windows.latest_end_s - windows.earliest_start_s
    allowed = duration <= span[:, None] * (1 + 1e-9) + 1e-9
    base = np.maximum(np.where(allowed, duration, np.inf).min(axis=1), 1e-9)
    base = base * problem.workflow.vcpus
    total = np.bincount(groups.of_task, weights=base, minlength=len(groups))
    ran = plan.task_end_s - plan.task_start_s
    part = shared_s(plan.task_start_s - problem.boot_s, plan.task_end_s - problem.boot_s, edges)
    # A task of no duration is wherever the model has a place for it.
    cell = {
        (int(g), int(k), int(b)): int(v)
        for g, k, b, v in zip(fleet.group, fleet.kind, fleet.bucket, fleet.x, strict=True)
    }
    for i in range(ran.size):
        g, k = int(groups.of_task[i]), int(kind[i])
        places = [b for b in range(lengths.size) if (g, k, b) in cell]
        shares = part[i] / ran[i] if ran[i] > 1e-9 else np.eye(lengths.size)[places[0]]
        for b in np.flatnonzero(shares):
            assert (g, k, int(b)) in cell or shares[b] < 1e-6, "a plan runs where no variable is"
            if (g, k, int(b)) in cell:
                x[cell[g, k, int(b)]] += base[i] / total[g] * shares[b]
    ready = np.maximum(plan.lease_start_s, 0.0)
    level = shared_s(ready, plan.lease_end_s - problem.boot_s, edges) / lengths
    rise = np.maximum(np.diff(level, axis=1, prepend=0.0), 0.0)
    np.add.at(x, fleet.n[plan.lease_type], level)
    np.add.at(x, fleet.u[plan.lease_type], rise)
    np.add.at(x, fleet.opened[plan.lease_type], 1.0)
    if "S" in model.variables:
        tasks = long_chains(problem, horizon).tasks
        x[model.variables["S"]] = (plan.task_start_s - problem.boot_s)[tasks]
    if "A" in model.variables:
        x[model.variables["A"]], x[model.variables["D"]] = stage_means(plan)
    charged = np.arange(*model.variables["C"].indices(model.n_variables))
    least = max(problem.boot_s, problem.billing.billed_s(problem.boot_s))
    held = np.maximum(plan.lease_end_s - plan.lease_start_s, least)
    np.add.at(x, charged[plan.lease_type], held)
    return x


def stage_means(plan: Plan) -> tuple[Any, Any]:
    """Return the mean start, after boot, and the mean duration of each stage's tasks."""
    order = stage_order(plan.problem)
    assert order is not None
    begun, ended = (
        np.bincount(order.of_task, weights=at) / order.size
        for at in (plan.task_start_s, plan.task_end_s)
    )
    return begun - plan.problem.boot_s, ended - begun


def worst_violation(fleet: FleetModel, x: Any) -> tuple[float, str]:
    """Return by how much, relative to its size, the point violates which block at most."""
    model = fleet.model
    low, high = model.sides
    matrix = model.matrix()
    value = matrix @ x
    scale = 1.0 + abs(matrix) @ abs(x)
    short = np.maximum(np.maximum(low - value, value - high), 0.0) / scale
    row = int(np.argmax(short))
    name = next(n for n, rows in model.rows.items() if rows.start <= row < rows.stop)
    return float(short[row]), name


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 12), st.sampled_from([4, 10, 24]), st.sampled_from([1, 3, 120]))
def test_a_plan_is_a_point_of_the_model(seed: int, n: int, buckets: int, groups: int) -> None:
    problem = tiny_problem(seed, n)
    if (problem.deadline_s or 0.0) <= problem.boot_s:
        return
    fleet = model_of(problem, buckets, groups)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        plan = random_plan(problem, rng)
        if plan is None:
            continue
        x = point_of(plan, fleet)
        assert worst_violation(fleet, x)[0] < 1e-6, worst_violation(fleet, x)
        low, high = fleet.model.bounds
        assert (x >= low - 1e-7).all()
        assert (x <= high * (1 + 1e-7) + 1e-7).all()
        value = float(fleet.model.cost @ x) * fleet.unit_usd
        assert value <= plan.cost_usd * (1 + 1e-9)


def test_a_wrong_point_is_found_out() -> None:
    # The oracle must be able to fail: take away a lease that the plan needs.
    problem = tiny_problem(5, 6, 4.0)
    plan = random_plan(problem, np.random.default_rng(1))
    assert plan is not None
    fleet = model_of(problem, 16, 120)
    x = point_of(plan, fleet)
    x[fleet.n] *= 0.5
    assert worst_violation(fleet, x)[0] > 1e-3


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 8))
def test_a_node_holds_every_plan_that_obeys_its_branches(seed: int, n: int) -> None:
    # Windows between branches must hold every plan whose task starts on that side.
    problem = tiny_problem(seed, n)
    rng = np.random.default_rng(seed)
    plan = random_plan(problem, rng)
    if plan is None:
        return
    horizon = (problem.deadline_s or 0.0) - problem.boot_s
    start, end = plan.task_start_s - problem.boot_s, plan.task_end_s - problem.boot_s
    low, high = np.zeros(n), np.full(n, np.inf)
    for task in rng.integers(0, n, 3):
        moment = rng.uniform(0, max(horizon, 1.0))
        if start[task] >= moment:
            low[task] = max(low[task], moment)
        else:
            high[task] = min(high[task], moment)
    windows = Windows.between(problem, horizon, low, high)
    assert (windows.earliest_start_s <= start + 1e-6).all()
    assert (windows.latest_end_s >= end - 1e-6).all()


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 8))
def test_left_out_types_cannot_lower_the_bound(seed: int, n: int) -> None:
    # Pricing stands in for columns: with every type in the model from the start, the relaxation
    # must allow at least what the priced bound says it needs.
    problem = tiny_problem(seed, n)
    if (problem.deadline_s or 0.0) <= problem.boot_s:
        return
    quick = BoundSettings(cut_rounds=0)
    priced = CostBound(problem, settings=quick).root().usd
    everyone = np.arange(len(problem.catalog))
    full = CostBound(problem, settings=quick, used_types=everyone).root().usd
    assert priced <= full * (1 + 2e-5)
