"""Where the relaxation is split: on when a barrier starts, or on a number of leases.

What a split is worth shows only in its two halves, so that some of them are probed (strong
branching), from the basis of the model that is split; what was found is remembered, in proportion
to how much of a barrier's time is left, and the splits that promised most are probed anew (as
reliability branching does; Achterberg, Koch and Martin 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autoscale.lp.barriers import barriers, overlap

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.lp.fleet import FleetModel, Limits
    from autoscale.lp.relaxing import Relaxed
    from autoscale.lp.windows import Windows
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem

FEW_LEASES = 30
"""Only below this many leases is their number branched on: above, a fraction hardly matters."""

FRACTION = 0.02
"""A number of leases this close to a whole one counts as whole."""

IGNORED = 0.01
"""Part of all work by which a barrier must be ignored to be split where that shows."""

NARROW = 0.02
"""Part of the horizon below which it hardly matters when exactly a barrier starts."""

EDGE = 0.05
"""Part of a barrier's time at its ends where it is not split."""

PROBED = 6
"""Splits of a node that are probed at most."""

MOVED = 2
"""Moments that are tried besides, where only one half of the best split gains."""

HARDLY = 1e-4
"""Relative rise of a half's bound that counts as none."""


class Region(NamedTuple):
    """Part of all plans: when tasks start at the earliest and latest, and how many leases.

    Parameters
    ----------
    low, high
        Seconds from boot, shape (tasks,).
    limits
        On the number of leases.
    """

    low: FloatArray
    high: FloatArray
    limits: Limits


@dataclass(frozen=True, slots=True)
class Split:
    """Two parts that make up a region.

    Parameters
    ----------
    name
        What is split: a number of leases, or the number of a barrier.
    width
        How much there is to split, as a measure of what it may be worth.
    whole
        The region.
    halves
        The parts.
    task, moments_s
        Of a barrier: the task, when it starts at the earliest, where it is split, and when it
        starts at the latest.
    """

    name: int | str
    width: float
    whole: Region
    halves: tuple[Region, Region]
    task: int = -1
    moments_s: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def at(
        cls, whole: Region, name: int | str, task: int, moments_s: tuple[float, float, float]
    ) -> Split:
        """Return the split of a task's start at the middle one of three moments."""
        earlier, later = whole.high.copy(), whole.low.copy()
        earlier[task] = later[task] = moments_s[1]
        halves = (whole._replace(high=earlier), whole._replace(low=later))
        return cls(name, moments_s[2] - moments_s[0], whole, halves, task, moments_s)

    def moved(self, *, later: bool) -> Split | None:
        """Return the split with its moment moved halfway to the end, or None if it has none."""
        if self.task < 0:
            return None
        first, moment, last = self.moments_s
        moment = 0.5 * (moment + (last if later else first))
        return Split.at(self.whole, self.name, self.task, (first, moment, last))


class Splitter:
    """Chooses splits, and remembers what they were worth.

    Parameters
    ----------
    problem
        The problem.
    most
        Barriers at most.
    """

    def __init__(self, problem: Problem, most: int) -> None:
        self.problem = problem
        self.found = barriers(problem, most)
        self.worth: dict[int | str, float] = {}

    def splits(
        self, region: Region, windows: Windows, relaxed: Relaxed, types: IntArray
    ) -> list[Split]:
        """Return the ways to split a region; none where nothing is left to split.

        Parameters
        ----------
        region, windows
            What is split, and when its tasks can run.
        relaxed
            Its relaxation.
        types
            Catalogue index of each type that the region's limits speak of.
        """
        fleet, x = relaxed.fleet, relaxed.x
        if fleet is None or x is None:
            return []
        return [*lease_splits(region, fleet, x, types), *self._moments(region, windows, fleet, x)]

    def best(
        self, splits: list[Split], probe: Callable[[Region], float], before: float, most: float
    ) -> tuple[Split, float]:
        """Return the split that promises most, and what it is worth.

        Splits are probed until the best of them is worth no less than what others promise. The
        moment at which a barrier is split is then moved to where both halves gain.

        Parameters
        ----------
        splits
            At least one.
        probe
            Returns a lower bound within a region.
        before, most
            The bound of what is split, and what bounds need not exceed.
        """

        def worth(split: Split) -> tuple[float, bool]:
            rises = [min(probe(half), most) / before - 1 for half in split.halves]
            value = max(rises[0], HARDLY) * max(rises[1], HARDLY)
            return value, rises[0] > rises[1]

        promise = np.array([self.worth.get(s.name, np.inf) * s.width for s in splits])
        best, highest, lopsided = splits[0], -np.inf, False
        for _ in range(PROBED):
            j = int(np.argmax(promise))
            if promise[j] <= highest:
                break
            value, first = worth(splits[j])
            self.worth[splits[j].name] = value / splits[j].width
            promise[j] = -np.inf
            if value > highest:
                best, highest, lopsided = splits[j], value, first
        for _ in range(MOVED):
            moved = best.moved(later=lopsided)
            if moved is None:
                break
            value, lopsided = worth(moved)
            if value <= highest:
                break
            best, highest = moved, value
        return best, highest

    def _moments(
        self, region: Region, windows: Windows, fleet: FleetModel, x: FloatArray
    ) -> list[Split]:
        """Return a split for each barrier: where the relaxation ignores it, or halfway.

        A fluid that heeds a barrier may still have it start when whole tasks before it, or those
        behind it, cannot all be done in what time they have: halving when it may start shows.
        """
        out = []
        for number, barrier in enumerate(self.found):
            first = float(windows.earliest_start_s[barrier.task])
            end = float(windows.latest_end_s[barrier.task])
            last = end - float(self.problem.fastest_s[barrier.task])
            ignored, moment = overlap(self.problem, fleet, x, barrier)
            inside = EDGE * (last - first)
            if ignored < IGNORED or not first + inside < moment < last - inside:
                moment = 0.5 * (first + last)
                if last - first < NARROW * fleet.edges[-1]:
                    continue
            out.append(Split.at(region, number, barrier.task, (first, moment, last)))
        return out


def lease_splits(region: Region, fleet: FleetModel, x: FloatArray, types: IntArray) -> list[Split]:
    """Return splits of fractional numbers of leases: of all types together, and of the dearest."""
    total = float(x[fleet.opened].sum())
    choices: list[tuple[int | None, float]] = []
    if total < FEW_LEASES and FRACTION < total % 1 < 1 - FRACTION:
        choices.append((None, total))
    dearest = dearest_fraction(fleet, x, types)
    choices += [dearest] if dearest is not None else []
    return [
        Split(
            "leases" if kind is None else f"leases of type {kind}",
            1.0,
            region,
            _parts(region, kind, number),
        )
        for kind, number in choices
    ]


def _parts(region: Region, kind: int | None, number: float) -> tuple[Region, Region]:
    fewer, more = region.limits.split(kind, number)
    return region._replace(limits=fewer), region._replace(limits=more)


def dearest_fraction(fleet: FleetModel, x: FloatArray, types: IntArray) -> tuple[int, float] | None:
    """Return the type with the dearest fraction of a lease and its number of leases."""
    opened = x[fleet.opened]
    part = np.where(opened < FEW_LEASES, np.minimum(opened % 1, 1 - opened % 1), 0.0)
    part = np.where(part > FRACTION, part * fleet.types.price_per_s, 0.0)
    k = int(np.argmax(part))
    if part[k] <= 0.0:
        return None
    position = int(np.flatnonzero(types == fleet.types.index[k])[0])
    return position, float(opened[k])
