"""Every kind of violation is reported: a right plan, made wrong in one way at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.plan.check import check_plan
from autoscale.plan.plan import Certificate, Plan
from autoscale.units import GIB
from tests.simulator.clouds import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

CATALOG = Catalog(
    (
        InstanceType(name="cpu", vcpus=4, memory_gib=8, price_usd_per_hour=0.4),
        InstanceType(name="gpu", vcpus=4, memory_gib=16, price_usd_per_hour=4.0, gpus=1),
    )
)


def workflow(**columns: Any) -> Workflow:
    """Return a -> b and beside them c, d; ``c`` uses a GPU, ``d`` much memory."""
    given: dict[str, Any] = {
        "runtime_s": [100.0, 50.0, 80.0, 100.0],
        "vcpus": [2, 3, 4, 2],
        "memory_bytes": [0, 0, GIB, 6 * GIB],
        "gpus": [0, 0, 1, 0],
    }
    return Workflow.from_columns(name="w", ids=list("acdb"), edges=((0,), (1,)), **given | columns)


def right() -> Plan:
    """Return a right plan; in topological order the tasks are a, d (GPU), b (memory), c."""
    problem = Problem(workflow=workflow(), catalog=CATALOG, deadline_s=400.0, budget_usd=1.0)
    return plan_of(
        problem,
        lease_type=[0, 1],
        lease_start_s=[0.0, 10.0],
        lease_end_s=[250.0, 180.0],
        task_lease=[0, 1, 0, 0],
        task_start_s=[90.0, 100.0, 90.0, 190.0],
        task_end_s=[190.0, 180.0, 190.0, 240.0],
    ).replace(certificate=Certificate(objective="cost", lower_bound=0.1, method="guess"))


def changed(name: str, index: int, value: float) -> Plan:
    """Return the right plan with one entry of one column changed."""
    column = getattr(right(), name).copy()
    column[index] = value
    return right().replace(**{name: column})


def moved(task: int, by: float) -> Plan:
    """Return the right plan with one task earlier or later."""
    plan = right()
    start, end = plan.task_start_s.copy(), plan.task_end_s.copy()
    start[task] += by
    end[task] += by
    return plan.replace(task_start_s=start, task_end_s=end)


def on(plan: Plan, **changes: Any) -> Plan:
    """Return the plan for a changed problem."""
    return plan.replace(problem=plan.problem.replace(**changes))


def bounded(value: float, objective: Any = "cost") -> Plan:
    """Return the right plan with another certificate."""
    return right().replace(
        certificate=Certificate(objective=objective, lower_bound=value, method="guess")
    )


WRONG: dict[str, tuple[Callable[[], Plan], str]] = {
    "too short": (lambda: changed("task_end_s", 0, 189.9), "runs too short"),
    "negative": (lambda: changed("task_end_s", 0, 80.0), "runs too short"),
    "before boot": (lambda: changed("lease_start_s", 1, 11.0), "before its lease has booted"),
    "after release": (lambda: changed("lease_end_s", 1, 179.0), "ends after its lease"),
    "before its parent": (lambda: moved(3, -5.0), "starts before a parent ends"),
    "vCPUs": (lambda: on(right(), workflow=workflow(vcpus=[3, 3, 4, 2])), "vCPUs"),
    "memory": (
        lambda: on(right(), workflow=workflow(memory_bytes=[3 * GIB, 0, GIB, 6 * GIB])),
        "bytes of memory",
    ),
    "GPU on another type": (lambda: changed("lease_type", 1, 0), "GPUs"),
    "slower type": (
        lambda: on(right(), durations_s=np.full((4, 2), 101.0)),
        "runs too short",
    ),
    "deadline": (lambda: on(right(), deadline_s=239.9), "deadline"),
    "budget": (lambda: on(right(), budget_usd=0.1), "budget"),
    "lease before 0": (lambda: changed("lease_start_s", 0, -1.0), "starts before 0"),
    "lease ends first": (
        lambda: right().replace(
            lease_type=np.array([0, 1, 0], np.int32),
            lease_start_s=np.array([0.0, 10.0, 50.0]),
            lease_end_s=np.array([250.0, 180.0, 40.0]),
        ),
        "ends before it starts",
    ),
    "no such lease": (lambda: changed("task_lease", 0, 2), "lease that does not exist"),
    "negative lease": (lambda: changed("task_lease", 0, -1), "lease that does not exist"),
    "no such type": (lambda: changed("lease_type", 0, 2), "instance type"),
    "NaN": (lambda: changed("task_start_s", 0, np.nan), "finite"),
    "infinite lease": (lambda: changed("lease_end_s", 0, np.inf), "finite"),
    "tasks missing": (
        lambda: right().replace(
            **{
                name: getattr(right(), name)[:3]
                for name in ("task_lease", "task_start_s", "task_end_s")
            }
        ),
        "the workflow 4",
    ),
    "bound too high": (lambda: bounded(0.3), "bound"),
    "bound on makespan": (lambda: bounded(240.1, "makespan"), "bound"),
    "bound not a number": (lambda: bounded(float("nan")), "bound"),
}


def test_the_right_plan_is_right() -> None:
    assert check_plan(right().problem, right()) == ()
    assert check_plan(right().problem, bounded(240.0, "makespan")) == ()


@pytest.mark.parametrize("name", WRONG)
def test_each_violation_is_reported(name: str) -> None:
    make, said = WRONG[name]
    plan = make()
    report = check_plan(plan.problem, plan)
    assert any(said in line for line in report), report


def test_a_task_of_no_duration_still_has_to_fit() -> None:
    # It holds nothing for no time, but a type without a GPU cannot run it at all.
    instant = workflow(runtime_s=[100.0, 50.0, 0.0, 100.0])
    plan = on(changed("task_end_s", 1, 100.0), workflow=instant).replace(certificate=None)
    assert check_plan(plan.problem, plan) == ()
    there = plan.replace(lease_type=np.array([0, 0], np.int32))
    assert check_plan(there.problem, there) != ()


def test_touching_tasks_do_not_overlap() -> None:
    tight = moved(3, 0.0)
    assert tight.task_start_s[3] == tight.task_end_s[0]
    assert check_plan(tight.problem, tight) == ()
