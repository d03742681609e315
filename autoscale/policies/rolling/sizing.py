"""How many leases to launch, of which type, and when: the fewest, at the latest moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autoscale.policies.rolling.outlook import Extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autoscale.policies.rolling.outlook import Outlook, Played

MOST_LEASES = 4096
STEPS = 7
"""Halvings of the time until which a launch can wait."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Leases to launch at a time; charges and expected misses that follow, USD."""

    column: int
    count: int
    at_s: float
    total_usd: float
    regret_usd: float


def size_launch(
    outlook: Outlook, step_s: float, ending: Mapping[int, float] | None = None
) -> Launch | None:
    """Return the launch of one type that saves most in expected misses less charges.

    Parameters
    ----------
    outlook
        Work and leases.
    step_s
        When the next decision comes: a launch that can wait until then waits.
    ending
        Leases that are given back at a time, by number.

    Returns
    -------
    Launch | None
        None where the held leases do as well.
    """
    base = outlook.play(ending=ending)
    if base.regret_usd <= outlook.caution.patience * outlook.worth_usd:
        return None
    found = [_best_count(outlook, column, ending) for column in outlook.options()]
    if not found:
        return None
    best = min(found, key=lambda launch: (launch.total_usd, launch.count, launch.column))
    if best.total_usd >= base.total_usd:
        return None
    return _latest(outlook, best, step_s, ending)


def _best_count(outlook: Outlook, column: int, ending: Mapping[int, float] | None) -> Launch:
    """Return the best number of leases of one type, launched now."""
    most = max(1, min(MOST_LEASES, math.ceil(outlook.most_leases(column))))
    known: dict[int, Played] = {}

    def total_usd(count: int) -> float:
        if count not in known:
            known[count] = outlook.play([Extra(column, count, outlook.now_s)], ending)
        return known[count].total_usd

    counts = [1]
    while counts[-1] < most:
        counts.append(min(most, 2 * counts[-1]))
    best = min(counts, key=lambda count: (total_usd(count), count))
    step = best // 2
    while step >= 1:
        near = [c for c in (best - step, best, best + step) if 1 <= c <= most]
        best = min(near, key=lambda count: (total_usd(count), count))
        step //= 2
    return Launch(column, best, outlook.now_s, total_usd(best), known[best].regret_usd)


def _latest(
    outlook: Outlook, launch: Launch, step_s: float, ending: Mapping[int, float] | None
) -> Launch:
    """Return the launch at the latest time at which it does nearly as well."""
    now_s = outlook.now_s
    limit_usd = launch.regret_usd + outlook.caution.patience * outlook.worth_usd

    def waits(wait_s: float) -> bool:
        extra = Extra(launch.column, launch.count, now_s + wait_s)
        return outlook.play([extra], ending).regret_usd <= limit_usd

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
