"""Groups of like tasks by level, and the shapes of fleets that run a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem

ROUNDS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""How often in a row a machine of a group may run its share of tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tasks of one level and one category.

    Parameters
    ----------
    level
        Their level.
    tasks
        Their indices.
    unit_s
        The longest duration of any of them on each type, inf where one does not fit.
    slots
        How many of them a machine of each type runs at once, 0 where one does not fit.
    """

    level: int
    tasks: IntArray
    unit_s: FloatArray
    slots: IntArray


def groups_of(problem: Problem) -> list[Group]:
    """Return the tasks in groups by level and category, by level.

    Tasks of a category that differ much are apart: within a group no task is more than twice as
    long as another, on its fastest type, or needs more than twice the memory.
    """
    w = problem.workflow
    size = np.floor(np.log2(np.maximum(problem.fastest_s, 1e-3)))
    memory = np.ceil(np.log2(np.maximum(w.memory_bytes, 1)))
    needs = np.stack([w.level, w.category, w.vcpus, w.gpus, memory, size], axis=1)
    _, number = np.unique(needs, axis=0, return_inverse=True)
    out = []
    for group in range(int(number.max()) + 1):
        tasks = np.flatnonzero(number == group)
        unit = problem.durations_of(tasks).max(axis=0)
        out.append(
            Group(
                level=int(w.level[tasks[0]]),
                tasks=tasks,
                unit_s=unit,
                slots=np.where(np.isfinite(unit), _slots(problem, tasks), 0),
            )
        )
    return sorted(out, key=lambda g: (g.level, int(g.tasks[0])))


def _slots(problem: Problem, tasks: IntArray) -> IntArray:
    """Return how many of the tasks fit each type at once."""
    w, types = problem.workflow, problem.catalog
    slots = types.vcpus // int(w.vcpus[tasks].max())
    memory = float(w.memory_bytes[tasks].max())
    if memory > 0:
        slots = np.minimum(slots, (np.floor(types.memory_bytes) // memory).astype(np.int64))
    gpus = int(w.gpus[tasks].max())
    if gpus > 0:
        slots = np.minimum(slots, types.gpus // gpus)
    out: IntArray = slots.astype(np.int64)
    return out


@dataclass(frozen=True, slots=True)
class Column:
    """A machine of a type that runs its slots so many times in a row for a group."""

    group: int
    kind: int
    rounds: int
    covers: int
    held_s: float
    usd: float


def columns_of(problem: Problem, groups: list[Group], types: IntArray) -> list[Column]:
    """Return the machines that may run each group, those that cannot meet the deadline left out."""
    limit = np.inf if problem.deadline_s is None else problem.deadline_s - problem.boot_s
    price = problem.catalog.price_per_s
    out = []
    for number, group in enumerate(groups):
        for k in types.tolist():
            slots, unit = int(group.slots[k]), float(group.unit_s[k])
            if slots == 0:
                continue
            needed = -(-group.tasks.size // slots)
            for rounds in sorted({min(r, needed) for r in (*ROUNDS, needed)}):
                held = rounds * unit
                if held > limit and rounds > 1:
                    break
                usd = price[k] * problem.billing.billed_s(held + problem.boot_s)
                covers = min(slots * rounds, group.tasks.size)
                out.append(Column(number, k, rounds, covers, held, float(usd)))
    return out
