"""What a policy learns while it runs: how long tasks really take, how long machines boot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray

PRIOR_SD = 0.1
"""Noise of runtimes that is reckoned with before anything is known, as a share of the estimate."""

PRIOR_BIAS = 0.15
"""How far the estimates of a category may be off together, before anything is known."""

PRIOR_WEIGHT = 4.0
"""Observations that the priors are worth."""

BOOTS_KEPT = 200
"""The latest so many boots count."""


class RuntimeRatios:
    """Ratios of actual to estimated runtimes, by category of task.

    A category's mean ratio is shrunk towards 1, as if a few tasks had run as estimated. The
    noise is pooled over all categories.
    """

    def __init__(self) -> None:
        self._count: dict[str, float] = {}
        self._sum: dict[str, float] = {}
        self._squares = PRIOR_WEIGHT * PRIOR_SD**2
        self._freedom = PRIOR_WEIGHT
        self._bias_squares = PRIOR_WEIGHT * PRIOR_BIAS**2
        self._known: dict[tuple[str, ...], tuple[FloatArray, FloatArray]] = {}

    def observe(self, category: str, ratio: float) -> None:
        """Take note that a task took ``ratio`` times its estimate."""
        self._known.clear()
        n = self._count.get(category, 0.0)
        if n:  # the deviation from what was known before, as if by one further observation
            deviation = (ratio - self._sum[category] / n) / math.sqrt(1 + 1 / n)
            self._squares += deviation**2
            self._freedom += 1
        self._count[category] = n + 1
        self._sum[category] = self._sum.get(category, 0.0) + ratio

    def mean(self, category: str) -> float:
        """Return the factor by which estimates of a category are multiplied."""
        n = self._count.get(category, 0.0)
        return (self._sum.get(category, 0.0) + 1.0) / (n + 1.0)

    @property
    def sd(self) -> float:
        """Noise of one task, as a share of its corrected estimate."""
        return math.sqrt(self._squares / self._freedom)

    @property
    def bias(self) -> float:
        """How far categories' mean ratios lie from 1, root mean square."""
        seen = [self._sum[c] / self._count[c] - 1 for c in self._count]
        total = self._bias_squares + math.fsum(b * b for b in seen)
        return math.sqrt(total / (PRIOR_WEIGHT + len(seen)))

    def doubt(self, category: str) -> float:
        """Return how far a category's factor may still be off, as a share."""
        n = self._count.get(category, 0.0)
        noise, bias = self.sd**2, self.bias**2
        return math.sqrt(noise * bias / (noise + n * bias)) if noise + n * bias > 0 else 0.0

    def corrections(self, categories: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
        """Return the mean ratio and the doubt of each category; the same arrays until more is seen.

        Jobs of a stream have few categories, and all open jobs ask whenever a plan is made.
        """
        found = self._known.get(categories)
        if found is None:
            found = self._known[categories] = (
                np.array([self.mean(c) for c in categories]),
                np.array([self.doubt(c) for c in categories]),
            )
        return found

    @property
    def observations(self) -> float:
        """How many tasks have been observed."""
        return math.fsum(self._count.values())


class BootTimes:
    """Boot times that were seen; before any, the boot time of the rules counts.

    Parameters
    ----------
    stated_s
        The boot time of the rules, seconds.
    """

    def __init__(self, stated_s: float) -> None:
        self._seen = [stated_s] * 3

    def observe(self, boot_s: float) -> None:
        """Take note of one boot, seconds."""
        self._seen.append(boot_s)
        if len(self._seen) > BOOTS_KEPT:
            del self._seen[0]

    def quantile(self, share: float) -> float:
        """Return the boot time that so large a share of boots stays below, seconds."""
        ordered = sorted(self._seen)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]

    def ready_s(self, requested_s: float, now_s: float, share: float) -> float:
        """Return when a lease that still boots is expected to be ready."""
        expected = requested_s + self.quantile(share)
        if expected > now_s:
            return expected
        # Later than most: the longer it has taken, the longer it may still take.
        return now_s + max(1.0, 0.5 * (now_s - requested_s))
