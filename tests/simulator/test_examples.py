"""Examples worked by hand, and plans that cannot be played."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.errors import InputError
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from simulator import simulate
from tests.simulator.clouds import plan_of, right_plan

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan

ROOT = Path(__file__).resolve().parents[2]


def machine(**changes: Any) -> InstanceType:
    given = {"name": "m", "vcpus": 4, "memory_gib": 8, "price_usd_per_hour": 3.6, **changes}
    return InstanceType(**given)


def problem_of(builder: WorkflowBuilder, *types: InstanceType, **rules: Any) -> Problem:
    rules = {"boot_s": 30.0, **rules}
    return Problem(workflow=builder.build(), catalog=Catalog(types or (machine(),)), **rules)


def one_lease(problem: Problem, start: list[float], end: list[float], **lease: Any) -> Plan:
    columns = {"lease_type": [0], "lease_start_s": [0.0], "lease_end_s": [max(end)], **lease}
    return plan_of(
        problem, task_lease=[0] * len(start), task_start_s=start, task_end_s=end, **columns
    )


def chain_with_files(**rules: Any) -> Problem:
    builder = WorkflowBuilder("chain")
    builder.add("a", runtime_s=100, outputs={"x": 3.125e8})
    builder.add("b", runtime_s=40, vcpus=2, parents=["a"], inputs={"x": 3.125e8}, outputs={"y": 0})
    return problem_of(builder, machine(speed=2.0, network_gbps=1.0), **rules)


def test_a_chain_with_transfers() -> None:
    # 1 Gbit/s is 1.25e8 B/s: a's quarter moves 3.125e8 bytes in 10 s, b's half in 5 s.
    result = simulate(one_lease(chain_with_files(), [30, 90], [90, 115]))
    assert result.tasks.fetch_s.tolist() == [0, 5]
    assert result.tasks.compute_s.tolist() == [50, 20]
    assert result.tasks.store_s.tolist() == [10, 0]
    assert result.tasks.ready_s.tolist() == [0, 90]
    assert result.tasks.end_s.tolist() == [90, 115]
    assert result.makespan_s == 115
    assert result.leases.billed_s.tolist() == [115]
    assert result.cost_usd == pytest.approx(0.115)
    assert result.utilisation == pytest.approx((60 * 1 + 25 * 2) / (115 * 4))


@pytest.mark.parametrize(
    ("rules", "ends"),
    [({"storage_bandwidth": 6.25e7}, [100, 130]), ({"transfers": False}, [80, 100])],
)
def test_slow_storage_and_no_transfers(rules: dict[str, Any], ends: list[float]) -> None:
    result = simulate(one_lease(chain_with_files(**rules), [30, ends[0]], ends))
    assert result.tasks.end_s.tolist() == ends


def test_stated_durations_replace_the_formula() -> None:
    problem = chain_with_files(durations_s=np.array([[7.0], [8.0]]))
    result = simulate(one_lease(problem, [30, 37], [37, 45]))
    assert result.tasks.end_s.tolist() == [37, 45]
    assert result.tasks.compute_s.tolist() == [7, 8]
    assert result.tasks.fetch_s.tolist() == [0, 0]


def two_tasks(**second: Any) -> WorkflowBuilder:
    builder = WorkflowBuilder("two").add("a", runtime_s=100, vcpus=3)
    return builder.add("b", runtime_s=50, vcpus=2, **second)


def test_two_tasks_that_compete_for_a_lease() -> None:
    # Planned side by side, 3 + 2 vCPUs do not fit into 4: b waits for a, and the lease for b.
    result = simulate(one_lease(problem_of(two_tasks()), [30, 40], [130, 90]))
    assert result.tasks.start_s.tolist() == [30, 130]
    assert result.tasks.wait_capacity_s.tolist() == [0, 90]
    assert result.leases.released_s.tolist() == [180]
    assert result.cost_usd == pytest.approx(0.180)
    assert "1 tasks late by up to 90s" in repr(result)


@pytest.mark.parametrize("scarce", ["memory_bytes", "gpus"])
def test_memory_and_gpus_are_capacities(scarce: str) -> None:
    need = {"memory_bytes": 5 * 2**30} if scarce == "memory_bytes" else {"gpus": 1}
    builder = WorkflowBuilder("two")
    builder.add("a", runtime_s=100, **need).add("b", runtime_s=50, **need)  # type: ignore[arg-type]
    result = simulate(one_lease(problem_of(builder, machine(gpus=1)), [30, 30], [130, 80]))
    assert result.tasks.start_s.tolist() == [30, 130]


def test_a_child_planned_before_its_parent_waits_for_it() -> None:
    # On one lease, and b first in the plan: the order gives way to precedence, nothing hangs.
    plan = one_lease(problem_of(two_tasks(parents=["a"])), [90, 30], [190, 80])
    result = simulate(plan)
    assert result.tasks.start_s.tolist() == [90, 190]
    assert result.tasks.wait_parents_s.tolist() == [0, 160]
    assert result.leases.released_s.tolist() == [240]
    assert not result.reproduces(plan)
    assert result.differences(plan) == {
        "task_start_s": 160,
        "task_end_s": 160,
        "lease_start_s": 0,
        "lease_end_s": 50,
        "lease_cost_usd": pytest.approx(0.05),
        "makespan_s": 50,
        "cost_usd": pytest.approx(0.05),
    }


def test_a_child_on_another_lease_waits_for_its_parent() -> None:
    plan = plan_of(
        problem_of(two_tasks(parents=["a"])),
        lease_type=[0, 0],
        lease_start_s=[0, 70],
        lease_end_s=[130, 150],
        task_lease=[0, 1],
        task_start_s=[30, 100],
        task_end_s=[130, 150],
    )
    result = simulate(plan)
    assert result.tasks.start_s.tolist() == [30, 130]
    assert result.leases.released_s.tolist() == [130, 180]
    assert result.leases.cost_usd.tolist() == pytest.approx([0.130, 0.110])


def test_a_task_planned_during_boot_waits_for_its_lease() -> None:
    result = simulate(one_lease(problem_of(two_tasks()), [10, 110], [110, 160]))
    assert result.tasks.start_s.tolist() == [30, 130]
    assert result.tasks.wait_boot_s.tolist() == [20, 0]
    assert result.tasks.wait_capacity_s.tolist() == [0, 20]


def test_tasks_do_not_overtake_each_other_on_a_lease() -> None:
    # c would have room at 60, but b is planned before it and still waits for its parent.
    builder = two_tasks(parents=["a"]).add("c", runtime_s=5)
    plan = plan_of(
        problem_of(builder),
        lease_type=[0, 0],
        lease_start_s=[0, 0],
        lease_end_s=[130, 130],
        task_lease=[0, 1, 1],
        task_start_s=[30, 60, 50],
        task_end_s=[130, 65, 100],
    )
    assert plan.problem.workflow.ids.tolist() == ["a", "c", "b"]
    result = simulate(plan)
    assert result.tasks.start_s.tolist() == [30, 130, 130]
    assert result.tasks.wait_order_s.tolist() == [0, 70, 0]
    assert result.tasks.wait_parents_s.tolist() == [0, 0, 80]


def test_tasks_are_not_started_before_they_are_planned() -> None:
    plan = one_lease(problem_of(two_tasks()), [50, 200], [150, 250], lease_end_s=[300.0])
    result = simulate(plan)
    assert result.reproduces(plan)
    assert result.leases.released_s.tolist() == [300]


def test_tasks_of_no_duration_need_no_room_and_no_time() -> None:
    builder = WorkflowBuilder("empty").add("busy", runtime_s=100, vcpus=4)
    for i in range(3):
        builder.add(f"z{i}", runtime_s=0, vcpus=4, parents=[f"z{i - 1}"] if i else [])
    result = simulate(one_lease(problem_of(builder), [30, 30, 80, 80], [130, 30, 80, 80]))
    by_name = dict(zip(result.problem.workflow.ids.tolist(), result.tasks.end_s, strict=True))
    assert by_name == {"busy": 130, "z0": 30, "z1": 80, "z2": 80}


def test_a_lease_without_tasks_is_held_as_planned() -> None:
    problem = problem_of(WorkflowBuilder("one").add("a", runtime_s=100))
    plan = plan_of(
        problem,
        lease_type=[0, 0],
        lease_start_s=[0, 40],
        lease_end_s=[130, 55],
        task_lease=[0],
        task_start_s=[30],
        task_end_s=[130],
    )
    result = simulate(plan)
    assert result.reproduces(plan)
    assert result.leases.billed_s.tolist() == [130, 60]
    assert result.leases.tasks.tolist() == [1, 0]


def test_frames_have_a_row_each_and_the_totals() -> None:
    plan = right_plan(11, 15)
    result = simulate(plan)
    tasks, leases = result.to_frame(), result.leases_frame()
    assert tasks["task"].tolist() == plan.problem.workflow.ids.tolist()
    assert tasks["instance_type"].tolist() == plan.to_frame()["instance_type"].tolist()
    assert tasks["end_s"].max() == result.makespan_s
    assert leases["cost_usd"].sum() == pytest.approx(plan.cost_usd)
    np.testing.assert_allclose(leases["utilisation"], plan.leases_frame()["utilisation"])
    assert "every task on time" in repr(result)
    assert all(name in result._repr_html_() for name in leases["instance_type"])


def test_records_are_read_only_and_leave_the_plan_as_it_was() -> None:
    plan = one_lease(problem_of(two_tasks()), [30, 130], [130, 180])
    result = simulate(plan)
    with pytest.raises(ValueError, match="read-only"):
        result.tasks.lease[0] = 1
    assert plan.task_lease.flags.writeable


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, simulator; print(sorted({'numpy', 'simpy', 'pandas'} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
    import simulator

    assert set(dir(simulator)) == set(simulator.__all__)
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        _ = simulator.simulat


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task_start_s": np.zeros(3)}, "for each of its 2 tasks, got 2, 3, 2"),
        ({"lease_end_s": np.zeros(2)}, "one type, start and end for each lease, got 1, 1, 2"),
        ({"task_lease": np.array([0, 1])}, "task number 1: expected the number of one of the 1"),
        ({"lease_type": np.array([-1])}, "lease number 0: expected the number of one of the 2"),
        ({"task_start_s": np.array([30, np.nan])}, "start of task number 1: expected a finite"),
        ({"lease_start_s": np.array([-np.inf])}, "start of lease number 0: expected a finite"),
        ({"lease_end_s": np.array([np.inf])}, "end of lease number 0: expected a finite"),
        ({"lease_type": np.array([1])}, "task 'a' could never start on lease 0: it does not fit"),
    ],
)
def test_a_plan_that_cannot_be_played_is_refused(changes: dict[str, Any], message: str) -> None:
    problem = problem_of(two_tasks(), machine(), machine(name="tiny", vcpus=1))
    plan = one_lease(problem, [30, 130], [130, 180])
    with pytest.raises(InputError, match=message):
        simulate(plan.replace(**changes))


def test_a_task_without_a_finite_duration_is_refused() -> None:
    types = (machine(), machine(name="n", price_usd_per_hour=1.0))
    stated = np.array([[5.0, np.inf], [5.0, 5.0]])
    problem = problem_of(two_tasks(), *types, durations_s=stated)
    plan = one_lease(problem, [30, 130], [130, 180], lease_type=[1])
    with pytest.raises(InputError, match="could never start"):
        simulate(plan)


def test_differences_need_the_plan_that_was_simulated() -> None:
    result = simulate(right_plan(1, 5))
    with pytest.raises(InputError, match="expected the plan that was simulated, with 5 tasks"):
        result.differences(right_plan(1, 6))
