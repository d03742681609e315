"""Applications of a stream: the three shapes of Mao and Humphrey (SC'11), and every family.

A *pipeline* is a chain, a *parallel* application a fork and a join, a *hybrid* one a pipeline
whose middle is parallel. Every stage is a category of its own, as every service unit of the paper
is. Runtimes are gamma distributed with the mean and coefficient of variation asked for; the paper's
own figures are not public.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError, unknown
from autoscale.model.arrays import frozen
from autoscale.model.workflow import FileTable, Workflow
from autoscale.units import GIB
from autoscale.workloads.assembly import LEAST_RUNTIME_S, GammaSpread
from autoscale.workloads.families import FAMILIES, generate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autoscale.model.arrays import IntArray

Shape = tuple["IntArray", "IntArray", "IntArray"]
"""Stage of each task, and parent and child of each edge."""


def pipeline(n_tasks: int) -> Shape:
    """Return a chain: every task is a stage.

    Examples
    --------
    >>> [part.tolist() for part in pipeline(3)]
    [[0, 1, 2], [0, 1], [1, 2]]
    """
    step = np.arange(n_tasks)
    return step, step[:-1], step[1:]


def parallel(n_tasks: int) -> Shape:
    """Return a fork, parallel tasks and a join; from three tasks on.

    Examples
    --------
    >>> [part.tolist() for part in parallel(4)]
    [[0, 1, 1, 2], [0, 0, 1, 2], [1, 2, 3, 3]]
    """
    return _forked(n_tasks, 1, 1)


def hybrid(n_tasks: int) -> Shape:
    """Return a pipeline whose middle half is parallel; from three tasks on.

    Examples
    --------
    >>> [part.tolist() for part in hybrid(8)]
    [[0, 1, 2, 2, 2, 2, 3, 4], [0, 1, 1, 1, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 6, 6, 6, 7]]
    """
    end = max(1, n_tasks // 4)
    return _forked(n_tasks, end, end)


def _forked(n_tasks: int, before: int, after: int) -> Shape:
    """Return chains of some tasks before and after, and all others side by side between them."""
    width = n_tasks - before - after
    middle = before + np.arange(width)
    last = before + width + np.arange(after)
    stage = np.concatenate([np.arange(before), np.full(width, before), before + 1 + last - last[0]])
    fork, join = np.full(width, before - 1), np.full(width, last[0])
    parent = np.concatenate([np.arange(before - 1), fork, middle, last[:-1]])
    child = np.concatenate([np.arange(1, before), middle, join, last[1:]])
    return stage, parent, child


APPLICATIONS: Mapping[str, tuple[Callable[[int], Shape], int]] = MappingProxyType(
    {"pipeline": (pipeline, 1), "parallel": (parallel, 3), "hybrid": (hybrid, 3)}
)
"""The shapes by name, with the least number of tasks of each."""

KNOWN = (*APPLICATIONS, *FAMILIES)
"""Every name that :func:`application` takes."""


def application(
    name: str,
    n_tasks: int,
    rng: np.random.Generator,
    *,
    runtime_mean_s: float | None = None,
    runtime_cv: float | None = None,
    vcpus: int = 1,
    memory_gib: float = 0.0,
) -> Workflow:
    """Return a workflow of an application.

    Parameters
    ----------
    name
        ``pipeline``, ``parallel``, ``hybrid``, or a family of ``autoscale generate``.
    n_tasks
        Number of tasks; families with a structure of their own have about as many.
    rng
        Source of randomness.
    runtime_mean_s, runtime_cv
        Mean of the tasks' runtimes in seconds, 0.001 to 1e9, and their coefficient of variation,
        0 to 10; 300 and 0.5 if None. Families with published runtimes take neither.
    vcpus
        vCPUs that every task holds, >= 1.
    memory_gib
        GiB of memory that every task holds, >= 0; 0 leaves it as the family has it.

    Raises
    ------
    InputError
        Unknown name, or an option outside its range or that the family does not take.

    Examples
    --------
    >>> application("parallel", 6, np.random.default_rng(0))
    Workflow('parallel-6': 6 tasks, 8 edges, 3 levels, 1,765 s of work)
    """
    if name not in KNOWN:
        raise InputError(unknown("application", name, KNOWN))
    given = {"runtime_mean_s": runtime_mean_s, "runtime_cv": runtime_cv}
    options = {key: value for key, value in given.items() if value is not None}
    if name in FAMILIES:
        return _held(generate(name, n_tasks, seed=rng, **options), vcpus, memory_gib)
    return _held(_shaped(name, n_tasks, rng, **options), vcpus, memory_gib)


def _shaped(
    name: str,
    n_tasks: int,
    rng: np.random.Generator,
    runtime_mean_s: float = 300.0,
    runtime_cv: float = 0.5,
) -> Workflow:
    shape, least = APPLICATIONS[name]
    if not (isinstance(n_tasks, int) and n_tasks >= least):
        raise InputError(f"tasks: expected a whole number >= {least} for {name}, got {n_tasks!r}")
    for option, value, low, high in (
        ("runtime_mean_s", runtime_mean_s, LEAST_RUNTIME_S, 1e9),
        ("runtime_cv", runtime_cv, 0.0, 10.0),
    ):
        if not low <= value <= high:
            raise InputError(f"{option}: expected a number from {low:g} to {high:g}, got {value!r}")
    stage, parent, child = shape(n_tasks)
    runtime = GammaSpread(runtime_mean_s, runtime_cv * runtime_mean_s).draw(rng, n_tasks)
    return Workflow.from_columns(
        name=f"{name}-{n_tasks}",
        ids=[f"task_{i + 1:04d}" for i in range(n_tasks)],
        runtime_s=np.maximum(np.round(runtime, 3), LEAST_RUNTIME_S),
        edges=(parent, child),
        category=([f"stage_{k + 1}" for k in range(int(stage[-1]) + 1)], stage),
        files=FileTable.empty(n_tasks),
        where=f"application {name!r}",
    )


def _held(workflow: Workflow, vcpus: int, memory_gib: float) -> Workflow:
    """Return the workflow with as much that a task holds."""
    if not (isinstance(vcpus, int) and vcpus >= 1):
        raise InputError(f"vcpus: expected a whole number >= 1, got {vcpus!r}")
    if not 0 <= memory_gib < math.inf:
        raise InputError(f"memory_gib: expected GiB >= 0, got {memory_gib!r}")
    changes: dict[str, Any] = {}
    n = len(workflow)
    if vcpus > 1:
        changes["vcpus"] = frozen(np.full(n, vcpus), np.int32)
    if memory_gib > 0:
        changes["memory_bytes"] = frozen(np.full(n, round(memory_gib * GIB)), np.int64)
    return workflow.replace(**changes)
