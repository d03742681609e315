"""The two algorithms of IPDPS'13 by hand, and budgets that no run exceeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.errors import InputError
from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog
from autoscale.model.problem import Problem
from autoscale.policies import make_policy
from autoscale.policies.about import Terms
from autoscale.policies.protocol import Job
from autoscale.policies.scaling_first_policy import fleet_of
from autoscale.policies.scheduling_first_policy import shares_of_budget
from autoscale.policies.subdeadlines.dates import Dates
from autoscale.policies.work import OpenJob
from simulator.streams import run_policy
from tests.policies.clusters import (
    SLOW_AND_FAST,
    chain,
    dag,
    kind,
    poisson_stream,
    rough_stream,
    view_of,
)
from tests.simulator.chances import ROUGH

BUDGETED = ("fixed-machine", "scaling-first", "scheduling-first")


def spent_by_hour(result: Any) -> Any:
    """Return what leases cost in each hour, evenly over the time that they pay for."""
    leases = result.leases
    paid = leases.billed_s > 0
    start, length = leases.requested_s[paid], leases.billed_s[paid]
    rate = leases.cost_usd[paid] / length
    hours = 3600.0 * np.arange(np.ceil((start + length).max() / 3600))
    shared = np.minimum(start + length, hours[:, None] + 3600)
    shared = np.maximum(shared - np.maximum(start, hours[:, None]), 0)
    return shared @ rate


@pytest.mark.parametrize("name", BUDGETED)
@settings(max_examples=5, deadline=None)
@given(seed=hs.integers(0, 10**5), budget=hs.sampled_from([3.2, 4.0, 8.0]))
def test_no_hour_costs_more_than_the_budget(name: str, seed: int, budget: float) -> None:
    """Whatever strikes, with noise and failures; the dearest type costs $3.06."""
    policy = make_policy(name, Terms(budget_usd_per_hour=budget))
    result = run_policy(rough_stream(seed), policy, ROUGH, seed=seed, limit_s=3e5)
    if result.leases.billed_s.any():
        assert spent_by_hour(result).max() <= budget + 1e-6
    assert result.reason is None or "failed" in result.reason or "started" in result.reason


@pytest.mark.parametrize("hourly", [True, False])
@pytest.mark.parametrize("name", BUDGETED)
def test_a_small_budget_is_used_and_not_exceeded(name: str, hourly: bool) -> None:
    jobs = poisson_stream(3, hourly=hourly)
    result = run_policy(jobs, make_policy(name, Terms(budget_usd_per_hour=0.7)), limit_s=3e5)
    assert result.reason is None
    spent = spent_by_hour(result)
    assert 0.3 < spent.max() <= 0.7 + 1e-6


@pytest.mark.parametrize("name", BUDGETED)
def test_a_budget_that_pays_for_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="budget_usd_per_hour"):
        make_policy(name, Terms())
    problem = Problem(workflow=chain(5), catalog=SLOW_AND_FAST)
    result = run_policy([Job(problem=problem)], make_policy(name, Terms(budget_usd_per_hour=0.5)))
    assert result.reason is not None
    assert "the cheapest costs 1 an hour" in result.reason


# -- scaling-first --------------------------------------------------------------------------


def test_the_budget_goes_to_types_by_what_their_demand_would_cost() -> None:
    """$12 of which 3/4 would go to type 0: nine machines; the rest pays for one of type 1."""
    price = np.array([1.0, 3.0])
    assert fleet_of(np.array([18.0, 2.0]), price, 12.0) == [9, 1]
    # What is not asked for is not launched, and what that leaves goes to the others.
    assert fleet_of(np.array([2.0, 5.0]), price, 12.0) == [2, 3]
    assert fleet_of(np.array([0.0, 0.0]), price, 12.0) == [0, 0]
    assert fleet_of(np.array([0.5, 0.0]), price, 12.0) == [1, 0]


@settings(max_examples=200, deadline=None)
@given(
    hs.lists(hs.floats(0, 20), min_size=3, max_size=3),
    hs.lists(hs.floats(0.1, 5), min_size=3, max_size=3),
    hs.floats(0.1, 40),
)
def test_fleets_stay_within_budget_and_demand_and_leave_nothing_affordable_out(
    demand: list[float], prices: list[float], budget: float
) -> None:
    asked, price = np.array(demand), np.array(prices)
    fleet = np.array(fleet_of(asked, price, budget))
    assert float(fleet @ price) <= budget + 1e-5
    assert (fleet <= np.ceil(asked)).all()
    left = budget - float(fleet @ price)
    more = (fleet < np.ceil(asked - 1e-9)) & (price <= left - 1e-5)
    assert not more.any() or not (asked > 0).any()


def test_scaling_first_by_hand() -> None:
    """Three tasks of 60 min; $4 pay for one fast machine or four slow ones, boots take nothing.

    Three fast ones would cost $12: the budget is small, so that all like the slow type, on which
    an hour of work costs $1 and not $2. Three slow machines, an hour each.
    """
    problem = Problem(
        workflow=dag({}, {"a": 60, "b": 60, "c": 60}), catalog=SLOW_AND_FAST, boot_s=0.0,
        billing=HOURLY,
    )  # fmt: skip
    policy = make_policy("scaling-first", Terms(budget_usd_per_hour=4.0))
    result = run_policy([Job(problem=problem)], policy)
    assert result.leases.type.tolist() == [0, 0, 0]
    assert result.makespan_s == 3600.0
    # With $12 the fast type is paid for: half an hour.
    policy = make_policy("scaling-first", Terms(budget_usd_per_hour=12.0))
    result = run_policy([Job(problem=problem)], policy)
    assert result.leases.type.tolist() == [1, 1, 1]
    assert result.makespan_s == 1800.0


# -- scheduling-first -----------------------------------------------------------------------


def test_jobs_are_paid_for_by_priority_and_share_what_is_left_by_weight() -> None:
    given_usd, runs = shares_of_budget(np.array([2.0, 3.0]), np.array([3.0, 1.0]), 9.0)
    assert runs.tolist() == [True, True]
    assert given_usd.tolist() == [2 + 3, 3 + 1]
    given_usd, runs = shares_of_budget(np.array([5.0, 1.0]), np.array([2.0, 1.0]), 4.0)
    assert runs.tolist() == [True, False]  # the first always runs, and takes all
    assert given_usd.tolist() == [4.0, 0.0]


def test_a_plan_is_as_fast_as_its_share_pays_for() -> None:
    """30, then 60 and 20 min beside each other: 90 min on slow types for $1.83.

    Each upgrade doubles what a task costs and halves its time: 30 min less per dollar for all. The
    first on the longest chain, 30 min, saves 15 for $0.5, then the 60-minute task 30 for $1. The
    20-minute task is on no longest chain. An hour of a plan costs its work over its makespan, over
    an hour at least: $1.83 in 1.5 h; $2.33 in 1.25 h; $3.33 in 1 h.
    """
    w = dag({"b": ["a"], "c": ["a"]}, {"a": 30, "b": 60, "c": 20})
    problem = Problem(workflow=w, catalog=SLOW_AND_FAST, boot_s=0.0)
    dates = Dates(OpenJob(view_of(Job(problem=problem))), rule="soonest")
    for usd_per_hour, kinds, minutes in (
        (0.0, [0, 0, 0], 90), (1.8, [0, 0, 0], 90), (1.87, [1, 0, 0], 75), (3.32, [1, 0, 0], 75),
        (3.34, [1, 1, 0], 45),
    ):  # fmt: skip
        dates.assign(0.0, 0.0, [], usd_per_hour=usd_per_hour)
        assert dates.kind.tolist() == kinds, usd_per_hour
        assert dates.makespan_s == pytest.approx(60 * minutes)


def test_scheduling_first_by_hand() -> None:
    """Two chains of 60 min arrive together, weights 3 and 1, with $6 an hour.

    Each needs $1; of the other $4 the first gets 3, which pays for the fast type ($2 of work), the
    second gets 1, and what the first leaves over ($2): fast as well. Two fast ones cost $8, which
    is more than $6: the second job's demand is cut, and it runs when the first one's machine is
    free, half an hour later.
    """
    problem = Problem(workflow=chain(60), catalog=SLOW_AND_FAST, boot_s=0.0, billing=HOURLY)
    jobs = [Job(problem=problem, priority=3.0), Job(problem=problem, priority=1.0)]
    policy = make_policy("scheduling-first", Terms(budget_usd_per_hour=6.0))
    result = run_policy(jobs, policy)
    assert result.leases.type.tolist() == [1]
    assert result.tasks.end_s.tolist() == [1800.0, 3600.0]
    assert result.cost_usd == 4.0


# -- the fixed machine ----------------------------------------------------------------------


def test_the_fixed_machine_is_the_general_type_up_to_the_budget() -> None:
    """Five tasks of 60 min with $2.9: two machines of the category general at $1 an hour."""
    types = (kind("compute", 0.5, category="compute"), kind("general", 1.0, category="general"))
    problem = Problem(
        workflow=dag({}, dict.fromkeys("abcde", 60)), catalog=Catalog(types), boot_s=0.0,
        billing=PER_SECOND,
    )  # fmt: skip
    policy = make_policy("fixed-machine", Terms(budget_usd_per_hour=2.9))
    result = run_policy([Job(problem=problem)], policy)
    assert result.leases.type.tolist() == [1, 1]
    assert sorted(result.tasks.end_s.tolist()) == [3600.0, 3600.0, 7200.0, 7200.0, 10800.0]
