"""Streams and clusters for tests of policies."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow, WorkflowBuilder
from autoscale.policies.protocol import Job, JobView
from tests.simulator.clouds import random_problem


def kind(name: str, price: float, speed: float = 1.0, **shape: Any) -> InstanceType:
    """Return a type with one vCPU unless told otherwise."""
    shape = {"vcpus": 1, "memory_gib": 64.0, **shape}
    return InstanceType(name=name, price_usd_per_hour=price, speed=speed, **shape)


SLOW_AND_FAST = Catalog((kind("slow", 1.0), kind("fast", 4.0, speed=2.0)))
"""The fast type costs twice as much for the same work."""


def dag(edges: dict[str, list[str]], minutes: dict[str, float], **needs: Any) -> Workflow:
    """Return a workflow from each task's parents and runtimes in minutes."""
    builder = WorkflowBuilder("dag")
    for name, runtime in minutes.items():
        builder.add(name, runtime_s=60.0 * runtime, parents=edges.get(name, []), **needs)
    return builder.build()


def chain(*minutes: float) -> Workflow:
    """Return tasks one after another."""
    names = [f"t{i}" for i in range(len(minutes))]
    edges = {b: [a] for a, b in pairwise(names)}
    return dag(edges, dict(zip(names, minutes, strict=True)))


def view_of(job: Job, number: int = 0, first: int = 0) -> JobView:
    """Return a job as it is seen when it has just arrived."""
    n = len(job.problem.workflow)
    status = np.zeros(n, dtype=np.int8)
    status[np.diff(job.problem.workflow.parent_ptr) == 0] = 1
    return JobView(
        job=job,
        number=number,
        first=first,
        status=status,
        lease=np.full(n, -1, dtype=np.int32),
        start_s=np.full(n, np.nan),
        end_s=np.full(n, np.nan),
    )


def rough_stream(seed: int, *, n_jobs: int = 4, tightness: float | None = None) -> list[Job]:
    """Return random jobs: files, memory, GPUs, empty tasks; some types do not fit some tasks."""
    rng = np.random.default_rng(seed)
    base = random_problem(seed, 3)
    jobs = []
    for number in range(n_jobs):
        workflow = random_problem(seed + 100 * number, int(rng.integers(1, 9))).workflow
        problem = base.replace(workflow=workflow, durations_s=None)
        stretch = float(rng.uniform(0.8, 4.0)) if tightness is None else tightness
        problem = problem.replace(deadline_s=stretch * problem.least_makespan_s + 1.0)
        weight = float(2.0 ** -rng.integers(0, 3))
        jobs.append(Job(problem=problem, arrival_s=float(rng.integers(0, 3000)), priority=weight))
    return jobs


def poisson_stream(
    seed: int, *, per_hour: float = 8, hours: float = 2, hourly: bool = True
) -> list[Job]:
    """Return small fork-joins and chains that arrive at random, on a catalogue of four types."""
    catalog = Catalog(
        (
            kind("small", 0.085),
            kind("medium", 0.17, speed=2.5, vcpus=2, memory_gib=1.7),
            kind("large", 0.34, speed=2.0, vcpus=2, memory_gib=7.5),
            kind("xlarge", 0.68, speed=2.5, vcpus=8, memory_gib=7.0),
        )
    )
    rng = np.random.default_rng(seed)
    jobs, now_s = [], float(rng.exponential(3600 / per_hour))
    while now_s < hours * 3600:
        minutes = rng.uniform(5, 25, 6)
        workflow = chain(*minutes) if rng.random() < 0.5 else fork_join(minutes)
        problem = Problem(
            workflow=workflow, catalog=catalog, billing=HOURLY if hourly else PER_SECOND
        )
        stretch = float(rng.uniform(3, 6))
        problem = problem.replace(deadline_s=stretch * problem.least_makespan_s)
        weight = float(rng.integers(1, 4))
        jobs.append(Job(problem=problem, arrival_s=now_s, priority=weight))
        now_s += float(rng.exponential(3600 / per_hour))
    return jobs


def fork_join(minutes: Any) -> Workflow:
    """Return a task, all but two in parallel, and a task."""
    names = [f"t{i}" for i in range(len(minutes))]
    edges = {name: [names[0]] for name in names[1:-1]}
    edges[names[-1]] = names[1:-1]
    return dag(edges, dict(zip(names, map(float, minutes), strict=True)))
