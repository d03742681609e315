"""Random problems with files, GPUs and empty tasks; right plans for them, and wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import FileTable, Workflow, string_array
from autoscale.plan.decode import decode
from autoscale.plan.plan import Plan
from autoscale.units import GIB

ROWS = [
    # name, vCPUs, GiB, $/h, speed, Gbit/s, GPUs
    ("one", 1, 2.0, 0.05, 1.0, 1.0, 0),
    ("four", 4, 15.5, 0.20, 1.3, None, 0),
    ("wide", 16, 32.0, 0.66, 0.9, 10.0, 0),
    ("gpu", 8, 61.0, 3.06, 1.1, 5.0, 2),
]


def catalog() -> Catalog:
    """Return four types that differ in every capacity, in speed and in bandwidth."""
    return Catalog(
        tuple(
            InstanceType(
                name=name,
                vcpus=vcpus,
                memory_gib=memory,
                price_usd_per_hour=price,
                speed=speed,
                network_gbps=network,
                gpus=gpus,
            )
            for name, vcpus, memory, price, speed, network, gpus in ROWS
        )
    )


def random_problem(seed: int, n_tasks: int) -> Problem:
    """Return a random problem with transfers, or one that states its durations outright."""
    rng = np.random.default_rng(seed)
    parent, child = np.triu_indices(n_tasks, 1)
    kept = rng.random(parent.size) < rng.uniform(0.0, 0.4)
    n_files = 2 * n_tasks
    uses = [
        (rng.integers(0, n_tasks, n_files), rng.integers(0, n_files, n_files)) for _ in range(2)
    ]
    workflow = Workflow.from_columns(
        name="random",
        ids=[f"t{i}" for i in range(n_tasks)],
        # A third lasts no time, and whole seconds make many events fall together.
        runtime_s=np.where(rng.random(n_tasks) < 0.3, 0, rng.integers(0, 200, n_tasks)),
        edges=(parent[kept], child[kept]),
        vcpus=rng.integers(1, 5, n_tasks) if rng.random() < 0.5 else 1,
        memory_bytes=rng.integers(0, 2 * GIB, n_tasks),
        gpus=rng.integers(0, 3, n_tasks) * (rng.random(n_tasks) < 0.2),
        files=FileTable.from_uses(
            string_array(f"f{i}" for i in range(n_files)),
            rng.integers(0, 10**10, n_files) * (rng.random() < 0.7),
            uses[0],
            uses[1],
            n_tasks,
        ),
    )
    stated = rng.integers(0, 100, (n_tasks, len(ROWS))).astype(float)
    return Problem(
        workflow=workflow,
        catalog=catalog(),
        boot_s=float(rng.choice([0.0, 45.5, 90.0])),
        billing=PER_SECOND if rng.random() < 0.5 else HOURLY,
        transfers=bool(rng.random() < 0.8),
        storage_bandwidth=float(rng.choice([np.inf, 2e8])),
        durations_s=stated if rng.random() < 0.2 else None,
    )


def random_leases(problem: Problem, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return types of leases, and for each task a random lease that it fits."""
    extra = rng.integers(0, len(ROWS), int(rng.integers(0, 4)))
    lease_type = rng.permutation(np.append(extra, [2, 3]))  # the two that fit everything
    fits = problem.fits[problem.task_class][:, lease_type]
    task_lease = np.argmax(fits * rng.random(fits.shape), axis=1)
    return lease_type.astype(np.int32), task_lease.astype(np.int32)


def right_plan(seed: int, n_tasks: int) -> Plan:
    """Return a feasible plan of random leases."""
    problem = random_problem(seed, n_tasks)
    lease_type, task_lease = random_leases(problem, np.random.default_rng(seed + 1))
    return decode(problem, lease_type, task_lease, np.arange(n_tasks))


def wrong_plan(seed: int, n_tasks: int) -> Plan:
    """Return a plan whose times mean nothing: random starts and releases."""
    problem = random_problem(seed, n_tasks)
    rng = np.random.default_rng(seed + 1)
    lease_type, task_lease = random_leases(problem, rng)
    start = rng.integers(-20, 300, n_tasks).astype(float)
    requested = rng.integers(-20, 200, lease_type.size).astype(float)
    return plan_of(
        problem,
        lease_type=lease_type,
        lease_start_s=requested,
        lease_end_s=requested + rng.integers(-50, 400, lease_type.size),
        task_lease=task_lease,
        task_start_s=start,
        task_end_s=start + rng.integers(0, 100, n_tasks),
    )


def plan_of(problem: Problem, **columns: Any) -> Plan:
    """Return a plan from lists."""
    numbers = ("lease_type", "task_lease")
    return Plan(
        problem=problem,
        **{
            name: np.asarray(values, dtype=np.int32 if name in numbers else np.float64)
            for name, values in columns.items()
        },
    )
