"""Which instance types a bound has to consider: the others are dominated, or nearly so."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    index: IntArray
    price_per_s: FloatArray
    duration_s: FloatArray

    def __len__(self) -> int:
        return int(self.index.size)

    def forgiving(self) -> BoundTypes:
        """Return the types with durations as short as a checked plan's may be."""
        return BoundTypes(self.index, self.price_per_s, self.duration_s * FORGIVEN)


def bound_types(problem: Problem, tolerance: float) -> BoundTypes:
    """Return a few types whose optimum, improved as they are, no plan can beat.

    Type ``j`` makes type ``k`` superfluous when any lease of ``k`` can be replaced by leases of
    ``j`` held over the same time, at no more cost, each task running at least as fast:

    (a) whole for whole: ``j`` has at least k's vCPUs, memory and GPUs, and costs no more; or
    (b) in parts: every task that fits ``k`` takes one vCPU, fits ``j``, and needs no more memory
        and GPUs than one vCPU's part of ``j``; ``ceil(V_k / V_j)`` leases of ``j`` cost no more.

    Where that is so but for a factor of at most ``1 + tolerance`` on price times duration, ``j``
    is made cheaper and faster by just that factor, which keeps the bound valid.
    """
    catalog, duration = problem.catalog, problem.duration_s
    price = catalog.price_per_s
    usable = np.flatnonzero(np.isfinite(duration).any(axis=0))
    # Cheap per vCPU and small first: these absorb the others.
    speed = _typical_speed(problem)
    order = usable[np.lexsort((usable, catalog.vcpus[usable], _per_work(problem, speed)[usable]))]
    kept: list[int] = []
    cheaper: dict[int, float] = {}
    faster: dict[int, float] = {}
    for k in order:
        for j in kept:
            factors = _factors(problem, int(j), int(k))
            if factors is None:
                continue
            price_factor = max(cheaper[j], factors[0])
            time_factor = max(faster[j], factors[1])
            if price_factor * time_factor <= 1 + tolerance:
                cheaper[j], faster[j] = price_factor, time_factor
                break
        else:
            kept.append(int(k))
            cheaper[int(k)] = faster[int(k)] = 1.0
    index = np.array(sorted(kept), dtype=np.int64)
    by_price = np.array([cheaper[int(k)] for k in index])
    by_time = np.array([faster[int(k)] for k in index])
    return BoundTypes(index, price[index] / by_price, duration[:, index] / by_time)


def _typical_speed(problem: Problem) -> FloatArray:
    """Return each type's speed on the workflow as a whole, relative to the fastest there."""
    duration = problem.duration_s
    count = np.bincount(problem.task_class, minlength=len(duration))
    total = count @ np.where(np.isfinite(duration), duration, 0.0)
    usable = np.isfinite(duration).all(axis=0)
    speed: FloatArray = np.where(
        usable, total[usable].min(initial=1.0) / np.maximum(total, 1e-9), 1
    )
    return np.maximum(speed, 1e-9)


def _per_work(problem: Problem, speed: FloatArray) -> FloatArray:
    out: FloatArray = problem.catalog.price_per_s / (problem.catalog.vcpus * speed)
    return out


def _factors(problem: Problem, j: int, k: int) -> tuple[float, float] | None:
    """Return the factors on price and time that ``j`` lacks to replace ``k``; None if it cannot."""
    catalog, w, member = problem.catalog, problem.workflow, problem.class_member
    fits_k = np.isfinite(problem.duration_s[:, k])
    own, other = problem.duration_s[fits_k, j], problem.duration_s[fits_k, k]
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
        ours = member[fits_k]
        single = (w.vcpus[ours] == 1).all()
        memory = (w.memory_bytes[ours] <= catalog.memory_bytes[j] / catalog.vcpus[j]).all()
        gpus = (w.gpus[ours] <= catalog.gpus[j] // catalog.vcpus[j]).all()
        if single and memory and gpus:
            copies = -(-int(catalog.vcpus[k]) // int(catalog.vcpus[j]))
    if copies is None:
        return None
    dear = float(catalog.price_per_s[j] * copies / catalog.price_per_s[k])
    return max(1.0, dear), max(1.0, late)
