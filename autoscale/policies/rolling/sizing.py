"""How many leases to launch, of which type, and when: the fewest, at the latest moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoscale.policies.rolling.outlook import Extra

if TYPE_CHECKING:
    from autoscale.policies.rolling.outlook import Outlook

LATE_TOL_S = 1.0
"""Lateness that counts as none, seconds."""

MOST_LEASES = 4096
STEPS = 7
"""Halvings of the time until which a launch can wait."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Leases to launch at a time, and what the open work then costs."""

    column: int
    count: int
    at_s: float
    late_s: float
    cost_usd: float


def size_launch(outlook: Outlook, step_s: float) -> Launch | None:
    """Return the cheapest launch of one type that makes the open work as timely as can be.

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
    now_s = outlook.now_s
    base = outlook.play()
    if base.late_s <= LATE_TOL_S:
        return None
    least = math.inf
    ends = []
    for column in outlook.options():
        most = _most(outlook, column)
        late_s = outlook.play([Extra(column, most, now_s)]).late_s
        ends.append((column, most, late_s))
        least = min(least, late_s)
    if base.late_s <= least + LATE_TOL_S:
        return None
    found = [
        _fewest(outlook, column, most, least)
        for column, most, late_s in ends
        if late_s <= least + LATE_TOL_S
    ]
    best = min(found, key=lambda launch: (launch.cost_usd, launch.count, launch.column))
    return _latest(outlook, best, least, step_s)


def _most(outlook: Outlook, column: int) -> int:
    return max(1, min(MOST_LEASES, math.ceil(outlook.most_leases(column))))


def _fewest(outlook: Outlook, column: int, most: int, least_s: float) -> Launch:
    """Return the fewest leases of a type, launched now, that are as timely as the most."""
    low, high = 0, 1
    while high < most and not _good(outlook, column, high, least_s):
        low, high = high, 2 * high
    high = min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if _good(outlook, column, middle, least_s):
            high = middle
        else:
            low = middle
    played = outlook.play([Extra(column, high, outlook.now_s)])
    return Launch(column, high, outlook.now_s, played.late_s, played.cost_usd)


def _good(outlook: Outlook, column: int, count: int, least_s: float) -> bool:
    played = outlook.play([Extra(column, count, outlook.now_s)])
    return played.late_s <= least_s + LATE_TOL_S


def _latest(outlook: Outlook, launch: Launch, least_s: float, step_s: float) -> Launch:
    """Return the launch at the latest time at which no more leases are needed."""
    now_s = outlook.now_s

    def waits(wait_s: float) -> bool:
        extra = Extra(launch.column, launch.count, now_s + wait_s)
        return outlook.play([extra]).late_s <= least_s + LATE_TOL_S

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
    return Launch(launch.column, launch.count, now_s + low_s, launch.late_s, launch.cost_usd)
