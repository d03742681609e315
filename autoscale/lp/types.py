"""Which instance types a bound has to consider: the others are dominated, or nearly so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.lp.work import FORGIVEN

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem


@dataclass(frozen=True, slots=True)
class BoundTypes:
    """Types to bound with, made a little better than they are.

    Parameters
    ----------
    index
        Catalogue indices of the types that stay.
    price_per_s
        USD per second, shape (types,): at most the catalogue's.
    duration_s
        Seconds of each class, shape (classes, types): at most the real ones.
    stands_for
        For each type of the catalogue, the position of the one that stays and makes it
        superfluous (itself, if it stays); -1 for what cannot be leased.
    """

    index: IntArray
    price_per_s: FloatArray
    duration_s: FloatArray
    stands_for: IntArray

    def __len__(self) -> int:
        return int(self.index.size)

    def forgiving(self) -> BoundTypes:
        """Return the types with durations as short as a checked plan's may be."""
        return replace(self, duration_s=self.duration_s * FORGIVEN)

    def only(self, chosen: IntArray) -> BoundTypes:
        """Return some of the types."""
        position = np.full(len(self) + 1, -1)
        position[chosen] = np.arange(chosen.size)
        return BoundTypes(
            self.index[chosen],
            self.price_per_s[chosen],
            self.duration_s[:, chosen],
            position[self.stands_for],
        )


def bound_types(problem: Problem, tolerance: float) -> BoundTypes:
    """Return a few types whose optimum, improved as they are, no plan can beat.

    Type ``j`` makes type ``k`` superfluous when any lease of ``k`` can be replaced by leases of
    ``j`` held over the same time, at no more cost, each task running at least as fast:

    (a) whole for whole: ``j`` has at least k's vCPUs, memory and GPUs, and costs no more; or
    (b) in parts: every task that fits ``k`` takes one vCPU, fits ``j``, and needs no more memory
        and GPUs than one vCPU's part of ``j``; ``ceil(V_k / V_j)`` leases of ``j`` cost no more.

    Either way ``j`` takes no more of any quota than ``k``.

    Where that is so but for a factor of at most ``1 + tolerance`` on price times duration, ``j``
    is made cheaper and faster by just that factor, which keeps the bound valid.
    """
    kept, cheaper, faster, by = _undominated(problem, tolerance)
    index = np.array(sorted(kept), dtype=np.int64)
    stands_for = np.where(by >= 0, np.searchsorted(index, by), -1)
    by_price = np.array([cheaper[int(k)] for k in index])
    by_time = np.array([faster[int(k)] for k in index])
    duration = problem.duration_s
    if index.size < len(problem.catalog) or (by_time > 1).any():
        duration = duration[:, index] / by_time
    return BoundTypes(index, problem.catalog.price_per_s[index] / by_price, duration, stands_for)


def undominated(problem: Problem) -> IntArray:
    """Return the types without which no plan's cost can be matched, ascending.

    Any plan can be replaced, at no more cost and no later, by one on these types alone: they are
    what :func:`bound_types` keeps at tolerance 0.
    """
    return np.array(sorted(_undominated(problem, 0.0)[0]), dtype=np.int64)


def reduced(problem: Problem) -> tuple[Problem, IntArray]:
    """Return the problem on :func:`undominated` types alone, and their catalogue indices."""
    index = undominated(problem)
    return problem.with_types(index), index


def _undominated(
    problem: Problem, tolerance: float
) -> tuple[list[int], dict[int, float], dict[int, float], IntArray]:
    """Return the types kept, and the factors by which each is made cheaper and faster.

    Besides, the kept type that stands for each of the catalogue, -1 for what cannot be leased.
    """
    catalog, tasks = problem.catalog, representatives(problem)
    duration = problem.durations_of(tasks)
    usable = np.flatnonzero(np.isfinite(duration).any(axis=0))
    # Cheap per vCPU and small first: these absorb the others.
    speed = _typical_speed(problem, duration)
    order = usable[np.lexsort((usable, catalog.vcpus[usable], _per_work(problem, speed)[usable]))]
    kept: list[int] = []
    cheaper: dict[int, float] = {}
    faster: dict[int, float] = {}
    by = np.full(len(catalog), -1)
    for k in order:
        for j in kept:
            factors = _factors(problem, tasks, duration, int(j), int(k))
            if factors is None:
                continue
            price_factor = max(cheaper[j], factors[0])
            time_factor = max(faster[j], factors[1])
            if price_factor * time_factor <= 1 + tolerance:
                cheaper[j], faster[j] = price_factor, time_factor
                by[k] = j
                break
        else:
            kept.append(int(k))
            cheaper[int(k)] = faster[int(k)] = 1.0
            by[k] = k
    return kept, cheaper, faster, by


