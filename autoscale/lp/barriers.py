"""Barriers: tasks with much work before and behind them, which plain windows hardly see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from autoscale.lp.fleet import FleetModel
    from autoscale.model.arrays import BoolArray, FloatArray
    from autoscale.model.problem import Problem

CANDIDATES = 64
"""Tasks of most edges that are looked at."""

DIVISIVE = 0.002
"""Part of all work that must lie on either side of a barrier."""

ALIKE = 0.02
"""Part of all work by which two barriers must differ."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """A task with the tasks that must end before it and those that start after it."""

    task: int
    before: BoolArray
    after: BoolArray


def barriers(problem: Problem, most: int) -> list[Barrier]:
    """Return tasks with much work both before and after them, the most divisive first."""
    from autoscale.lp import kernels

    w = problem.workflow
    work = problem.fastest_s * w.vcpus
    degree = np.diff(w.parent_ptr) + np.diff(w.child_ptr)
    candidates = np.argsort(-degree, kind="stable")[:CANDIDATES]
    before, after = kernels.work_around(
        candidates, w.parent_ptr, w.parents, w.child_ptr, w.children, work
    )
    score = np.minimum(before, after)
    out: list[Barrier] = []
    for j in np.argsort(-score, kind="stable"):
        if len(out) >= most or score[j] <= DIVISIVE * work.sum():
            break
        task = candidates[j]
        found = Barrier(
            int(task),
            kernels.reached(task, w.parent_ptr, w.parents),
            kernels.reached(task, w.child_ptr, w.children),
        )
        if all(_differ(found, other, work) for other in out):
            out.append(found)
    return out


def _differ(one: Barrier, other: Barrier, work: FloatArray) -> bool:
    """Return whether two barriers part the work differently: tasks in a row are one barrier."""
    apart = work[one.before != other.before].sum() + work[one.after != other.after].sum()
    return bool(apart > ALIKE * work.sum())


def overlap(
    problem: Problem, fleet: FleetModel, x: FloatArray, barrier: Barrier
) -> tuple[float, float]:
    """Return how far the relaxation ignores a barrier, and the moment that shows it best.

    At that moment the lesser of the work before the barrier that is still to come and the work
    behind it that is already done is largest; it is given as a part of all work.
    """
    work = problem.fastest_s * problem.workflow.vcpus
    groups, edges = fleet.groups, fleet.edges
    done = np.zeros((len(groups), edges.size - 1))
    np.add.at(done, (fleet.group, fleet.bucket), x[fleet.x])
    sides = []
    for member in (barrier.before, barrier.after):
        amount = np.bincount(groups.of_task, weights=work * member, minlength=len(groups))
        sides.append(np.concatenate([[0.0], np.cumsum(amount @ done)]))
    to_come, ahead = sides[0][-1] - sides[0], sides[1]
    ignored = np.minimum(to_come, ahead)
    at = int(np.argmax(ignored))
    return float(ignored[at] / work.sum()), float(edges[at])
