"""How many leases to launch, of which type, and when: the fewest, at the latest moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from autoscale.policies.rolling.outlook import Extra

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.policies.rolling.outlook import Outlook, Played

MOST_LEASES = 4096
STEPS = 7
"""Halvings of the time until which a launch can wait."""

ROUND = 0.2
"""A fleet of the linear program is rounded up from this fraction of a lease on."""

LADDER = 4
"""Numbers of leases that are tried at first, each twice the one before, where there are many."""

FINENESS = 12
"""Numbers of leases are searched to this part of themselves."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Leases to launch at a time; charges and expected misses that follow, USD."""

    leases: tuple[Extra, ...]
    at_s: float
    total_usd: float
    regret_usd: float

    def at(self, at_s: float) -> list[Extra]:
        """Return the leases as launched at a time."""
        return [replace(extra, at_s=at_s) for extra in self.leases]


def size_launch(outlook: Outlook, step_s: float) -> Launch | None:
    """Return the launch that saves most in expected misses less charges.

    The linear program says where to look: its fleet, rounded, and numbers of each type near its.

    Parameters
    ----------
    outlook
        Work and leases.
    step_s
        When the next decision comes: a launch that can wait until then waits.

    Returns
    -------
    Launch | None
        None where the held leases do as well.
    """
    base = outlook.play()
    if base.regret_usd <= outlook.caution.patience * outlook.worth_usd:
        return None
    options = outlook.options()
    if not options:
        return None
    fleet = outlook.least_fleet(options)
    found = [_best_count(outlook, column, fleet) for column in options]
    if (fleet > ROUND).sum() > 1:
        found.append(_rounded(outlook, fleet))
    best = min(found, key=lambda launch: launch.total_usd)
    if best.total_usd >= base.total_usd:
        return None
    return _latest(outlook, best, step_s)


def _rounded(outlook: Outlook, fleet: FloatArray) -> Launch:
    """Return the fleet of the linear program in whole leases."""
    counts = np.ceil(fleet - ROUND).astype(np.int64)
    now_s = outlook.now_s
    leases = tuple(Extra(int(k), int(counts[k]), now_s) for k in np.flatnonzero(counts > 0))
    played = outlook.play(leases)
    return Launch(leases, now_s, played.total_usd, played.regret_usd)


def _best_count(outlook: Outlook, column: int, fleet: FloatArray) -> Launch:
    """Return the best number of leases of one type, launched now, near the program's."""
    most = max(1, min(MOST_LEASES, math.ceil(outlook.most_leases(column))))

    def played(count: int) -> Played:
        return outlook.play([Extra(column, count, outlook.now_s)])

    def total_usd(count: int) -> float:
        return played(count).total_usd

    counts = [max(1, min(most, math.floor(float(fleet[column]) / 2)))]
    rungs = LADDER if fleet.sum() > 2 * LADDER else most
    while counts[-1] < most and len(counts) < rungs:
        counts.append(min(most, 2 * counts[-1]))
    best = min(counts, key=lambda count: (total_usd(count), count))
    while best == counts[-1] < most:
        counts.append(min(most, 2 * best))
        best = min(counts, key=lambda count: (total_usd(count), count))
    finest = max(1, best // FINENESS)
    step = best // 2
    while step >= finest:
        near = [c for c in (best - step, best, best + step) if 1 <= c <= most]
        best = min(near, key=lambda count: (total_usd(count), count))
        step //= 2
    extra = Extra(column, best, outlook.now_s)
    return Launch((extra,), outlook.now_s, total_usd(best), played(best).regret_usd)


def _latest(outlook: Outlook, launch: Launch, step_s: float) -> Launch:
    """Return the launch at the latest time at which it does nearly as well."""
    now_s = outlook.now_s
    limit_usd = launch.regret_usd + outlook.caution.patience * outlook.worth_usd

    def waits(wait_s: float) -> bool:
        return outlook.play(launch.at(now_s + wait_s)).regret_usd <= limit_usd

    if not waits(step_s):
        return launch
    low_s, high_s = step_s, 2 * step_s
    while waits(high_s) and high_s < 1e6:
        low_s, high_s = high_s, 2 * high_s
    for _ in range(STEPS):
        middle_s = 0.5 * (low_s + high_s)
        if high_s - low_s <= 0.5 * step_s:
            break
        if waits(middle_s):
            low_s = middle_s
        else:
            high_s = middle_s
    return replace(launch, at_s=now_s + low_s)
