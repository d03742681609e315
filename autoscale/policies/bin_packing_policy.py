"""Bin packing: what finds no room is packed on new machines of the cheapest fitting types.

As Kubernetes' Cluster Autoscaler and Karpenter do: pending tasks are packed, the largest first, on
what is free on machines that boot, then on new ones, each time of the type with the least price for
each vCPU that gets filled (neither knows how long tasks take or how fast machines are). Tasks go to
the fullest machine that has room, so that under-used ones drain, and drained ones are given back
at the end of what is paid for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from autoscale.policies.about import About
from autoscale.policies.autoscaler import Autoscaler

if TYPE_CHECKING:
    from autoscale.model.catalog import Catalog
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Fleet, Room
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

Shape: TypeAlias = tuple[int, int, int, tuple[int, ...]]
"""vCPUs, memory, GPUs, and the types that tasks of the shape fit."""

ABOUT = About(
    aim="deadlines",
    summary="pending tasks packed on the cheapest fitting types, under-used machines drained",
    source="Kubernetes Cluster Autoscaler and Karpenter documentation",
    reconstruction="tasks are not moved to empty a machine, because tasks cannot be moved here",
)


def packed(shapes: dict[Shape, int], room: list[float], kind: int) -> dict[Shape, int]:
    """Return how many tasks of each shape go on one machine, the largest first.

    Parameters
    ----------
    shapes
        Tasks that wait, by shape, the largest first.
    room
        Free vCPUs, memory and GPUs; what is left of it afterwards.
    kind
        The machine's type.
    """
    out = {}
    for shape, count in shapes.items():
        if kind not in shape[3]:
            continue
        n = count
        for need, free in zip(shape[:3], room, strict=True):
            n = min(n, int(free // need)) if need > 0 else n
        if n > 0:
            out[shape] = n
            room[:] = [free - n * need for need, free in zip(shape[:3], room, strict=True)]
    return out


class BinPacking(Autoscaler):
    """Packing for one run."""

    name = "bin-packing"
    plans_on_arrival = False

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._types: dict[int, list[tuple[int, ...]]] = {}
        self._promised: dict[int, list[float]] = {}

    def look(self, state: ClusterState) -> None:
        """Note which types tasks fit, the cheapest for a vCPU first."""
        price = state.catalog.price_per_s
        by_price = np.lexsort((price, price / state.catalog.vcpus))
        for job in self.work.ended:
            self._types.pop(job.number, None)
        for job in self.work.arrived:
            fits = np.isfinite(job.table_s)[:, by_price]
            self._types[job.number] = [tuple(by_price[row].tolist()) for row in fits]

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return all types that a task fits."""
        return list(self._types[job.number][job.cls[i]])

    def line(self, job: OpenJob, i: int) -> int:
        """Return one line for all."""
        return 0

    def key(self, job: OpenJob, i: int) -> Key:
        """Return the order of arrival."""
        return (float(job.number),)

    def place(self, fleet: Fleet, job: OpenJob, i: int) -> Room | None:
        """Return the fullest machine that has room, of whatever type."""
        found = [
            fleet.best(job, i, k) for k in self._types[job.number][job.cls[i]] if k in fleet.rooms
        ]
        return min((r for r in found if r), key=lambda r: (r.vcpus, r.lease), default=None)

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return what is busy or boots, and what pending tasks are packed on."""
        out = list(fleet.held)
        for room in fleet.room_of.values():
            out[room.kind] -= not room.used
        shapes = self._pending()
        for kind, n in enumerate(fleet.booting):
            for _ in range(n):
                _leave(shapes, packed(shapes, _room(state.catalog, kind), kind))
        while shapes:
            kind, load = _cheapest(state.catalog, shapes)
            _leave(shapes, load)
            out[kind] += 1
        return out

    def _pending(self) -> dict[Shape, int]:
        counts: dict[Shape, int] = {}
        for _, _, job, i in self.queue.items():
            types = self._types[job.number][job.cls[i]]
            shape = (job.vcpus[i], job.memory[i], job.gpus[i], types)
            counts[shape] = counts.get(shape, 0) + 1
        return dict(sorted(counts.items(), reverse=True))


def _room(catalog: Catalog, kind: int) -> list[float]:
    what = catalog.types[kind]
    return [what.vcpus, what.memory_bytes, what.gpus]


def _leave(shapes: dict[Shape, int], load: dict[Shape, int]) -> None:
    for shape, n in load.items():
        shapes[shape] -= n
        if not shapes[shape]:
            del shapes[shape]


def _cheapest(catalog: Catalog, shapes: dict[Shape, int]) -> tuple[int, dict[Shape, int]]:
    """Return the type with the least price for each vCPU that gets filled, and what goes on it."""
    best: tuple[float, float, int] | None = None
    best_load: dict[Shape, int] = {}
    for kind in sorted({k for shape in shapes for k in shape[3]}):
        load = packed(shapes, _room(catalog, kind), kind)
        filled = sum(n * shape[0] for shape, n in load.items())
        price = float(catalog.price_per_s[kind])
        if filled and (best is None or (price / filled, price, kind) < best):
            best, best_load = (price / filled, price, kind), load
    assert best is not None
    return best[2], best_load


def make(terms: Terms) -> BinPacking:
    """Return packing for one run."""
    return BinPacking(terms)
