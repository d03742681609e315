"""Tiny random problems in whole seconds and cents, and random right plans for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.model.billing import HOURLY, PER_SECOND, Billing
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import FileTable, Workflow, string_array
from autoscale.plan.decode import decode, tighten
from autoscale.units import GIB

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan

BILLINGS = (
    PER_SECOND,
    HOURLY,
    Billing(quantum_s=60.0, minimum_s=600.0),
    Billing(quantum_s=300.0, minimum_s=0.0),
    Billing(quantum_s=1.0, minimum_s=0.0),
    Billing(quantum_s=3600.0, minimum_s=60.0),
)
"""Rules of billing: today's, yesterday's, and odd ones."""

SLACKS = (1.0, 1.0, 1.05, 1.2, 1.5, 2.0, 4.0, 20.0)
"""Deadlines in critical paths after boot, from no slack at all to plenty."""


def tiny_catalog(rng: np.random.Generator, n_types: int) -> Catalog:
    """Return types whose speeds and links keep durations whole; the first fits every task."""
    types = []
    for k in range(n_types):
        vcpus = 4 if k == 0 else int(rng.choice([1, 1, 2, 2, 3, 4, 8]))
        price = vcpus * rng.uniform(4, 12) if rng.random() < 0.7 else rng.uniform(3, 60)
        types.append(
            InstanceType(
                name=f"k{k}",
                vcpus=vcpus,
                memory_gib=8.0 if k == 0 else float(rng.choice([1, 2, 4, 8, 16])),
                gpus=2 if k == 0 else int(rng.choice([0, 0, 0, 1, 2])),
                price_usd_per_hour=max(1, round(price)) / 100,
                speed=float(rng.choice([1.0, 1.0, 2.0, 0.5])),
                network_gbps=8.0 if rng.random() < 0.5 else None,
            )
        )
    return Catalog(tuple(types), name="tiny")


def tiny_workflow(rng: np.random.Generator, n_tasks: int, longest_s: int) -> Workflow:
    """Return a random DAG of tasks that fit the first type of :func:`tiny_catalog`."""
    parent, child = np.triu_indices(n_tasks, 1)
    kept = rng.random(parent.size) < rng.choice([0.0, 0.3, 0.6, 1.0])
    runtime = 2 * rng.integers(1, longest_s // 2 + 1, n_tasks)
    if rng.random() < 0.3:  # alike, as the tasks of a stage are
        runtime[:] = runtime[0]
    runtime[rng.random(n_tasks) < 0.12] = 0
    gb = 12 * rng.integers(0, 3, n_tasks) * (rng.random() < 0.3)
    everyone = np.arange(n_tasks)
    return Workflow.from_columns(
        name="tiny",
        ids=[f"t{i}" for i in range(n_tasks)],
        runtime_s=runtime,
        edges=(parent[kept], child[kept]),
        vcpus=rng.integers(1, 5, n_tasks) if rng.random() < 0.5 else 1,
        memory_bytes=rng.integers(0, 5, n_tasks) * 2 * GIB * (rng.random() < 0.5),
        gpus=rng.integers(0, 3, n_tasks) * (rng.random() < 0.2),
        files=FileTable.from_uses(
            string_array(f"f{i}" for i in range(n_tasks)),
            gb * 10**9,
            (everyone, everyone),
            (everyone[:0], everyone[:0]),
            n_tasks,
        ),
    )


def tiny_problem(seed: int, n_tasks: int | None = None, slack: float | None = None) -> Problem:
    """Return a problem of up to five tasks (or as many as asked) with a whole-second deadline."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6)) if n_tasks is None else n_tasks
    problem = Problem(
        workflow=tiny_workflow(rng, n, int(rng.choice([6, 40, 400, 3000]))),
        catalog=tiny_catalog(rng, int(rng.integers(1, 4))),
        boot_s=float(rng.choice([0, 30, 90])),
        billing=BILLINGS[rng.integers(len(BILLINGS))],
    )
    factor = float(rng.choice(SLACKS)) if slack is None else slack
    path = problem.least_makespan_s - problem.boot_s
    return problem.replace(deadline_s=max(1.0, problem.boot_s + np.floor(factor * path)))


def random_plan(problem: Problem, rng: np.random.Generator) -> Plan | None:
    """Return a plan of random decisions that meets the deadline, or None when it misses it."""
    n = len(problem.workflow)
    n_leases = int(rng.integers(1, n + 1))
    lease_type = rng.integers(0, len(problem.catalog), n_leases)
    lease_type = np.append(lease_type, problem.fits.sum(axis=0).argmax())
    fits = problem.fits[problem.task_class][:, lease_type]
    if not fits.any(axis=1).all():
        return None
    task_lease = np.argmax(fits * rng.random(fits.shape), axis=1)
    key = np.round(rng.uniform(0, 10, n))
    for i in range(n):  # a topological order: no task before its parents
        key[i] = max([key[i], *key[problem.workflow.parents_of(i)]])
    plan = decode(problem, lease_type, task_lease, np.lexsort((np.arange(n), key)))
    if problem.deadline_s is not None and plan.makespan_s > problem.deadline_s:
        return None
    return tighten(plan)
