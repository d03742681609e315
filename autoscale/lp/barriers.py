"""Barriers: tasks with much work before and behind them, which plain windows hardly see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from autoscale.lp.fleet import FleetModel
    from autoscale.lp.windows import Windows
    from autoscale.model.arrays import BoolArray, FloatArray
    from autoscale.model.problem import Problem

CANDIDATES = 64
"""Tasks of most edges that are looked at."""

IGNORED = 0.01
"""Part of all work by which a barrier must be ignored to be split on for that."""

NARROW = 0.02
"""Part of the horizon below which it hardly matters when exactly a barrier starts."""

DIVISIVE = 0.03
"""Part of all work that must lie on either side of a barrier."""


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
    chosen = np.argsort(-score, kind="stable")[:most]
    return [
        Barrier(
            int(task),
            kernels.reached(task, w.parent_ptr, w.parents),
            kernels.reached(task, w.child_ptr, w.children),
        )
        for task in candidates[chosen[score[chosen] > DIVISIVE * work.sum()]]
    ]


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


def moment_to_split(
    problem: Problem, fleet: FleetModel, x: FloatArray, found: list[Barrier], windows: Windows, *,
    halving: bool,
) -> tuple[int, float] | None:  # fmt: skip
    """Return the barrier to split on and the moment: where it is ignored, or could start late.

    A fluid that heeds a barrier may still have it start when whole tasks before it, or those
    behind it, cannot all be done in what time they have: ``halving`` when it may start shows.
    """
    if not found:
        return None
    splits = [overlap(problem, fleet, x, barrier) for barrier in found]
    which = int(np.argmax([split[0] for split in splits]))
    if splits[which][0] >= IGNORED:
        return found[which].task, splits[which][1]
    if not halving:
        return None
    tasks = np.array([barrier.task for barrier in found])
    first = windows.earliest_start_s[tasks]
    last = windows.latest_end_s[tasks] - problem.fastest_s[tasks]
    widest = int(np.argmax(last - first))
    if last[widest] - first[widest] < NARROW * fleet.edges[-1]:
        return None
    return int(tasks[widest]), float(0.5 * (first[widest] + last[widest]))
