"""Planner lp: right, certified, never worse than the simple ones, and consistent with itself."""

from __future__ import annotations

import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.errors import InfeasibleError
from autoscale.lp.bound import CostBound
from autoscale.lp.relaxing import BoundSettings, Relaxer
from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.optimize import lp_planner
from autoscale.optimize.improve import improve
from autoscale.optimize.planner import solve
from autoscale.optimize.starts import Starts
from autoscale.optimize.warm import warm_kernels
from autoscale.plan.check import check_plan
from autoscale.schedulers import get_scheduler
from autoscale.schedulers.list_scheduler import lateness_s
from simulator import simulate
from tests import problems
from tests.exact import optimum_usd
from tests.simulator import clouds
from tests.tiny import random_plan, tiny_problem

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan

seeds = st.integers(0, 10**6)

SIMPLE = ("list", "cheapest", "fastest")
"""Schedulers whose plans the planner starts from."""


def simple_plans(problem: Problem) -> list[Plan]:
    """Return what the simple schedulers make of the problem, as far as it meets the deadline."""
    made = [get_scheduler(name)(problem, rng=np.random.default_rng(0)) for name in SIMPLE]
    return [plan for plan in made if lateness_s(plan) == 0.0]


def columns(plan: Plan) -> list[bytes]:
    """Return everything that a plan decides."""
    names = ("lease_type", "lease_start_s", "lease_end_s", "task_lease", "task_start_s")
    return [getattr(plan, name).tobytes() for name in names]


@pytest.mark.parametrize("seed", range(8))
def test_right_certified_and_never_worse(seed: int) -> None:
    problem = problems.random_problem(seed, n_tasks=14)
    plan = solve(problem, time_limit_s=0.5, seed=seed)
    assert check_plan(problem, plan) == ()
    assert simulate(plan).reproduces(plan, tol=1e-6)
    assert plan.certificate is not None
    for other in simple_plans(problem):
        assert plan.cost_usd <= other.cost_usd * (1 + 1e-9)
        assert plan.certificate.lower_bound <= other.cost_usd * (1 + 1e-9)


