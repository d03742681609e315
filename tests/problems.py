"""Random small problems for property tests."""

from __future__ import annotations

import numpy as np

from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.units import GIB


def random_workflow(
    rng: np.random.Generator, n_tasks: int, *, edge_chance: float = 0.3
) -> Workflow:
    """Return a random DAG with 1-4 vCPU tasks, memory and some files' worth of nothing."""
    parent, child = np.triu_indices(n_tasks, 1)
    kept = rng.random(parent.size) < edge_chance
    return Workflow.from_columns(
        name="random",
        ids=[f"t{i}" for i in range(n_tasks)],
        runtime_s=np.round(rng.uniform(0, 300, n_tasks), 2),
        edges=(parent[kept], child[kept]),
        vcpus=rng.integers(1, 4, n_tasks),
        memory_bytes=rng.integers(0, 6 * GIB, n_tasks),
    )


def small_catalog() -> Catalog:
    """Return five types of two families, one faster than the other."""
    rows = [
        ("a.small", 2, 4.0, 0.08, 1.0),
        ("a.big", 8, 16.0, 0.32, 1.0),
        ("b.tiny", 4, 8.0, 0.25, 1.6),
        ("b.mem", 4, 64.0, 0.40, 1.6),
        ("c.huge", 16, 32.0, 0.66, 1.1),
    ]
    return Catalog(
        tuple(
            InstanceType(
                name=name, vcpus=v, memory_gib=m, price_usd_per_hour=p, speed=s, region="here"
            )
            for name, v, m, p, s in rows
        ),
        name="small catalogue",
    )


def random_problem(seed: int, n_tasks: int = 12, slack: float | None = None) -> Problem:
    """Return a random problem whose deadline is ``slack`` times the critical path after boot."""
    rng = np.random.default_rng(seed)
    problem = Problem(
        workflow=random_workflow(rng, n_tasks, edge_chance=float(rng.uniform(0.05, 0.5))),
        catalog=small_catalog(),
        boot_s=float(rng.choice([0.0, 30.0, 90.0])),
        billing=PER_SECOND if rng.random() < 0.5 else HOURLY,
    )
    factor = float(rng.uniform(1.01, 4.0)) if slack is None else slack
    path = problem.least_makespan_s - problem.boot_s
    return problem.replace(deadline_s=problem.boot_s + factor * path + 1.0)
