"""How spot prices move: a random walk of the logarithm, fitted to a history; and walks so made.

Fitted to 14 months of AWS's prices the walk returns to no level that could be measured, so its
one figure is how far it gets in an hour; the distance grows with the square root of the time. It
describes the smooth prices since 2018; the auctions before had jumps that it does not have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from simulator.fitting import column
from simulator.market import Trace

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import FloatArray

LEAST_POINTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFit:
    """A price that wanders.

    Parameters
    ----------
    level_usd_per_hour
        Its median, USD per hour, > 0.
    volatility
        Standard deviation of what its logarithm moves in an hour, >= 0.
    n
        Steps that it was fitted to; 0 where it was not.
    ks
        Kolmogorov-Smirnov distance between the steps and the normal distribution.
    """

    level_usd_per_hour: float
    volatility: float
    n: int = 0
    ks: float = math.nan

    def __post_init__(self) -> None:
        if not 0 < self.level_usd_per_hour < math.inf:
            raise InputError(f"price: expected a level > 0, got {self.level_usd_per_hour!r}")
        if not 0 <= self.volatility < math.inf:
            raise InputError(f"price: expected a volatility >= 0, got {self.volatility!r}")

    def trace(self, rng: np.random.Generator, hours: float, step_h: float = 1.0) -> Trace:
        """Return a made-up history that begins at the level, for markets of spot machines.

        Parameters
        ----------
        rng
            Decides the history.
        hours, step_h
            Its length, and how often the price changes, > 0.
        """
        if not 0 < step_h <= hours < math.inf:
            raise InputError(f"price: expected hours >= step > 0, got {hours!r} and {step_h!r}")
        n = math.ceil(hours / step_h)
        steps = rng.standard_normal(n) * self.volatility * math.sqrt(step_h)
        walk = np.cumsum(steps) - steps[0]
        return Trace(
            kind="price",
            time_s=np.arange(n, dtype=np.float64) * (step_h * 3600),
            value=self.level_usd_per_hour * np.exp(walk),
            length_s=n * step_h * 3600,
            name="made-up prices",
        )


def fit_price(frame: pd.DataFrame, step_h: float = 24.0) -> PriceFit:
    """Return how a price moves.

    Parameters
    ----------
    frame
        ``time_s``: seconds, increasing; ``price_usd_per_hour``: the price from then on, > 0.
    step_h
        Hours between the points that are compared, > 0; steps shorter than those at which the
        history was sampled would count its rounding.

    Raises
    ------
    InputError
        A column is missing or out of range, times go back, or fewer than 50 steps.
    """
    from scipy import stats

    time_s = column(frame, "time_s", least=0)
    logs = np.log(column(frame, "price_usd_per_hour"))
    if (np.diff(time_s) <= 0).any():
        raise InputError("price: expected times that increase")
    points = np.arange(time_s[0], time_s[-1], step_h * 3600)
    if points.size < LEAST_POINTS:
        raise InputError(
            f"price: expected at least {LEAST_POINTS} steps of {step_h:g} h, got {points.size}"
        )
    x: FloatArray = logs[np.searchsorted(time_s, points, side="right") - 1]
    steps = np.diff(x)
    spread = float(steps.std(ddof=1))
    ks = stats.kstest(steps, stats.norm(steps.mean(), spread).cdf).statistic if spread > 0 else 0.0
    return PriceFit(
        level_usd_per_hour=float(np.exp(np.median(x))),
        volatility=spread / math.sqrt(step_h),
        n=int(steps.size),
        ks=float(ks),
    )
