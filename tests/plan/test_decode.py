"""Decoding and tightening: right plans always, cuts at gaps against brute force, never dearer."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.model.billing import HOURLY, PER_SECOND, Billing
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.plan.check import check_plan
from autoscale.plan.decode import decode, tighten
from tests.simulator.clouds import right_plan
from tests.tiny import BILLINGS, random_plan, tiny_problem

seeds = st.integers(0, 10**6)
some = settings(max_examples=100, deadline=None)

ONE = Catalog((InstanceType(name="one", vcpus=1, memory_gib=1, price_usd_per_hour=1.0),))


def alone(n: int, duration: float, billing: Billing, boot: float) -> Problem:
    """Return independent tasks for machines of one vCPU."""
    workflow = Workflow.from_columns(
        name="alone", ids=[f"t{i}" for i in range(n)], runtime_s=duration, edges=((), ())
    )
    return Problem(workflow=workflow, catalog=ONE, billing=billing, boot_s=boot)


@some
@given(seeds, st.integers(1, 25))
def test_decoded_and_tightened_plans_are_right(seed: int, n: int) -> None:
    plan = right_plan(seed, n)
    assert check_plan(plan.problem, plan) == ()
    tight = tighten(plan)
    assert check_plan(plan.problem, tight) == ()
    assert tight.cost_usd <= plan.cost_usd
    assert tight.makespan_s <= plan.makespan_s + 1e-9


@some
@given(seeds, st.integers(2, 12), st.sampled_from([1.0, 1.5, 4.0]))
def test_tightening_keeps_the_deadline_and_never_costs(seed: int, n: int, slack: float) -> None:
    problem = tiny_problem(seed, n, slack)
    plan = random_plan(problem, np.random.default_rng(seed))
    if plan is None:
        return
    late = plan.replace(problem=problem)
    tight = tighten(late)
    assert check_plan(problem, tight) == ()
    assert tight.cost_usd <= late.cost_usd
    assert tighten(tight).cost_usd <= tight.cost_usd


def test_tightening_closes_a_gap_that_haste_leaves() -> None:
    # A minute of idling is cheaper than a second boot, but nothing forces it.
    problem = alone(2, 600.0, PER_SECOND, 90.0).replace(deadline_s=7200.0)
    plan = decode(problem, [0], [0, 0], [0, 1], not_before_s=np.array([0.0, 750.0]))
    assert plan.cost_usd == pytest.approx((90 + 1260) / 3600)
    assert tighten(plan).cost_usd == pytest.approx((90 + 1200) / 3600)


@some
@given(seeds, st.sampled_from(BILLINGS), st.sampled_from([0.0, 30.0, 90.0]))
def test_one_gap_is_cut_exactly_when_two_leases_are_cheaper(
    seed: int, billing: Billing, boot: float
) -> None:
    rng = np.random.default_rng(seed)
    length, gap = float(rng.integers(1, 5000)), float(rng.integers(0, 9000))
    problem = alone(2, length, billing, boot)
    starts = np.array([boot, boot + length + gap])
    plan = decode(problem, [0], [0, 0], [0, 1], not_before_s=starts)
    whole = billing.billed_s(boot + 2 * length + gap)
    apart = 2 * billing.billed_s(boot + length)
    cheaper = apart < whole - 1e-9 and gap > boot
    assert plan.n_leases == (2 if cheaper else 1)
    assert plan.cost_usd == pytest.approx((apart if cheaper else whole) / 3600)
    np.testing.assert_array_equal(plan.task_start_s, starts)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 6))
def test_cuts_by_the_second_are_the_best_there_are(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    problem = alone(n, 20.0, Billing(quantum_s=1.0, minimum_s=0.0), 30.0)
    starts = 30.0 + np.cumsum(rng.integers(20, 120, n)).astype(float)
    plan = decode(problem, [0], np.zeros(n, int), np.arange(n), not_before_s=starts)
    best = math.inf
    for cut in itertools.product([False, True], repeat=n - 1):
        parts = np.concatenate([[0], np.cumsum(cut)])
        spans = [np.ptp(starts[parts == part]) + 20.0 + 30.0 for part in range(parts[-1] + 1)]
        best = min(best, sum(spans))
    assert plan.cost_usd * 3600 == pytest.approx(best)


@some
@given(seeds, st.integers(1, 20))
def test_cutting_never_costs(seed: int, n: int) -> None:
    plan = right_plan(seed, n)
    hourly = plan.problem.replace(billing=HOURLY)
    rng = np.random.default_rng(seed)
    fits = plan.problem.fits.all(axis=0)
    kind = int(np.flatnonzero(fits)[0])
    late = rng.integers(0, 20000, n).astype(float)
    made = decode(hourly, [kind], np.zeros(n, int), np.arange(n), not_before_s=late)
    assert check_plan(hourly, made) == ()
    first, last = made.task_start_s.min(), made.task_end_s.max()
    whole = hourly.billing.billed_s(last - first + hourly.boot_s)
    assert made.cost_usd <= hourly.catalog.price_per_s[kind] * whole * (1 + 1e-12)
