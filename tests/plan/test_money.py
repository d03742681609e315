"""Where money goes: every charged vCPU-second once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.plan.check import check_plan
from autoscale.plan.money import CATEGORIES, Money, money_by_type
from tests.plans import hand_worked_plan, random_plan

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan


def test_a_plan_worked_by_hand() -> None:
    """Half the vCPUs work 250 lease-seconds of 800; 2,800 more are charged for the hour."""
    plan = hand_worked_plan()
    assert check_plan(plan.problem, plan) == ()
    (row,) = money_by_type(plan)
    assert (row.instance_type, row.leases) == ("duo", 1)
    assert row.money.by_category() == pytest.approx(
        {"compute": 0.15, "transfers": 0.10, "boot": 0.10, "idle": 0.45, "rounding": 2.80}
    )
    assert row.money.total_usd == pytest.approx(plan.cost_usd) == 3.6


def test_without_transfers_all_work_is_computing() -> None:
    """The same times with transfers switched off: what files took is compute."""
    plan = hand_worked_plan()
    plan = plan.replace(problem=plan.problem.replace(transfers=False))
    money = money_by_type(plan)[0].money
    assert money.transfers_usd == 0
    assert money.compute_usd == pytest.approx(0.25)


def test_a_lease_that_only_boots() -> None:
    """A lease released before it is ready is boot, and the rest is rounding; nothing is < 0."""
    plan = hand_worked_plan()
    plan = plan.replace(
        lease_type=np.array([0, 0], np.int32),
        lease_start_s=np.array([0.0, 0.0]),
        lease_end_s=np.array([800.0, 60.0]),
    )
    extra = money_by_type(plan)[0].money.by_category()
    base = money_by_type(hand_worked_plan())[0].money.by_category()
    change = {name: extra[name] - base[name] for name in CATEGORIES}
    assert change == pytest.approx(
        {"compute": 0, "transfers": 0, "boot": 0.06, "idle": 0, "rounding": 3.54}, abs=1e-12
    )


def test_noise_that_is_not_charged_makes_nothing_negative() -> None:
    """A release 5e-7 s after the quantum is not charged; no category goes below 0 for it."""
    plan = hand_worked_plan()
    plan = plan.replace(lease_end_s=np.array([3600.0 + 5e-7]))
    money = money_by_type(plan)[0].money
    assert min(money.by_category().values()) >= 0
    assert money.total_usd == pytest.approx(plan.cost_usd, rel=1e-12) == 3.6


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_tasks=st.integers(1, 25),
    planner=st.sampled_from(["list", "fastest"]),
)
def test_categories_add_up(seed: int, n_tasks: int, planner: str) -> None:
    """Nothing is negative, all adds up to the cost, and idle is what a sweep over time finds."""
    plan = random_plan(seed, n_tasks, planner)
    rows = money_by_type(plan)
    for row in rows:
        assert min(row.money.by_category().values()) >= 0
    whole = Money.summed(row.money for row in rows)
    assert whole.total_usd == pytest.approx(plan.cost_usd, rel=1e-9)
    assert sum(row.leases for row in rows) == plan.n_leases
    assert whole.idle_usd == pytest.approx(swept_idle_usd(plan), rel=1e-9, abs=1e-9)
    moved = (plan.problem.workflow.in_bytes + plan.problem.workflow.out_bytes).sum()
    assert (whole.transfers_usd > 0) == (moved > 0)


def swept_idle_usd(plan: Plan) -> float:
    """Return the price of free vCPUs, integrated from event to event of each lease."""
    total = 0.0
    for number in range(plan.n_leases):
        t = plan.problem.catalog[int(plan.lease_type[number])]
        mates = np.flatnonzero(plan.task_lease == number)
        ready = plan.lease_start_s[number] + plan.problem.boot_s
        moments = sorted(
            {ready, plan.lease_end_s[number]}
            | set(plan.task_start_s[mates])
            | set(plan.task_end_s[mates])
        )
        for low, high in pairwise(moments):
            middle = 0.5 * (low + high)
            on = mates[(plan.task_start_s[mates] < middle) & (middle < plan.task_end_s[mates])]
            free = t.vcpus - plan.problem.workflow.vcpus[on].sum()
            total += free / t.vcpus * (high - low) * t.price_usd_per_hour / 3600
    return float(total)
