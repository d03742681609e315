"""Precedence among stages: even pairings against another solver, rows against plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from autoscale.lp.bound import CostBound
from autoscale.lp.order import _evenly_paired, stage_order
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.optimize.planner import solve
from autoscale.units import GIB
from tests.lp.test_plans_satisfy_the_model import model_of, point_of, worst_violation
from tests.tiny import random_plan

if TYPE_CHECKING:
    import pytest


def paired_by_linprog(parent: list[int], child: list[int], n: int, m: int) -> bool:
    """Return whether weights on the edges give all parents 1 / n and all children 1 / m."""
    rows = np.zeros((n + m, len(parent)))
    rows[parent, np.arange(len(parent))] = 1
    rows[[n + c for c in child], np.arange(len(child))] = 1
    sides = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    return bool(linprog(np.zeros(len(parent)), A_eq=rows, b_eq=sides).status == 0)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))
def test_even_pairings_are_those_that_a_linear_program_finds(n: int, m: int, seed: int) -> None:
    chosen = np.random.default_rng(seed).random((n, m)) < 0.55
    chosen[0, 0] = True
    parent, child = np.nonzero(chosen)
    expected = paired_by_linprog(parent.tolist(), child.tolist(), n, m)
    assert _evenly_paired(parent, child, n, m) == expected


def stages_in_a_row(width: int, slack: float) -> Problem:
    """Return two wide stages between single tasks, on a slow cheap and a fast dear type."""
    n = 2 * width + 3
    first, second = range(1, width + 1), range(width + 2, 2 * width + 2)
    edges = [(0, i) for i in first] + [(i, width + 1) for i in first]
    edges += [(width + 1, i) for i in second] + [(i, n - 1) for i in second]
    kinds = [0, *[1] * width, 2, *[3] * width, 4]
    workflow = Workflow.from_columns(
        name="stages",
        ids=[f"t{i}" for i in range(n)],
        category=(("split", "map", "middle", "reduce", "end"), np.array(kinds)),
        runtime_s=np.array([1.0, *[30.0] * width, 1.0, *[30.0] * width, 1.0]),
        edges=tuple(np.array(edges).T),
        vcpus=np.ones(n, dtype=np.int64),
        memory_bytes=np.full(n, GIB, dtype=np.int64),
    )
    types = tuple(
        InstanceType(name=name, vcpus=1, memory_gib=4, price_usd_per_hour=usd, speed=speed)
        for name, usd, speed in (("slow", 0.03, 0.5), ("fast", 0.09, 1.0))
    )
    problem = Problem(workflow=workflow, catalog=Catalog(types, name="two"), boot_s=10.0)
    return problem.replace(deadline_s=10.0 + slack * (problem.least_makespan_s - 10.0))


def test_plans_keep_the_rows_of_stages() -> None:
    problem = stages_in_a_row(4, 20.0)
    order = stage_order(problem)
    assert order is not None
    assert order.before.size == 4
    fleet = model_of(problem, 8, 40)
    rng = np.random.default_rng(1)
    plans = [plan for plan in (random_plan(problem, rng) for _ in range(40)) if plan is not None]
    assert plans
    for plan in plans:
        assert worst_violation(fleet, point_of(plan, fleet))[0] < 1e-6


def test_stages_that_follow_one_another_share_the_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    # With half of the time to spare, one of the two wide stages can be slow, and not both: their
    # windows alone let both.
    problem = stages_in_a_row(30, 1.5)
    with_rows = CostBound(problem).root().usd
    monkeypatch.setattr("autoscale.lp.relaxing.stage_order", lambda problem: None)
    without = CostBound(problem).root().usd
    plan = solve(problem, time_limit_s=0.5)
    assert without * 1.05 < with_rows <= plan.cost_usd * (1 + 1e-9)
