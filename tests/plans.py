"""Plans for tests: one worked by hand, and random ones with files and held-back tasks."""

from __future__ import annotations

import numpy as np

from autoscale.model.billing import HOURLY
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from autoscale.optimize.planner import solve
from autoscale.plan.plan import Plan
from tests.problems import random_problem


def hand_worked_plan() -> Plan:
    """Return a chain of two tasks on one lease with every kind of cost.

    The type has 2 vCPUs of speed 2, $0.001 a second, and a link of 1e9 B/s, of which a task of
    one vCPU gets half. Task ``first`` computes 200 s and stores its file in 100 s; ``second``
    fetches it in 100 s and computes 100 s. After 100 s of boot they run at [100, 400] and, held
    back, at [600, 800]; the hour is charged.
    """
    builder = WorkflowBuilder("chain").add("first", runtime_s=400, outputs={"f": 50e9})
    builder.add("second", runtime_s=200, parents=["first"], inputs={"f": 50e9})
    machine = InstanceType(
        name="duo", vcpus=2, memory_gib=8, price_usd_per_hour=3.6, speed=2.0, network_gbps=8.0
    )
    return Plan(
        problem=Problem(
            workflow=builder.build(),
            catalog=Catalog((machine,)),
            deadline_s=1000.0,
            boot_s=100.0,
            billing=HOURLY,
        ),
        lease_type=np.array([0], np.int32),
        lease_start_s=np.array([0.0]),
        lease_end_s=np.array([800.0]),
        task_lease=np.array([0, 0], np.int32),
        task_start_s=np.array([100.0, 600.0]),
        task_end_s=np.array([400.0, 800.0]),
    )


def random_plan(seed: int, n_tasks: int = 14, planner: str = "list") -> Plan:
    """Return a plan of a random problem with files; from a random moment on all may be later."""
    rng = np.random.default_rng(seed)
    plain = random_problem(seed, n_tasks)
    w = plain.workflow
    builder = WorkflowBuilder("random with files")
    for i in range(n_tasks):
        parents = w.parents_of(i).tolist()
        builder.add(
            str(w.ids[i]),
            runtime_s=float(w.runtime_s[i]),
            parents=[str(w.ids[p]) for p in parents],
            category=f"c{i % 3}",
            vcpus=int(w.vcpus[i]),
            memory_bytes=float(w.memory_bytes[i]),
            inputs={f"f{p}": float(p) * 1e8 for p in parents},
            outputs={f"f{i}": i * 1e8},
        )
    problem = plain.replace(workflow=builder.build(), storage_bandwidth=1e8, deadline_s=None)
    factor = float(rng.uniform(1.05, 3.0))
    plan = solve(problem.replace(deadline_s=factor * problem.least_makespan_s), planner=planner)
    return delayed(plan, float(rng.uniform(0.0, plan.makespan_s)), 40.0 * float(rng.integers(0, 2)))


def delayed(plan: Plan, from_s: float, by_s: float) -> Plan:
    """Return the plan with every task that starts from a moment on started later."""
    shift = np.where(plan.task_start_s >= from_s, by_s, 0.0)
    end = plan.task_end_s + shift
    lease_end = plan.lease_end_s.copy()
    np.maximum.at(lease_end, plan.task_lease, end)
    return plan.replace(
        problem=plan.problem.replace(deadline_s=(plan.problem.deadline_s or 0.0) + by_s),
        task_start_s=plan.task_start_s + shift,
        task_end_s=end,
        lease_end_s=lease_end,
        certificate=None,
    )