def test_most_tiny_problems_are_solved_to_the_optimum() -> None:
    pytest.importorskip("ortools.init", reason="extra 'exact' is not installed")
    cases = [tiny_problem(seed, 5) for seed in range(500, 520)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        exact = [pool.submit(optimum_usd, problem, time_limit_s=2.0) for problem in cases]
        reached = known = 0
        for problem, answer in zip(cases, exact, strict=True):
            optimum, proven = answer.result()
            plan = solve(problem, time_limit_s=0.3)
            assert plan.certificate is not None
            assert plan.certificate.lower_bound <= optimum * (1 + 1e-9)
            if proven:
                assert plan.cost_usd >= optimum * (1 - 1e-9)
                known += 1
                reached += plan.cost_usd <= optimum * (1 + 1e-6)
    assert known >= 15
    assert reached >= 0.9 * known


def without_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let neither our clock nor the solver's own end anything, however slow the machine is."""
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(Relaxer, "_time_left", lambda self: 3600.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_plan(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Efforts are counted in work: where the time limit does not strike, the clock has no say."""
    without_clocks(monkeypatch)
    few = BoundSettings(nodes=8)  # nothing else would end the branching before the gap is closed
    monkeypatch.setattr("autoscale.lp.bound.settings_for", lambda problem: few)
    problem = problems.random_problem(seed, n_tasks=15)
    first, second = (solve(problem, seed=seed, time_limit_s=0.5) for _ in range(2))
    assert columns(first) == columns(second)
    assert first.cost_usd == second.cost_usd


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_which_thread_is_quicker_has_no_say(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The relaxations that guide the search know the same plans whenever the search finds them."""
    warm_kernels()  # it plans too, once in a process, and is not to be noted
    sleep = time.sleep
    without_clocks(monkeypatch)
    monkeypatch.setattr(lp_planner, "GLANCE_PART", 1000.0)  # however slow the machine is
    few = BoundSettings(nodes=8)
    monkeypatch.setattr("autoscale.lp.bound.settings_for", lambda problem: few)
    problem = problems.random_problem(seed, n_tasks=15)
    plans, roots = [], []
    for slow in ("make", "glance", "neither"):
        with monkeypatch.context() as patch:
            make, glance, root = Starts.make, CostBound.glance, CostBound.root

            def late_make(self: Any, stop: Any, make: Any = make, slow: str = slow) -> None:
                sleep(0.2 * (slow == "make"))
                make(self, stop)

            def late_glance(self: Any, glance: Any = glance, slow: str = slow, **at: Any) -> Any:
                sleep(0.2 * (slow == "glance"))
                return glance(self, **at)

            def noted(self: Any, root: Any = root, **at: Any) -> Any:
                known_usd, found = self.cost_usd, root(self, **at)
                roots.append((known_usd, found.usd))
                return found

            patch.setattr(Starts, "make", late_make)
            patch.setattr(CostBound, "glance", late_glance)
            patch.setattr(CostBound, "root", noted)
            plans.append(columns(solve(problem, seed=seed, time_limit_s=0.5)))
    assert plans[0] == plans[1] == plans[2]
    assert roots[0] == roots[1] == roots[2]


def proven_usd(problem: Problem) -> float:
    """Return the optimal cost of a problem of one chain, where only the types matter."""
    plan = solve(problem, time_limit_s=0.3)
    assert check_plan(problem, plan) == ()
    return plan.cost_usd


def chain(seed: int, billing: Any) -> Problem:
    """Return a chain of three tasks with a deadline between tight and loose."""
    rng = np.random.default_rng(seed)
    workflow = Workflow.from_columns(
        name="chain",
        ids=["x", "y", "z"],
        runtime_s=rng.integers(100, 2000, 3),
        edges=([0, 1], [1, 2]),
        vcpus=[1, 2, 1],
    )
    problem = Problem(workflow=workflow, catalog=problems.small_catalog(), billing=billing)
    path = problem.least_makespan_s - problem.boot_s
    return problem.replace(deadline_s=problem.boot_s + 1.3 * path)


def dearer(catalog: Catalog, factor: float) -> Catalog:
    """Return the catalogue at other prices."""
    return Catalog(
        tuple(replace(t, price_usd_per_hour=factor * t.price_usd_per_hour) for t in catalog)
    )


@pytest.mark.parametrize("billing", [PER_SECOND, HOURLY])
@pytest.mark.parametrize("seed", range(3))
def test_what_cannot_matter_does_not_and_what_helps_helps(seed: int, billing: Any) -> None:
    problem = chain(seed, billing)
    cost = proven_usd(problem)
    tolerance = 1 + 1e-6
    looser = problem.replace(deadline_s=2 * (problem.deadline_s or 0.0))
    assert proven_usd(looser) <= cost * tolerance
    fewer = problem.replace(catalog=problem.catalog.where(lambda t: t.name != "a.small", "less"))
    assert cost <= proven_usd(fewer) * tolerance
    cheap = Catalog(
        tuple(replace(t, price_usd_per_hour=0.9 * t.price_usd_per_hour) if t.name == "b.tiny" else t
              for t in problem.catalog)
    )  # fmt: skip
    assert proven_usd(problem.replace(catalog=cheap)) <= cost * tolerance
    scaled = problem.replace(catalog=dearer(problem.catalog, 7.0))
    assert proven_usd(scaled) == pytest.approx(7 * cost, rel=1e-6)
    w = problem.workflow
    renamed = Workflow.from_columns(
        name="else",
        ids=["a", "b", "c"],
        runtime_s=w.runtime_s[::-1],
        vcpus=w.vcpus[::-1],
        edges=([2, 1], [1, 0]),
    )
    assert proven_usd(problem.replace(workflow=renamed)) == pytest.approx(cost, rel=1e-6)
    shuffled = Catalog(problem.catalog.types[::-1])
    assert proven_usd(problem.replace(catalog=shuffled)) == pytest.approx(cost, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_the_tightest_deadline_there_is_can_be_met(seed: int) -> None:
    problem = problems.random_problem(seed, n_tasks=12)
    tightest = problem.replace(deadline_s=problem.least_makespan_s)
    plan = solve(tightest, time_limit_s=0.2)
    assert check_plan(tightest, plan) == ()
    with pytest.raises(InfeasibleError):
        solve(problem.replace(deadline_s=0.999 * problem.least_makespan_s), time_limit_s=0.2)


def test_a_wide_gap_ends_the_search_with_what_is_there() -> None:
    problem = problems.random_problem(4, n_tasks=14, slack=3.0)
    plan = solve(problem, time_limit_s=1.0, gap=10.0)
    assert check_plan(problem, plan) == ()
    assert plan.gap <= 10.0


@pytest.mark.parametrize("limit", [0.0, 0.01])
def test_no_time_still_gives_a_plan(limit: float) -> None:
    problem = problems.random_problem(2, n_tasks=14)
    plan = solve(problem, time_limit_s=limit)
    assert check_plan(problem, plan) == ()
    assert plan.certificate is not None
    assert plan.certificate.lower_bound > 0


def test_tasks_of_no_duration_and_a_deadline_at_boot() -> None:
    problem = tiny_problem(0, 3)
    instant = Workflow.from_columns(name="instant", ids=["a", "b"], runtime_s=0.0, edges=([0], [1]))
    problem = problem.replace(workflow=instant, boot_s=90.0, deadline_s=90.0, billing=PER_SECOND)
    plan = solve(problem, time_limit_s=0.2)
    assert check_plan(problem, plan) == ()
    assert plan.makespan_s == 90.0


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 25))
def test_improvement_is_right_and_never_dearer(seed: int, n: int) -> None:
    # Several vCPUs, memory, GPUs, transfers, empty tasks, stated durations.
    plan = clouds.right_plan(seed, n)
    problem = plan.problem.replace(deadline_s=max(1.0, 1.2 * plan.makespan_s))
    plan = plan.replace(problem=problem)
    better = improve(plan, seed=seed, effort_s=0.05)
    assert check_plan(problem, better) == ()
    assert better.cost_usd <= plan.cost_usd
    again = improve(plan, seed=seed, effort_s=0.05)
    assert columns(again) == columns(better)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_improvement_keeps_tight_deadlines(seed: int) -> None:
    problem = tiny_problem(seed)
    plan = random_plan(problem, np.random.default_rng(seed))
    if plan is None:
        return
    better = improve(plan.replace(problem=problem), seed=seed, effort_s=0.02)
    assert check_plan(problem, better) == ()
    assert better.makespan_s <= (problem.deadline_s or math.inf) + 1e-6
