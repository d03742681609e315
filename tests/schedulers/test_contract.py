"""What every scheduler must do, the ones found today and those to come."""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.errors import InfeasibleError, InputError, LimitError
from autoscale.lp.work import work_bound_usd
from autoscale.model.limits import AllowedTypes, Quota
from autoscale.model.workflow import WorkflowBuilder
from autoscale.optimize.planner import solve
from autoscale.plan.check import check_plan
from autoscale.schedulers import SCHEDULERS, about_scheduler, get_scheduler
from tests.exact import optimum_usd
from tests.problems import random_problem
from tests.tiny import tiny_problem

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

EVERY = pytest.mark.parametrize("name", SCHEDULERS)

FOR_DEADLINES = [name for name in SCHEDULERS if about_scheduler(name).goal == "deadline"]

NEVER_LATE = [name for name in FOR_DEADLINES if name not in ("heft", "cpop", "pso", "list")]
"""Schedulers that meet every deadline that the critical path allows, where no data travel."""


@cache
def small_problems() -> tuple[Problem, ...]:
    """Return problems of every shape: billings, boots, needs, deadlines tight and loose."""
    tiny = [tiny_problem(seed) for seed in range(6)]
    mixed = [random_problem(seed, n_tasks=12) for seed in range(4)]
    wide = random_problem(7, n_tasks=40)
    return (*tiny, *mixed, wide, wide.replace(deadline_s=None))


def made(name: str, problem: Problem, seed: int = 0, time_limit_s: float = math.inf) -> Plan | None:
    """Return a scheduler's plan, or None where it says that it cannot make one."""
    rng = np.random.default_rng(seed)
    try:
        return get_scheduler(name)(problem, rng=rng, time_limit_s=time_limit_s)
    except InputError:
        return None


def bytes_of(plan: Plan | None) -> bytes:
    """Return everything that a plan decides."""
    if plan is None:
        return b""
    columns = ("lease_type", "lease_start_s", "lease_end_s", "task_lease", "task_start_s")
    return b"".join(getattr(plan, column).tobytes() for column in columns)


@EVERY
def test_says_what_it_is(name: str) -> None:
    """A scheduler has a goal and one line about itself, and its module a docstring."""
    said = about_scheduler(name)
    assert said.goal in ("deadline", "budget", "pareto", "none")
    assert 0 < len(said.summary) <= 100
    assert not said.summary.endswith(".")
    module = sys.modules[f"autoscale.schedulers.{name.replace('-', '_')}_scheduler"]
    assert module.__doc__


@EVERY
def test_every_rule_is_kept(name: str) -> None:
    """Whatever the goal, the plan breaks no rule but the goal, and costs and takes what it must."""
    for problem in small_problems():
        plan = made(name, problem)
        if plan is None:
            continue
        free = problem.replace(deadline_s=None, budget_usd=None)
        assert check_plan(free, plan) == ()
        assert plan.cost_usd >= work_bound_usd(problem)
        assert plan.makespan_s >= problem.least_makespan_s * (1 - 1e-9)


@EVERY
def test_a_budget_is_kept_or_refused(name: str) -> None:
    """For a budget, with or without a deadline, solve gives a plan within it or says why not."""
    for seed in range(3):
        problem = random_problem(seed, n_tasks=10)
        budget = 3.0 * work_bound_usd(problem)
        for deadline in (None, problem.deadline_s):
            goal = problem.replace(budget_usd=budget, deadline_s=deadline)
            try:
                plan = solve(goal, planner=name, time_limit_s=5.0)
            except (InfeasibleError, LimitError):
                continue
            assert check_plan(goal, plan) == ()
            assert plan.cost_usd <= budget + 1e-9


QUOTAS = (
    (Quota(limit=1),),
    (Quota(limit=18, unit="vcpus"), Quota(limit=1, scope="a")),
    (Quota(limit=2, scope="b"), Quota(limit=3)),
)


