"""The papers' model: one task a machine, no boot, machines paid for the time that tasks take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.model.billing import Billing
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray

RATES = (1.0, 1.7, 3.1, 4.5)
"""USD per second of the types."""


def paid_by_use(seed: int, n_tasks: int = 7, n_types: int = 3) -> Problem:
    """Return a random problem in whole seconds whose plans cost what their tasks cost."""
    rng = np.random.default_rng(seed)
    parent, child = np.triu_indices(n_tasks, 1)
    kept = rng.random(parent.size) < rng.uniform(0.1, 0.6)
    workflow = Workflow.from_columns(
        name="paid by use",
        ids=[f"t{i}" for i in range(n_tasks)],
        runtime_s=np.ones(n_tasks),
        edges=(parent[kept], child[kept]),
    )
    types = tuple(
        InstanceType(name=f"k{k}", vcpus=1, memory_gib=1.0, price_usd_per_hour=3600 * rate)
        for k, rate in enumerate(RATES[:n_types])
    )
    # Dearer machines tend to be quicker, not always.
    seconds = rng.integers(20, 100, (n_tasks, 1)) / np.arange(1, n_types + 1) ** 0.9
    durations = np.maximum(1.0, np.round(seconds * rng.uniform(0.7, 1.3, seconds.shape)))
    return Problem(
        workflow=workflow,
        catalog=Catalog(types),
        boot_s=0.0,
        billing=Billing(quantum_s=1.0, minimum_s=0.0),
        durations_s=durations,
    )


def costs_usd(problem: Problem) -> FloatArray:
    """Return what each task costs on each type, shape (tasks, types)."""
    assert problem.durations_s is not None
    return problem.durations_s * problem.catalog.price_per_s


def unbeaten(problem: Problem, task: int) -> list[int]:
    """Return the types that no other beats in time and cost for a task, quickest first."""
    assert problem.durations_s is not None
    seconds, usd = problem.durations_s[task], costs_usd(problem)[task]
    kept = [
        k
        for k in range(len(seconds))
        if not any(
            (seconds[j] <= seconds[k] and usd[j] <= usd[k] + 1e-9)
            and (seconds[j] < seconds[k] or usd[j] < usd[k] - 1e-9 or j < k)
            for j in range(len(seconds))
            if j != k
        )
    ]
    return sorted(kept, key=lambda k: seconds[k])


def longest_path(problem: Problem, seconds: list[float]) -> float:
    """Return the length of the longest chain of tasks that take so long."""
    ends: list[float] = []
    for i in range(len(problem.workflow)):
        ready = max((ends[p] for p in problem.workflow.parents_of(i).tolist()), default=0.0)
        ends.append(ready + seconds[i])
    return max(ends)
