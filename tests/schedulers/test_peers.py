"""HEFT and CPOP against the code of others: ``anrg-saga``, where it is installed.

Compared on what both model alike: a fixed set of machines that run one task at a time, at speeds
that all differ, nothing billed, no data. Run times are changed by up to 0.1 % at random, so that
no two finishes are equal: saga keeps machines in a set, and ties go by hash there.
"""

from __future__ import annotations

import importlib
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.api import read_workflow
from autoscale.model.billing import Billing
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from autoscale.schedulers.cpop_scheduler import cpop_plan
from autoscale.schedulers.heft_scheduler import heft_plan
from tests.problems import random_workflow

if TYPE_CHECKING:
    from pathlib import Path

    from autoscale.model.workflow import Workflow

saga = pytest.importorskip("saga", reason="anrg-saga is not installed")

SPEEDS = (1.0, 1.37, 2.11, 0.83)

FILES = (
    "dax/Montage_25.xml",
    "dax/CyberShake_30.xml",
    "dax/Epigenomics_24.xml",
    "dax/Inspiral_30.xml",
    "dax/Sipht_30.xml",
    "workflows/wfformat-1.5/blast-chameleon-small-001.json.gz",
)


def machines(workflow: Workflow, seed: int) -> Problem:
    """Return the workflow on four machines without boot and data, its run times made unlike."""
    rng = np.random.default_rng(seed)
    work = np.maximum(workflow.runtime_s, 0.01) * rng.uniform(1.0, 1.001, len(workflow))
    builder = WorkflowBuilder(workflow.name)
    for i in range(len(workflow)):  # topological: every task keeps its number
        builder.add(f"t{i:04}", runtime_s=1.0, parents=[f"t{p:04}" for p in workflow.parents_of(i)])
    types = tuple(
        InstanceType(name=f"m{k}", vcpus=1, memory_gib=1.0, price_usd_per_hour=1.0)
        for k in range(len(SPEEDS))
    )
    return Problem(
        workflow=builder.build(),
        catalog=Catalog(types),
        boot_s=0.0,
        billing=Billing(quantum_s=1.0, minimum_s=0.0),
        transfers=False,
        durations_s=work[:, None] / np.array(SPEEDS),
    )


def theirs(problem: Problem, scheduler: Any) -> float:
    """Return the makespan of saga's schedule."""
    w = problem.workflow
    seconds = problem.duration_s[problem.task_class, 0]
    names = [f"t{i}" for i in range(len(w))]
    edges = [(names[p], names[i]) for i in range(len(w)) for p in w.parents_of(i)]
    graph = saga.TaskGraph.create(zip(names, seconds.tolist(), strict=True), edges)
    names = [f"m{k}" for k in range(len(SPEEDS))]
    links = [(a, b, 1.0) for a, b in combinations(names, 2)]
    network = saga.Network.create(zip(names, SPEEDS, strict=True), links)
    return float(scheduler.schedule(network, graph).makespan)


def right_downward_rank(network: Any, graph: Any) -> dict[str, float]:
    """Return the paper's downward rank: a parent's rank and its own mean run time."""
    rank: dict[str, float] = {}
    for task in graph.topological_sort():
        rank[task.name] = max(
            (
                rank[edge.source]
                + float(
                    np.mean([graph.get_task(edge.source).cost / m.speed for m in network.nodes])
                )
                for edge in graph.in_edges(task.name)
            ),
            default=0.0,
        )
    return rank


def on_all(problem: Problem, plan: Any) -> float:
    """Return the makespan of HEFT or CPOP with every machine once."""
    return float(plan(problem, np.arange(len(SPEEDS))).makespan_s)


@pytest.mark.parametrize("seed", range(8))
def test_heft_ends_when_sagas_does_on_random_workflows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = machines(random_workflow(rng, 25, edge_chance=0.15), seed)
    scheduler = importlib.import_module("saga.schedulers.heft").HeftScheduler()
    assert on_all(problem, heft_plan) == pytest.approx(theirs(problem, scheduler), rel=1e-9)


@pytest.mark.parametrize("name", FILES)
def test_heft_ends_when_sagas_does_on_reference_workflows(shared: Path, name: str) -> None:
    problem = machines(read_workflow(shared / "data" / name), 1)
    scheduler = importlib.import_module("saga.schedulers.heft").HeftScheduler()
    assert on_all(problem, heft_plan) == pytest.approx(theirs(problem, scheduler), rel=1e-9)


@pytest.mark.parametrize("name", FILES)
def test_cpop_ends_when_sagas_does_once_its_rank_is_the_papers(
    shared: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saga adds the task's own time, over mean speed, where the paper adds the parent's mean."""
    module = importlib.import_module("saga.schedulers.cpop")
    module.cpop_ranks.cache_clear()
    monkeypatch.setattr(module, "downward_rank", right_downward_rank)
    problem = machines(read_workflow(shared / "data" / name), 1)
    assert on_all(problem, cpop_plan) == pytest.approx(
        theirs(problem, module.CpopScheduler()), rel=1e-9
    )