@cache
def limited_problems() -> tuple[Problem, ...]:
    """Return problems with quotas, tight and with room, most of them with a deadline to meet."""
    out = []
    for seed, quotas in enumerate(QUOTAS):
        problem = random_problem(seed + 20, n_tasks=12).replace(quotas=quotas)
        out += [
            problem.replace(deadline_s=slack * problem.least_makespan_s) for slack in (1.3, 6.0)
        ]
    return (*out, out[-1].replace(deadline_s=None, budget_usd=1e3))


@EVERY
def test_a_quota_is_kept_or_the_plan_is_refused(name: str) -> None:
    """A plan that solve returns keeps every quota, counted here at every request of a lease."""
    for problem in limited_problems():
        try:
            plan = solve(problem, planner=name, time_limit_s=0.2)
        except (InfeasibleError, InputError, LimitError):
            continue
        assert check_plan(problem, plan) == ()
        moment = plan.lease_start_s[:, None] + 1e-6
        leased = (plan.lease_start_s <= moment) & (plan.lease_end_s > moment)
        for quota in problem.quotas:
            weight = quota.weights(problem.catalog)[plan.lease_type]
            assert (leased @ weight).max() <= quota.limit
        assert plan.certificate is not None
        reached = plan.cost_usd if plan.certificate.objective == "cost" else plan.makespan_s
        assert plan.certificate.lower_bound <= reached * (1 + 1e-9)


@EVERY
def test_a_quota_with_room_to_spare_changes_nothing(name: str) -> None:
    """A quota that no plan can reach leaves a scheduler's plan as it is, to the bit."""
    problem = random_problem(6, n_tasks=12)
    wide = problem.replace(quotas=(Quota(limit=10_000), Quota(limit=10_000, unit="vcpus")))
    assert bytes_of(made(name, wide)) == bytes_of(made(name, problem))


@cache
def ruled_problems() -> tuple[Problem, ...]:
    """Return problems in which one category of tasks may use some types only."""
    out = []
    for seed in range(3):
        free = random_problem(seed + 30, n_tasks=12)
        w = free.workflow
        builder = WorkflowBuilder("ruled")
        for i, task in enumerate(w.ids.tolist()):
            builder.add(
                task,
                runtime_s=float(w.runtime_s[i]),
                parents=[str(w.ids[p]) for p in w.parents_of(i)],
                vcpus=int(w.vcpus[i]),
                category="picky" if i % 3 == 0 else "other",
            )
        rule = AllowedTypes(category="picky", patterns=(("b", "c.*"), ("c",), ("a.big",))[seed])
        ruled = free.replace(workflow=builder.build(), deadline_s=None).replace(allowed=(rule,))
        path_s = ruled.least_makespan_s - ruled.boot_s
        out.append(ruled.replace(deadline_s=ruled.boot_s + 2.5 * path_s))
    return tuple(out)


@EVERY
def test_a_category_runs_on_its_types_alone(name: str) -> None:
    """No task is on a type that its category is not allowed; nor is the bound above the cost."""
    for problem in ruled_problems():
        plan = made(name, problem)
        if plan is None:
            continue
        assert check_plan(problem.replace(deadline_s=None), plan) == ()
        assert plan.cost_usd >= work_bound_usd(problem)
        (rule,) = problem.allowed
        picky = problem.workflow.category == problem.workflow.categories.index("picky")
        kinds = plan.lease_type[plan.task_lease[picky]]
        assert all(rule.allows(problem.catalog[int(k)]) for k in kinds)


@EVERY
def test_a_deadline_is_met_or_refused(name: str) -> None:
    """For a deadline, solve gives a certified plan in time, or says that there is none."""
    for problem in small_problems()[5:9]:
        try:
            plan = solve(problem, planner=name, time_limit_s=20.0)
        except (InfeasibleError, InputError):
            continue
        assert check_plan(problem, plan) == ()
        assert plan.certificate is not None
        assert plan.certificate.lower_bound <= plan.cost_usd


