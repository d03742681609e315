"""Differences between two plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.errors import InputError
from autoscale.model.billing import PER_SECOND
from autoscale.model.catalog import Catalog
from autoscale.model.workflow import WorkflowBuilder
from autoscale.optimize.planner import solve
from autoscale.plan.diff import diff_plans
from tests.plans import hand_worked_plan, random_plan

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan


def moved_plan() -> Plan:
    """Return the hand-worked plan with its second task at once, on a lease of its own."""
    plan = hand_worked_plan()
    return plan.replace(
        lease_type=np.array([0, 0], np.int32),
        lease_start_s=np.array([0.0, 300.0]),
        lease_end_s=np.array([400.0, 600.0]),
        task_lease=np.array([0, 1], np.int32),
        task_start_s=np.array([100.0, 400.0]),
        task_end_s=np.array([400.0, 600.0]),
    )


def test_a_difference_worked_by_hand() -> None:
    """One more lease and hour, 200 s sooner; one task has another lease and time."""
    found = diff_plans(hand_worked_plan(), moved_plan())
    figures = {f.name: (f.a, f.b) for f in found.figures}
    assert figures["cost_usd"] == (3.6, 7.2)
    assert figures["makespan_s"] == (800.0, 600.0)
    assert figures["leases"] == (1, 2)
    assert figures["gap"] == (None, None)
    assert [(f.name, f.a, f.b) for f in found.leases] == [("duo", 1, 2)]
    money = {f.name: f.change for f in found.money}
    assert money == pytest.approx(
        {"compute": 0, "transfers": 0, "boot": 0.1, "idle": 0.25 - 0.45, "rounding": 3.7},
        abs=1e-12,
    )
    assert (found.other_type, found.other_lease, found.other_time) == (0, 1, 1)
    (task,) = found.largest
    assert (task.task, task.start_a_s, task.start_b_s) == ("second", 600.0, 400.0)
    assert found.settings == ()
    assert not found.same


def test_rules_and_prices_that_differ_are_named() -> None:
    """Each limit, rule and price that is not shared is reported, and nothing else."""
    plan = hand_worked_plan()
    dearer = Catalog((replace(plan.problem.catalog[0], price_usd_per_hour=4.0),))
    other = plan.problem.replace(
        deadline_s=None, budget_usd=9.0, boot_s=50.0, billing=PER_SECOND, transfers=False,
        storage_bandwidth=1e9, catalog=dearer,
    )  # fmt: skip
    found = {s.name: (s.a, s.b) for s in diff_plans(plan, plan.replace(problem=other)).settings}
    assert list(found) == [
        "deadline", "budget", "boot", "billing", "transfers", "storage bandwidth", "type duo",
    ]  # fmt: skip
    assert found["deadline"] == ("16m40s", "none")
    assert found["boot"] == ("100 s", "50 s")
    assert "$3.6/h" in found["type duo"][0]
    assert "$4/h" in found["type duo"][1]


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 10_000), n_tasks=st.integers(1, 20))
def test_differences_are_symmetric(seed: int, n_tasks: int) -> None:
    """From b to a everything changes by the opposite, and as many tasks have moved."""
    a = random_plan(seed, n_tasks)
    if not seed % 2:
        a = shuffled(a, seed + 1)
    b = solve(a.problem, planner="fastest") if seed % 2 else shuffled(a, seed)
    there, back = diff_plans(a, b), diff_plans(b, a)
    for about in ("figures", "money", "leases"):
        for f, g in zip(getattr(there, about), getattr(back, about), strict=True):
            assert (f.name, f.a, f.b) == (g.name, g.b, g.a)
    for count in ("other_type", "other_lease", "other_time"):
        assert getattr(there, count) == getattr(back, count)
    assert [t.task for t in there.largest] == [t.task for t in back.largest]
    cost = {f.name: f.change for f in there.figures}["cost_usd"]
    assert sum(f.change or 0.0 for f in there.money) == pytest.approx(cost, abs=1e-9)


def shuffled(plan: Plan, seed: int) -> Plan:
    """Return the plan with its tasks dealt anew to leases of its first type: no valid plan."""
    rng = np.random.default_rng(seed)
    return plan.replace(
        lease_type=np.full(plan.n_leases, plan.lease_type[0]),
        task_lease=rng.permutation(plan.task_lease).astype(np.int32),
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n_tasks=st.integers(1, 20))
def test_numbering_of_leases_is_no_difference(seed: int, n_tasks: int) -> None:
    """A plan and the same plan with its leases numbered otherwise are the same."""
    plan = random_plan(seed, n_tasks)
    order = np.random.default_rng(seed).permutation(plan.n_leases)
    number = np.argsort(order)
    other = plan.replace(
        lease_type=plan.lease_type[order],
        lease_start_s=plan.lease_start_s[order],
        lease_end_s=plan.lease_end_s[order],
        task_lease=number[plan.task_lease].astype(np.int32),
    )
    found = diff_plans(plan, other)
    assert (found.other_type, found.other_lease, found.other_time) == (0, 0, 0)
    assert found.largest == ()
    assert found.settings == ()
    for figure in found.leases:
        assert figure.change == 0


def other_workflow(**changes: float) -> Plan:
    plan = hand_worked_plan()
    first = {"runtime_s": 400.0} | changes
    builder = WorkflowBuilder("another").add("first", **first, outputs={"f": 50e9})  # type: ignore[arg-type]
    builder.add("second", runtime_s=200, parents=["first"], inputs={"f": 50e9})
    return plan.replace(problem=plan.problem.replace(workflow=builder.build()))


def test_other_workflows_are_refused() -> None:
    """Other sizes, other ids and other needs are refused, naming the workflows and the task."""
    plan = hand_worked_plan()
    assert diff_plans(plan, other_workflow()).same  # read twice, the same tasks
    with pytest.raises(InputError, match=r"'first' has other parents or needs in 'chain' than in"):
        diff_plans(plan, other_workflow(runtime_s=401.0))
    with pytest.raises(InputError, match=r"'chain' has 2 tasks, 'random with files' has 5"):
        diff_plans(plan, random_plan(1, 5))
    builder = WorkflowBuilder("renamed").add("start", runtime_s=400, outputs={"f": 50e9})
    builder.add("second", runtime_s=200, parents=["start"], inputs={"f": 50e9})
    renamed = plan.replace(problem=plan.problem.replace(workflow=builder.build()))
    with pytest.raises(InputError, match=r"task 0 is 'first' in 'chain', and 'start' in 'renamed'"):
        diff_plans(plan, renamed)


def test_it_reads_well() -> None:
    """The short form and the table hold the figures."""
    found = diff_plans(hand_worked_plan(), moved_plan())
    assert repr(found) == (
        "PlanDiff('chain': $3.60 -> $7.20, 13m20s -> 10m00s, 1 of 2 tasks on another lease)"
    )
    frame = found.to_frame()
    assert frame.set_index("figure").loc["cost_usd", "change"] == pytest.approx(3.6)
    assert "13m20s" in found._repr_html_()
