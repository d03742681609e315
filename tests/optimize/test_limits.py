"""Quotas and allowed types: plans keep them, bounds stay below the optimum, refusals name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.api import make_problem, read_workflow
from autoscale.errors import InfeasibleError, InputError, LimitError
from autoscale.formats.plan_json import read_plan, write_plan
from autoscale.lp.bound import CostBound
from autoscale.model.limits import AllowedTypes, Quota
from autoscale.optimize.explain import explain_plan
from autoscale.optimize.planner import solve
from autoscale.optimize.portfolio import soonest
from autoscale.plan.check import check_plan, quota_peaks
from autoscale.plan.decode import keeps_quotas
from tests.problems import random_problem

if TYPE_CHECKING:
    from autoscale.model.problem import Problem

QUOTAS = (
    (Quota(limit=1),),
    (Quota(limit=2),),
    (Quota(limit=16, unit="vcpus"),),
    (Quota(limit=18, unit="vcpus"), Quota(limit=1, scope="a")),
    (Quota(limit=1, scope="a.*"), Quota(limit=1, scope="b"), Quota(limit=2)),
)


def limited(seed: int, quotas: tuple[Quota, ...], slack: float) -> Problem:
    """Return a random problem with quotas; the deadline leaves room for the work."""
    problem = random_problem(seed, 10, slack).replace(quotas=quotas)
    return problem.replace(deadline_s=slack * max(problem.least_makespan_s, 1.0))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(QUOTAS))
def test_the_list_scheduler_keeps_quotas_at_every_moment(seed: int, quotas: tuple) -> None:
    plan = soonest(limited(seed, quotas, 50.0))
    assert check_plan(plan.problem, plan) == ()
    # Counted here by brute force: at every request, whatever is leased then.
    for quota in quotas:
        weight = quota.weights(plan.problem.catalog)[plan.lease_type]
        moment = plan.lease_start_s[:, None] + 1e-6
        leased = (plan.lease_start_s <= moment) & (plan.lease_end_s > moment)
        assert (leased @ weight).max() <= quota.limit
        assert (leased @ weight).max() == quota_peaks(plan)[quotas.index(quota)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(QUOTAS))
def test_whether_a_plan_keeps_quotas_is_judged_alike_by_both(seed: int, quotas: tuple) -> None:
    free = soonest(random_problem(seed, 10, 3.0))
    plan = free.replace(problem=free.problem.replace(quotas=quotas, deadline_s=None))
    exceeded = [line for line in check_plan(plan.problem, plan) if line.startswith("quota")]
    assert keeps_quotas(plan) == (not exceeded)


@pytest.mark.parametrize("quotas", QUOTAS)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_plans_keep_quotas_and_cost_at_least_the_bound(seed: int, quotas: tuple) -> None:
    problem = limited(seed, quotas, 3.0)
    try:
        plan = solve(problem, time_limit_s=0.5)
    except LimitError:
        return
    assert check_plan(problem, plan) == ()
    # A plan within quotas is a plan without: the bound with quotas is the higher one, if anything.
    assert plan.certificate is not None
    assert plan.certificate.lower_bound <= plan.cost_usd * (1 + 1e-7)
    free = CostBound(problem.replace(quotas=())).root().usd
    assert free <= plan.cost_usd * (1 + 1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(QUOTAS), st.floats(1.0, 6.0))
def test_any_plan_within_quotas_bounds_the_relaxation_and_the_least_makespan(
    seed: int, quotas: tuple, slack: float
) -> None:
    problem = limited(seed, quotas, slack)
    plan = soonest(problem)
    assert problem.least_makespan_s <= plan.makespan_s * (1 + 1e-9)
    at_hand = problem.replace(deadline_s=plan.makespan_s)
    assert CostBound(at_hand).root().usd <= plan.cost_usd * (1 + 1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_category_runs_only_on_its_types(seed: int) -> None:
    problem = make_problem(
        read_workflow("example:epigenomics"),
        deadline="10h",
        types="c7i.*,m7i.*,r7i.*",
    )
    rng = np.random.default_rng(seed)
    category = problem.workflow.categories[int(rng.integers(len(problem.workflow.categories)))]
    rule = AllowedTypes(category=category, patterns=("m7i.large", "r7i"))
    problem = problem.replace(allowed=(rule,))
    plan = soonest(problem)
    assert check_plan(problem, plan) == ()
    own = problem.workflow.category == problem.workflow.categories.index(category)
    kinds = plan.lease_type[plan.task_lease[own]]
    names = {problem.catalog.names[k] for k in kinds}
    assert all(name == "m7i.large" or name.startswith("r7i.") for name in names)


def test_limits_survive_the_file(tmp_path) -> None:
    workflow = read_workflow("example:montage")
    problem = make_problem(
        workflow,
        deadline="30m",
        quotas=("instances=2", "c7*:vcpus=8"),
        allowed=("mAdd=m7i,c7i.large",),
    )
    plan = solve(problem, planner="list")
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json", workflow)
    assert again.problem.quotas == problem.quotas
    assert again.problem.allowed == problem.allowed
    assert check_plan(again.problem, again) == ()


def test_a_smaller_quota_is_broken_by_a_plan_that_needs_more() -> None:
    workflow = read_workflow("example:montage")
    plan = solve(make_problem(workflow, deadline="6m", types="c7i.large"), planner="list")
    at_once = quota_peaks(plan.replace(problem=plan.problem.replace(quotas=(Quota(limit=99),))))
    assert at_once[0] > 1
    tight = plan.problem.replace(quotas=(Quota(limit=at_once[0] - 1),))
    assert any("quota instances=" in line for line in check_plan(tight, plan))


def test_explain_says_which_quota_binds() -> None:
    workflow = read_workflow("example:montage")
    problem = make_problem(
        workflow, deadline="25m", types="c7i.large", quotas=("instances=1", "vcpus=999")
    )
    plan = solve(problem, time_limit_s=1)
    prices = explain_plan(plan).prices
    assert prices is not None
    assert [(q.limit, q.peak, q.binding) for q in prices.quotas] == [(1, 1, True), (999, 2, False)]


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"quotas": ("instance=2",)}, "expected 'instances=20'"),
        ({"quotas": ("instances=0",)}, "expected a whole number >= 1"),
        ({"quotas": ("instances=2.5",)}, "expected 'instances=20'"),
        ({"quotas": ("c77*:vcpus=4",)}, "unknown instance type, family or pattern 'c77"),
        ({"quotas": ("vcpus=1",), "types": "c7i.*"}, "quota vcpus=1 leave"),
        ({"allowed": ("mAd=c7i",)}, "did you mean 'mAdd'"),
        ({"allowed": ("mAdd",)}, "expected 'CATEGORY=c7"),
        ({"allowed": ("mAdd=c7i", "mAdd=m7i")}, "has a rule already"),
        ({"allowed": ("mAdd=c7j",)}, "unknown instance type, family or pattern 'c7j'"),
    ],
)
def test_bad_limits_are_refused(limits: dict, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("*", r"\*")):
        make_problem(read_workflow("example:montage"), **limits)


def test_deadline_and_quota_that_contradict_name_each_other() -> None:
    workflow = read_workflow("example:montage")
    problem = make_problem(
        workflow, deadline="4m", types="c7i.large", quotas=("instances=1",), boot="30s"
    )
    with pytest.raises(InfeasibleError, match="quota instances=1 holds all the work back") as info:
        solve(problem, time_limit_s=2)
    assert info.value.least_makespan_s == problem.least_makespan_s
    fine = problem.replace(deadline_s=soonest(problem).makespan_s + 1)
    assert check_plan(fine, solve(fine, time_limit_s=1)) == ()
    late = problem.replace(deadline_s=problem.least_makespan_s + 1.0)
    with pytest.raises((InfeasibleError, LimitError), match="quota instances=1") as info:
        solve(late, time_limit_s=5)
    assert "allow" in str(info.value)
