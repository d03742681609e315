"""What a policy says of itself, and what it is told before a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from autoscale.errors import InputError

Aim: TypeAlias = Literal["deadlines", "turnaround", "ensemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a policy is for and where it comes from; the constant ``ABOUT`` of its module.

    Parameters
    ----------
    aim
        ``deadlines``: every job by its deadline at low cost. ``turnaround``: short turnaround,
        weighted by priority, within an hourly budget. ``ensemble``: as many jobs as possible, by
        priority, by one deadline within one budget.
    summary
        One line for lists, without a full stop.
    source
        The publication or the tool; empty for what is our own.
    reconstruction
        What the source leaves open and is filled in; empty if nothing.
    """

    aim: Aim
    summary: str
    source: str = ""
    reconstruction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a policy is told before a run.

    Parameters
    ----------
    budget_usd_per_hour
        What leases may cost in each hour of the clock, USD, > 0; None for no limit.
    budget_usd
        What they may cost in all, USD, > 0; None for no limit.
    horizon_s
        No job arrives after it; for an ensemble, its deadline. Seconds, > 0; None if not known.
    seed
        For a policy that draws numbers of its own.
    """

    budget_usd_per_hour: float | None = None
    budget_usd: float | None = None
    horizon_s: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("budget_usd_per_hour", "budget_usd", "horizon_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name}: expected a finite number > 0, got {value!r}")
        if self.seed < 0:
            raise InputError(f"seed: expected an integer >= 0, got {self.seed!r}")
