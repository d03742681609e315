"""The critical chain: contiguous, and every reason true."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from autoscale.plan.chain import Link, critical_chain
from autoscale.plan.check import check_plan
from autoscale.plan.plan import Plan
from autoscale.units import GIB
from tests.plans import hand_worked_plan, random_plan

if TYPE_CHECKING:
    from collections.abc import Sequence


def shape(links: Sequence[Link]) -> list[tuple[str, float, float, int, str]]:
    return [(x.kind, x.start_s, x.end_s, x.task, x.after) for x in links]


def test_a_chain_worked_by_hand() -> None:
    """Boot, the first task, 200 s for which the second is held back, the second task."""
    assert shape(critical_chain(hand_worked_plan())) == [
        ("boot", 0.0, 100.0, -1, "submission"),
        ("task", 100.0, 400.0, 0, "boot"),
        ("held back", 400.0, 600.0, 1, "parent"),
        ("task", 600.0, 800.0, 1, "plan"),
    ]


def crowded_plan(memory_gib: float, second_at: float, lease_at: float = 0.0) -> Plan:
    """Return two independent tasks of 100 s one after another on a lease of 2 vCPUs, 4 GiB."""
    builder = WorkflowBuilder("two")
    for name in ("a", "b"):
        builder.add(name, runtime_s=100, memory_bytes=memory_gib * GIB)
    machine = InstanceType(name="m", vcpus=2, memory_gib=4, price_usd_per_hour=1.0)
    first = lease_at + 10.0
    return Plan(
        problem=Problem(workflow=builder.build(), catalog=Catalog((machine,)), boot_s=10.0),
        lease_type=np.array([0], np.int32),
        lease_start_s=np.array([lease_at]),
        lease_end_s=np.array([second_at + 100.0]),
        task_lease=np.array([0, 0], np.int32),
        task_start_s=np.array([first, second_at]),
        task_end_s=np.array([first + 100.0, second_at + 100.0]),
    )


def test_room_is_a_reason_only_where_there_was_none() -> None:
    """With 3 of 4 GiB each the tasks must take turns; with 1 GiB the second is held back."""
    assert shape(critical_chain(crowded_plan(3, 110.0))) == [
        ("boot", 0.0, 10.0, -1, "submission"),
        ("task", 10.0, 110.0, 0, "boot"),
        ("task", 110.0, 210.0, 1, "room"),
    ]
    assert shape(critical_chain(crowded_plan(1, 110.0))) == [
        ("boot", 0.0, 10.0, -1, "submission"),
        ("held back", 10.0, 110.0, 1, "boot"),
        ("task", 110.0, 210.0, 1, "plan"),
    ]


def test_a_wait_after_room_was_made() -> None:
    """Room came at 110 s; from then to 150 s nothing but the plan keeps the task."""
    assert shape(critical_chain(crowded_plan(3, 150.0)))[1:] == [
        ("task", 10.0, 110.0, 0, "boot"),
        ("held back", 110.0, 150.0, 1, "room"),
        ("task", 150.0, 250.0, 1, "plan"),
    ]


def test_a_lease_requested_late() -> None:
    """Before a lease that nothing delays is requested, the plan waits."""
    assert shape(critical_chain(crowded_plan(3, 160.0, lease_at=50.0)))[:3] == [
        ("request", 0.0, 50.0, -1, "submission"),
        ("boot", 50.0, 60.0, -1, "plan"),
        ("task", 60.0, 160.0, 0, "boot"),
    ]


def test_a_lease_requested_late_is_no_reason_for_a_task_with_parents() -> None:
    """The child's lease is ready 50 s after its parent has ended, and could have been sooner."""
    builder = WorkflowBuilder("two").add("a", runtime_s=100)
    builder.add("b", runtime_s=100, parents=["a"])
    plan = crowded_plan(1, 160.0)
    plan = plan.replace(
        problem=plan.problem.replace(workflow=builder.build()),
        lease_type=np.array([0, 0], np.int32),
        lease_start_s=np.array([0.0, 150.0]),
        lease_end_s=np.array([110.0, 260.0]),
        task_lease=np.array([0, 1], np.int32),
    )
    assert shape(critical_chain(plan))[1:] == [
        ("task", 10.0, 110.0, 0, "boot"),
        ("held back", 110.0, 160.0, 1, "parent"),
        ("task", 160.0, 260.0, 1, "plan"),
    ]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_tasks=st.integers(1, 25),
    planner=st.sampled_from(["list", "fastest"]),
)
def test_links_follow_one_another_and_reasons_hold(seed: int, n_tasks: int, planner: str) -> None:
    """From 0 to the makespan without a gap; each task starts where what it waited for ends."""
    plan = random_plan(seed, n_tasks, planner)
    assert check_plan(plan.problem, plan) == ()
    links = critical_chain(plan)
    assert links[0].start_s == 0.0
    assert links[-1].end_s == plan.makespan_s
    for link, following in pairwise(links):
        assert following.start_s == pytest.approx(link.end_s, abs=2e-6)
    assert all(link.seconds >= -2e-6 for link in links)
    for position, link in enumerate(links):
        assert_reason(plan, links, position, link)


def assert_reason(plan: Plan, links: Sequence[Link], position: int, link: Link) -> None:
    before = links[position - 1] if position else None
    if link.kind == "task":
        assert plan.task_start_s[link.task] == link.start_s
        assert plan.task_lease[link.task] == link.lease
    if link.kind == "held back":
        assert not crowded(plan, link.task, 0.5 * (link.start_s + link.end_s))
    if link.after == "parent":
        assert before is not None
        assert before.task in plan.problem.workflow.parents_of(link.task)
    elif link.after == "room":
        assert before is not None
        assert plan.task_lease[before.task] == link.lease
        assert crowded(plan, link.task, link.start_s - 1e-4)
    elif link.after == "boot":
        assert before is not None
        assert before.kind == "boot"
        assert before.lease == link.lease
        assert link.start_s == pytest.approx(plan.lease_start_s[link.lease] + plan.problem.boot_s)
    elif link.after == "submission":
        assert position == 0


def crowded(plan: Plan, task: int, moment_s: float) -> bool:
    """Return whether the task's lease had too little room for it at a moment, one by one."""
    w, t = plan.problem.workflow, plan.problem.catalog[int(plan.lease_type[plan.task_lease[task]])]
    held = [w.vcpus[task], w.memory_bytes[task]]
    for other in range(len(w)):
        mates = other != task and plan.task_lease[other] == plan.task_lease[task]
        if mates and plan.task_start_s[other] < moment_s < plan.task_end_s[other]:
            held[0] += w.vcpus[other]
            held[1] += w.memory_bytes[other]
    return bool(held[0] > t.vcpus or held[1] > t.memory_bytes)