def representatives(problem: Problem) -> IntArray:
    """Return tasks on which one type dominates another exactly when it does so on all tasks.

    A task's durations are ``runtime * a_k + bytes per vCPU * b_k``: linear in two figures, so of
    the tasks that fit the same types those with the least and the largest ratio of the two are
    enough to compare speeds, and those that hold most of something to compare sizes.
    """
    member: IntArray = problem.class_member
    if problem.durations_s is not None:
        return member
    w, catalog = problem.workflow, problem.catalog
    needs = (w.vcpus[member], w.memory_bytes[member], w.gpus[member])
    has: Any = (catalog.vcpus, catalog.memory_bytes, catalog.gpus)
    # Tasks between the same two sizes on offer fit the same types.
    sizes = [np.unique(sizes) for sizes in has]
    rank = [
        np.searchsorted(size, np.asarray(need)) for size, need in zip(sizes, needs, strict=True)
    ]
    key = (rank[0] * (sizes[1].size + 1) + rank[1]) * (sizes[2].size + 1) + rank[2]
    if problem.allowed:
        key = key * (int(w.category.max()) + 1) + w.category[member]
    moved, runtime = problem.moved_per_vcpu[member], w.runtime_s[member]
    # A task of no duration says nothing about speeds.
    slope = np.where(moved + runtime > 0, np.arctan2(moved, runtime), np.nan)
    order = np.argsort(key, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
    chosen = []
    for part in parts:
        chosen += [part[np.argmax(need[part])] for need in needs]
        if not np.isnan(slope[part]).all():
            chosen += [part[np.nanargmin(slope[part])], part[np.nanargmax(slope[part])]]
    found: IntArray = member[np.unique(chosen)]
    return found


def _typical_speed(problem: Problem, duration: FloatArray) -> FloatArray:
    """Return each type's speed on the workflow as a whole, relative to the fastest there.

    ``duration`` holds those of some tasks, which show where everything fits.
    """
    usable = np.isfinite(duration).all(axis=0)
    if problem.durations_s is not None:
        total = np.where(usable, duration, 0.0).sum(axis=0)
    else:
        total = problem.workflow.runtime_s.sum() / problem.speed
        total += problem.moved_per_vcpu.sum() * problem.seconds_per_byte
    speed: FloatArray = np.where(
        usable, total[usable].min(initial=1.0) / np.maximum(total, 1e-9), 1
    )
    return np.maximum(speed, 1e-9)


def _per_work(problem: Problem, speed: FloatArray) -> FloatArray:
    out: FloatArray = problem.catalog.price_per_s / (problem.catalog.vcpus * speed)
    return out


def _factors(
    problem: Problem, tasks: IntArray, duration: FloatArray, j: int, k: int
) -> tuple[float, float] | None:
    """Return the factors on price and time that ``j`` lacks to replace ``k``; None if it cannot."""
    catalog, w = problem.catalog, problem.workflow
    fits_k = np.isfinite(duration[:, k])
    own, other = duration[fits_k, j], duration[fits_k, k]
    if not np.isfinite(own).all():
        return None
    late = float(np.max(own / np.maximum(other, 1e-12), initial=1.0, where=own > 0))
    copies: Any = None
    if (
        catalog.vcpus[j] >= catalog.vcpus[k]
        and catalog.memory_bytes[j] >= catalog.memory_bytes[k]
        and catalog.gpus[j] >= catalog.gpus[k]
    ):
        copies = 1
    else:
        ours = tasks[fits_k]
        single = (w.vcpus[ours] == 1).all()
        memory = (w.memory_bytes[ours] <= catalog.memory_bytes[j] / catalog.vcpus[j]).all()
        gpus = (w.gpus[ours] <= catalog.gpus[j] // catalog.vcpus[j]).all()
        if single and memory and gpus:
            copies = -(-int(catalog.vcpus[k]) // int(catalog.vcpus[j]))
    if copies is None:
        return None
    if (copies * problem.quota_weights[j] > problem.quota_weights[k]).any():
        return None  # replaced, the leases might exceed a quota
    dear = float(catalog.price_per_s[j] * copies / catalog.price_per_s[k])
    return max(1.0, dear), max(1.0, late)
