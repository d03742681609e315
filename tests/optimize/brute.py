"""All plans of tiny problems: every assignment of tasks to typed leases, in every order."""

from __future__ import annotations

from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np

from autoscale.model.billing import Billing
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.plan.decode import decode

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan


def tiny_problem(seed: int, n_tasks: int = 3) -> Problem:
    """Return a problem of few tasks of one or two vCPUs, and two types."""
    rng = np.random.default_rng(seed)
    parent, child = np.triu_indices(n_tasks, 1)
    kept = rng.random(parent.size) < rng.uniform(0.1, 0.7)
    workflow = Workflow.from_columns(
        name="tiny",
        ids=[f"t{i}" for i in range(n_tasks)],
        runtime_s=np.round(rng.uniform(5, 300, n_tasks), 1),
        edges=(parent[kept], child[kept]),
        vcpus=rng.integers(1, 3, n_tasks),
    )
    types = [
        InstanceType(
            name=name, vcpus=2, memory_gib=8.0, price_usd_per_hour=price, speed=s, region="here"
        )
        for name, price, s in (("slow", 0.1, 1.0), ("fast", float(rng.uniform(0.15, 0.5)), 1.7))
    ]
    return Problem(
        workflow=workflow,
        catalog=Catalog(tuple(types), name="two types"),
        boot_s=float(rng.choice([0.0, 20.0, 90.0])),
        billing=Billing(
            quantum_s=float(rng.choice([1.0, 600.0])), minimum_s=float(rng.choice([0.0, 60.0]))
        ),
    )


def all_plans(problem: Problem) -> list[Plan]:
    """Return semi-active plans that hold an optimal one for makespan and none that is wrong."""
    n, kinds = len(problem.workflow), len(problem.catalog)
    plans = []
    for order in permutations(range(n)):
        place = np.argsort(order)
        parents = [problem.workflow.parents_of(i) for i in range(n)]
        if any(place[p] > place[i] for i in range(n) for p in parents[i]):
            continue
        for lease in product(range(n), repeat=n):
            if lease[0] != 0 or any(lease[i] > max(lease[:i]) + 1 for i in range(1, n)):
                continue  # leases numbered by first use: no plan twice
            for types in product(range(kinds), repeat=max(lease) + 1):
                plans.append(decode(problem, types, lease, order))  # noqa: PERF401
    return plans
