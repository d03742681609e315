"""Bounds against exact optima (constraint programming) and against every plan that turns up."""

from __future__ import annotations

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.formats.workflows import read_workflow
from autoscale.lp.bound import CostBound
from autoscale.lp.relaxing import BoundSettings
from autoscale.lp.work import work_bound_usd
from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.problem import Problem
from autoscale.optimize.improve import improve
from autoscale.optimize.portfolio import quick_starts
from autoscale.plan.check import check_plan
from tests.exact import optimum_usd
from tests.problems import random_problem, small_catalog
from tests.tiny import random_plan, tiny_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDING = 1 + 1e-9


@pytest.fixture(scope="module")
def solver() -> Iterator[ProcessPoolExecutor]:
    """Return a process for CP-SAT: its library and highspy's cannot live in one."""
    pytest.importorskip("ortools.init", reason="extra 'exact' is not installed")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def bounds_usd(problem: Problem, nodes: int = 12) -> dict[str, float]:
    """Return every bound there is: of the work, of the first relaxation, after branching."""
    everyone = np.arange(len(problem.catalog))
    found = {"work": work_bound_usd(problem)}
    for name, used in (("priced", None), ("all types", everyone)):
        bound = CostBound(problem, settings=BoundSettings(nodes=nodes), used_types=used)
        found[f"root, {name}"] = bound.root().usd
        found[f"branched, {name}"] = bound.branch(lambda: math.inf, lambda usd: None).usd
    return found


def cheapest_found_usd(problem: Problem, seed: int, tries: int = 10) -> float:
    """Return the cost of the cheapest plan that anything here finds; each is checked."""
    rng = np.random.default_rng(seed)
    plans = [plan for _ in range(tries) if (plan := random_plan(problem, rng)) is not None]
    starts = quick_starts(problem, effort_s=0.2, clock_limit_s=math.inf)
    plans += [improve(start.plan, seed=seed, effort_s=0.03) for start in starts[:1]]
    for plan in plans:
        assert check_plan(problem, plan) == ()
    return min((plan.cost_usd for plan in plans), default=math.inf)


@pytest.mark.parametrize("block", range(3))
def test_no_bound_exceeds_the_optimum(solver: ProcessPoolExecutor, block: int) -> None:
    tight = 0
    cases = [tiny_problem(seed) for seed in range(40 * block, 40 * block + 40)]
    exact = [solver.submit(optimum_usd, problem, time_limit_s=1.0) for problem in cases]
    for number, (problem, answer) in enumerate(zip(cases, exact, strict=True)):
        optimum, proven = answer.result()
        bounds = bounds_usd(problem, nodes=5)
        assert max(bounds.values()) <= optimum * ROUNDING, (40 * block + number, bounds, optimum)
        # The oracle is tested, too: nothing beats a proven optimum.
        if proven:
            assert cheapest_found_usd(problem, number, 3) >= optimum * (1 - 1e-9), number
        tight += max(bounds.values()) >= optimum * (1 - 1e-4)
    assert tight >= 10  # a bound of 0 would be valid, too


@pytest.mark.parametrize("seed", range(16))
def test_no_bound_exceeds_any_plan_found(seed: int) -> None:
    problem = random_problem(seed, n_tasks=8 + seed % 12)
    bounds = bounds_usd(problem, nodes=6)
    found = cheapest_found_usd(problem, seed)
    assert max(bounds.values()) <= found * ROUNDING, (bounds, found)


def bounds_on_better_usd(problem: Problem, cost_usd: float, nodes: int = 8) -> list[float]:
    """Return bounds on plans cheaper than some, as one of the first costs is at hand, or lower."""
    found = []
    for first, later in ((1.0, 1.0), (1.02, 1.02), (2.0, 1.02), (2.0, 1.0)):
        settings = BoundSettings(nodes=nodes)
        bound = CostBound(problem, settings=settings, cost_usd=first * cost_usd)
        found.append(bound.glance().usd)
        bound.heed((first + later) / 2 * cost_usd)
        found.append(bound.root().usd)
        found.append(bound.branch(lambda later=later: later * cost_usd, lambda usd: None).usd)  # type: ignore[misc]
    return found