@pytest.mark.parametrize("name", NEVER_LATE)
def test_in_time_whenever_the_critical_path_is(name: str) -> None:
    """With leases without end, a deadline of the critical path after boot is met."""
    for problem in small_problems()[:-1]:
        plan = made(name, problem.replace(deadline_s=problem.least_makespan_s))
        assert plan is not None
        assert plan.makespan_s <= problem.least_makespan_s + 1e-6


@EVERY
def test_same_seed_same_plan(name: str) -> None:
    """Two runs with one seed decide the same to the bit."""
    problem = random_problem(3, n_tasks=15)
    assert bytes_of(made(name, problem, seed=5)) == bytes_of(made(name, problem, seed=5))


@EVERY
def test_no_time_is_no_excuse(name: str) -> None:
    """With a time limit of nothing there is a plan all the same, and it breaks no rule."""
    problem = random_problem(4, n_tasks=15)
    plan = made(name, problem, time_limit_s=0.0)
    if plan is not None:
        assert check_plan(problem.replace(deadline_s=None, budget_usd=None), plan) == ()


@pytest.mark.parametrize("name", NEVER_LATE)
def test_no_time_is_no_excuse_for_being_late(name: str) -> None:
    """Cut short at once, a scheduler that is never late has a plan in time all the same."""
    for problem in (random_problem(4, n_tasks=15, slack=1.05), random_problem(8, 30, slack=1.5)):
        plan = made(name, problem, time_limit_s=0.0)
        assert plan is not None
        assert check_plan(problem, plan) == ()


@EVERY
def test_none_beats_the_optimum(name: str) -> None:
    """On tiny problems no plan in time is cheaper than the proven optimum."""
    for seed, optimum in _optima_usd().items():
        problem = tiny_problem(seed, n_tasks=4)
        plan = made(name, problem)
        if plan is not None and check_plan(problem, plan) == ():
            assert plan.cost_usd >= optimum - 1e-7


@cache
def _optima_usd() -> dict[int, float]:
    """Return proven optima by seed, from a process of its own: OR-tools and HiGHS share none."""
    pytest.importorskip("ortools.init", reason="extra 'exact' is not installed")
    seeds = (1, 4, 9, 12)
    cases = [tiny_problem(seed, n_tasks=4) for seed in seeds]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(optimum_usd, cases))
    assert all(proven for _, proven in found)
    return {seed: cost for seed, (cost, _) in zip(seeds, found, strict=True)}


@pytest.mark.parametrize("name", FOR_DEADLINES)
def test_one_task_costs_what_it_must(name: str) -> None:
    """A single task with a deadline is on the cheapest type that ends it in time."""
    for seed in range(8):
        problem = tiny_problem(seed, n_tasks=1)
        plan = made(name, problem)
        held = problem.duration_s[0]
        fits = problem.boot_s + held <= (problem.deadline_s or math.inf)
        billed = problem.billing.billed_array_s(np.where(fits, held + problem.boot_s, 0.0))
        cheapest = (billed * problem.catalog.price_per_s)[fits].min()
        assert plan is not None
        assert plan.cost_usd == pytest.approx(float(cheapest))


def digest() -> str:
    """Return a digest of what every scheduler decides on two problems."""
    out = hashlib.sha256()
    for name in SCHEDULERS:
        for problem in (random_problem(2, n_tasks=14), tiny_problem(3, n_tasks=5)):
            out.update(name.encode() + bytes_of(made(name, problem, seed=1)))
    return out.hexdigest()


def test_hash_seeds_decide_nothing() -> None:
    """Every scheduler decides the same whatever the hash seed of the process."""
    root = Path(__file__).resolve().parents[2]
    code = "from tests.schedulers.test_contract import digest; print(digest())"
    found = set()
    for seed in ("1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(run.stdout)
    assert len(found) == 1
