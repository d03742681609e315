"""Which instance types a policy considers: few of a large catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem

LADDER = (1.0, 1.15, 1.4, 1.8, 2.5, 4.0, np.inf)
"""How many times the cheapest way a task may cost: a job takes the first rung that is in time."""

MOST_TYPES = 10


def share_of(problem: Problem, tasks: Any) -> FloatArray:
    """Return which part of each type a task takes up, shape (tasks, types)."""
    w, types = problem.workflow, problem.catalog
    parts = [
        w.vcpus[tasks, None] / types.vcpus,
        w.memory_bytes[tasks, None] / types.memory_bytes,
    ]
    if types.gpus.any():
        gpus = np.maximum(types.gpus, 1)
        parts.append(np.where(types.gpus > 0, w.gpus[tasks, None] / gpus, 0.0))
    out: FloatArray = np.maximum.reduce(parts)
    return out


def choose_types(problem: Problem, most: int = MOST_TYPES) -> tuple[int, ...]:
    """Return the types worth considering for one job, as indices into the catalogue, ascending.

    Small catalogues are taken whole. Of large ones, those on which the job's classes of tasks are
    cheapest, those on which they are fastest at some multiple of that price, and the cheapest
    lease that fits each.
    """
    if len(problem.catalog) <= most:
        return tuple(np.flatnonzero(problem.fits.any(axis=0)).tolist())
    tasks = problem.class_member
    weight = np.bincount(problem.task_class, minlength=tasks.size).astype(np.float64)
    duration = problem.duration_s
    price = problem.catalog.price_per_s
    cost = duration * price * share_of(problem, tasks)
    votes = np.zeros(len(problem.catalog))
    work = weight * duration.min(axis=1)
    # Among equals the smaller lease: it is finer.
    finer = cost * (1 + 1e-6 * problem.catalog.vcpus)
    least = np.maximum(finer.min(axis=1), 1e-15)
    for rung in LADDER:
        fast = np.where(finer <= rung * least[:, None], duration, np.inf)
        fast = fast * (1 + 1e-3 * cost / least[:, None])
        np.add.at(votes, fast.argmin(axis=1), work)
    lease = np.where(problem.fits, price, np.inf)
    np.add.at(votes, lease.argmin(axis=1), work)
    best = np.argsort(-votes, kind="stable")[:most]
    return tuple(sorted(best[votes[best] > 0].tolist()))
