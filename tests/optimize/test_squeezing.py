"""Cheaper fleets where leases are charged in quanta that outlast the deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.optimize.fleets.squeezing import one_quantum, squeeze
from autoscale.optimize.planner import solve
from autoscale.plan.check import check_plan
from tests.optimize.brute import all_plans, tiny_problem
from tests.problems import random_problem

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan


def squeezed(plan: Plan, *, bound_usd: float = 0.0, effort_s: float = 0.2) -> Plan:
    limit = time.perf_counter() + 60
    return squeeze(plan, seed=0, bound_usd=bound_usd, effort_s=effort_s, clock_limit_s=limit)


def test_a_lease_costs_the_same_until_the_end_of_its_first_quantum() -> None:
    problem = random_problem(1, n_tasks=6)
    hourly = problem.replace(billing=HOURLY, boot_s=90.0)
    assert one_quantum(hourly.replace(deadline_s=3600.0))
    assert not one_quantum(hourly.replace(deadline_s=3601.0))
    assert not one_quantum(hourly.replace(deadline_s=None))
    assert not one_quantum(problem.replace(billing=PER_SECOND, deadline_s=600.0))


@pytest.mark.parametrize("machines", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_tasks_are_packed_on_as_few_machines_as_they_fill(machines: int, seed: int) -> None:
    """Bins of known number: work for all of them, and a packing that leaves 5 % free in each."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.uniform(0, 1000, (machines, 4)), axis=1)
    runtimes = np.diff(cuts, axis=1, prepend=0, append=1000).ravel()
    order = rng.permutation(runtimes.size)
    workflow = Workflow.from_columns(
        name="bins",
        ids=[f"t{i}" for i in range(runtimes.size)],
        runtime_s=runtimes[order],
        edges=(np.array([], dtype=int), np.array([], dtype=int)),
    )
    kind = InstanceType(name="one", vcpus=1, memory_gib=1.0, price_usd_per_hour=0.1)
    problem = Problem(
        workflow=workflow, catalog=Catalog((kind,)), boot_s=90.0, billing=HOURLY,
        deadline_s=90.0 + 1050.0,
    )  # fmt: skip
    plan = squeezed(solve(problem, planner="fastest"))
    assert check_plan(problem, plan) == ()
    # So many at least: one less has not the time for the work.
    assert plan.cost_usd == pytest.approx(0.1 * machines, rel=1e-9)


def test_plans_are_right_no_dearer_and_the_same_again() -> None:
    cheaper = 0
    for seed in range(40):
        problem = random_problem(seed, n_tasks=12, slack=2.0).replace(billing=HOURLY)
        if not one_quantum(problem):
            continue
        begun = solve(problem, planner="list")
        plan = squeezed(begun)
        assert check_plan(problem, plan) == ()
        assert plan.cost_usd <= begun.cost_usd
        again = squeezed(begun)
        assert np.array_equal(again.task_lease, plan.task_lease)
        assert np.array_equal(again.lease_start_s, plan.lease_start_s)
        cheaper += plan.cost_usd < begun.cost_usd * (1 - 1e-6)
    assert cheaper > 5


def test_tiny_problems_are_squeezed_to_the_optimum() -> None:
    best = tried = 0
    for seed in range(60):
        problem = tiny_problem(seed).replace(billing=HOURLY)
        path_s = problem.least_makespan_s - problem.boot_s
        factor = float(np.random.default_rng(seed).uniform(1, 3))
        problem = problem.replace(deadline_s=problem.boot_s + factor * path_s)
        assert one_quantum(problem)
        plans = [p for p in all_plans(problem) if p.slack_s >= 0]
        if not plans:
            continue
        optimum = min(p.cost_usd for p in plans)
        plan = squeezed(max(plans, key=lambda p: p.cost_usd), effort_s=0.05)
        assert plan.cost_usd >= optimum * (1 - 1e-9)
        tried += 1
        best += plan.cost_usd <= optimum * (1 + 1e-9)
    assert tried > 10
    assert best >= 0.9 * tried


def test_nothing_below_the_bound_is_tried() -> None:
    for seed in range(10):
        problem = random_problem(seed, n_tasks=12, slack=2.0).replace(billing=HOURLY)
        begun = solve(problem, planner="list")
        if one_quantum(problem):
            assert squeezed(begun, bound_usd=begun.cost_usd) is begun