def test_branching_ends_where_the_wanted_gap_is_reached() -> None:
    """A gap that the root leaves is not branched on; a smaller one is, until it is reached."""
    gaps = 0
    few = BoundSettings(nodes=20, buckets=8, groups=20)
    for seed in range(8):
        problem = tiny_problem(seed)
        cost = 1.2 * CostBound(problem, settings=few).root().usd
        for gap in (0.25, 0.1, 0.0):
            bound = CostBound(problem, settings=few, cost_usd=cost)
            root = bound.root()
            solved = bound.solved
            usd = bound.branch(lambda cost=cost: cost, lambda usd: None, gap).usd  # type: ignore[misc]
            if cost <= root.usd * (1 + gap):
                assert bound.solved == solved
                gaps += 1
            else:
                assert bound.solved > solved or bound.open_nodes[0].relaxed.x is None
                assert usd >= root.usd
    assert gaps >= 8


@pytest.mark.parametrize("block", range(2))
def test_bounds_on_better_plans_exceed_no_optimum(solver: ProcessPoolExecutor, block: int) -> None:
    """What is left out because it is too dear for a better plan is in no better plan."""
    cases = [tiny_problem(seed) for seed in range(200 + 30 * block, 230 + 30 * block)]
    exact = [solver.submit(optimum_usd, problem, time_limit_s=1.0) for problem in cases]
    for number, (problem, answer) in enumerate(zip(cases, exact, strict=True)):
        optimum, _ = answer.result()
        bounds = bounds_on_better_usd(problem, optimum)
        assert max(bounds) <= optimum * ROUNDING, (200 + 30 * block + number, bounds, optimum)


@pytest.mark.parametrize("seed", range(30, 42))
def test_bounds_on_better_plans_exceed_no_plan_found(seed: int) -> None:
    problem = random_problem(seed, n_tasks=8 + seed % 12, slack=(1.1, 1.4, 2.0)[seed % 3])
    found = cheapest_found_usd(problem, seed)
    assert max(bounds_on_better_usd(problem, found)) <= found * ROUNDING


@pytest.mark.parametrize("seed", range(4))
def test_a_looser_deadline_bounds_a_tighter_ones_plans(seed: int) -> None:
    tight = random_problem(seed, n_tasks=10, slack=1.1)
    found = cheapest_found_usd(tight, seed)
    for factor in (1.3, 5.0):
        loose = tight.replace(deadline_s=factor * (tight.deadline_s or 0.0))
        assert max(bounds_usd(loose, nodes=2).values()) <= found * ROUNDING


def test_one_task_is_bounded_by_its_own_lease() -> None:
    problem = random_problem(3, n_tasks=1, slack=4.0).replace(billing=PER_SECOND, boot_s=90.0)
    d, price = problem.duration_s[0], problem.catalog.price_per_s
    fits = d + 90.0 <= (problem.deadline_s or 0.0)
    optimum = min(p * math.ceil(x + 90.0) for p, x, f in zip(price, d, fits, strict=True) if f)
    bound = CostBound(problem).root().usd
    assert bound <= optimum
    assert bound >= 0.98 * optimum  # all that is lost is the rounding to a second


@pytest.mark.parametrize("billing", [PER_SECOND, HOURLY])
@pytest.mark.parametrize("factor", [1.0, 1.5])
@pytest.mark.parametrize(
    "name",
    [
        "dax/Montage_25.xml",
        "dax/Sipht_30.xml",
        "workflows/wfformat-1.5/helloworld-forkjoin-10-chameleon.json",
        "workflows/wfformat-1.5/srasearch-chameleon-10a-001.json",
    ],
)
def test_real_workflows(shared: Path, name: str, factor: float, billing: object) -> None:
    workflow = read_workflow(shared / "data" / name)
    problem = Problem(workflow=workflow, catalog=small_catalog(), billing=billing)
    path = problem.least_makespan_s - problem.boot_s
    problem = problem.replace(deadline_s=problem.boot_s + factor * path)
    found = cheapest_found_usd(problem, 0, tries=2)
    assert max(bounds_usd(problem, nodes=2).values()) <= found * ROUNDING
