"""Relaxations within parts of a region, solved from the basis of the whole's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.lp.bound import CostBound
from autoscale.lp.branching import Region
from autoscale.lp.fleet import Limits
from autoscale.lp.relaxing import BoundSettings, Relaxed, Relaxer
from autoscale.lp.work import SAFETY
from tests.optimize.brute import all_plans, tiny_problem
from tests.problems import random_problem

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

SETTINGS = BoundSettings(buckets=8, groups=20, cut_rounds=1)


def solved(problem: Problem) -> tuple[Relaxer, Region, Relaxed]:
    """Return the relaxation of a whole problem, and what made it."""
    search = CostBound(problem)
    search.glance()
    assert search.first is not None
    region = search.first.region
    return search.relaxer, region, search.relaxer.solve(region, SETTINGS, 0.0)


def part_of(region: Region, relaxer: Relaxer, rng: np.random.Generator) -> Region:
    """Return a part: some tasks start later or earlier, or there are so many leases."""
    low, high, limits = region.low.copy(), region.high.copy(), region.limits
    windows = relaxer.windows(region)
    last = np.minimum(windows.latest_end_s - relaxer.problem.fastest_s, high)
    for task in rng.integers(low.size, size=2):
        moment = rng.uniform(windows.earliest_start_s[task], max(last[task], 1e-9))
        if rng.random() < 0.5:
            low[task] = moment
        else:
            high[task] = moment
    if rng.random() < 0.5:
        kind = None if rng.random() < 0.5 else int(rng.integers(len(relaxer.types)))
        half = limits.split(kind, float(rng.uniform(0, 3)))[int(rng.integers(2))]
        limits = Limits(
            (max(limits.total[0], half.total[0]), min(limits.total[1], half.total[1])),
            np.maximum(limits.least, half.least),
            np.minimum(limits.most, half.most),
        )
    return Region(low, high, limits)


def is_in(plan: Plan, region: Region, relaxer: Relaxer) -> bool:
    """Return whether a plan is in a region."""
    start = plan.task_start_s - plan.problem.boot_s
    count = np.bincount(relaxer.types.stands_for[plan.lease_type], minlength=len(relaxer.types) + 1)
    limits, noise = region.limits, 1e-9
    return bool(
        (start >= region.low - noise).all()
        and (start <= region.high + noise).all()
        and limits.total[0] <= plan.lease_type.size <= limits.total[1]
        and (count[: len(relaxer.types)] >= limits.least).all()
        and (count[: len(relaxer.types)] <= limits.most).all()
    )


@pytest.mark.parametrize("block", range(4))
def test_no_plan_in_a_part_costs_less_than_its_bound(block: int) -> None:
    compared = raised = 0
    for seed in range(12 * block, 12 * block + 12):
        rng = np.random.default_rng(seed)
        problem = tiny_problem(seed)
        path_s = problem.least_makespan_s - problem.boot_s
        problem = problem.replace(deadline_s=problem.boot_s + rng.uniform(1.2, 3) * path_s)
        plans = [plan for plan in all_plans(problem) if plan.slack_s >= 0]
        relaxer, whole, relaxed = solved(problem)
        for _ in range(6):
            part = part_of(whole, relaxer, rng)
            near = relaxer.solve_near(relaxed, part)
            if near is None:
                continue
            assert near.bound_usd >= relaxed.bound_usd * (1 - 1e-9)
            raised += near.bound_usd > relaxed.bound_usd * 1.001
            for plan in plans:
                if is_in(plan, part, relaxer):
                    compared += 1
                    assert plan.cost_usd >= near.bound_usd * SAFETY, (seed, part)
    assert compared > 100
    assert raised > 5


def test_the_whole_is_a_part_of_itself_and_parts_of_parts_are_no_cheaper() -> None:
    compared = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        relaxer, whole, relaxed = solved(random_problem(seed, n_tasks=10, slack=1.6))
        again = relaxer.solve_near(relaxed, whole)
        assert again is not None
        assert again.bound_usd == pytest.approx(relaxed.bound_usd, rel=1e-7)
        part, near = whole, again
        for _ in range(4):
            part = part_of(part, relaxer, rng)
            smaller = relaxer.solve_near(near, part)
            if smaller is None or not np.isfinite(smaller.bound_usd):
                break
            assert smaller.bound_usd >= near.bound_usd * (1 - 1e-7)
            direct = relaxer.solve_near(relaxed, part)
            assert direct is not None
            assert smaller.bound_usd == pytest.approx(direct.bound_usd, rel=1e-6)
            near, compared = smaller, compared + 1
    assert compared > 8


def test_what_has_no_basis_or_is_of_other_types_says_nothing() -> None:
    relaxer, whole, relaxed = solved(random_problem(1, n_tasks=10, slack=1.6))
    assert relaxer.solve_near(Relaxed(1.0), whole) is None
    relaxer.confine(relaxer.problem, None)
    assert relaxer.solve_near(relaxed, whole) is None
