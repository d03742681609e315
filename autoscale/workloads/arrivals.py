"""When workflows arrive: rates that vary over time, and arrivals drawn from them.

The patterns are those of Mao and Humphrey (SC'11): stable, growing, cycle (with bursts) and
on-and-off. Each is a rate of arrivals over time; arrivals are a Poisson process with that rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from autoscale.errors import InputError
from autoscale.units import HOUR_S

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray

MOST_ARRIVALS = 1_000_000
"""More arrivals than this are refused."""


class Pattern(Protocol):
    """A rate of arrivals over time."""

    @property
    def most_per_hour(self) -> float:
        """The rate is never above this, arrivals per hour."""

    def per_hour(self, time_s: FloatArray, horizon_s: float) -> FloatArray:
        """Return the rate at each time, arrivals per hour, of a stream as long as the horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable:
    """The same rate all the time.

    Parameters
    ----------
    rate_per_hour
        Arrivals per hour, > 0.
    """

    rate_per_hour: float

    def __post_init__(self) -> None:
        _check_rate("rate_per_hour", self.rate_per_hour)

    @property
    def most_per_hour(self) -> float:
        """The rate."""
        return self.rate_per_hour

    def per_hour(self, time_s: FloatArray, horizon_s: float) -> FloatArray:
        """Return the rate at each time."""
        return np.full_like(time_s, self.rate_per_hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """A rate that rises (or falls) evenly from the start to the horizon.

    Parameters
    ----------
    rate_per_hour, end_rate_per_hour
        Arrivals per hour at the start, >= 0, and at the horizon, >= 0; one of them > 0.
    """

    rate_per_hour: float
    end_rate_per_hour: float

    def __post_init__(self) -> None:
        _check_rate("rate_per_hour", self.rate_per_hour, zero=True)
        _check_rate("end_rate_per_hour", self.end_rate_per_hour, zero=True)
        _check_rate("the larger of the rates", self.most_per_hour)

    @property
    def most_per_hour(self) -> float:
        """The larger of the two rates."""
        return max(self.rate_per_hour, self.end_rate_per_hour)

    def per_hour(self, time_s: FloatArray, horizon_s: float) -> FloatArray:
        """Return the rate at each time."""
        rise = self.end_rate_per_hour - self.rate_per_hour
        return self.rate_per_hour + rise * (time_s / horizon_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A rate that swings between a low and a peak as a cosine; it starts low.

    Parameters
    ----------
    rate_per_hour, peak_rate_per_hour
        Arrivals per hour at the lowest, >= 0, and at the peak, >= the lowest and > 0.
    period_s
        Seconds from peak to peak, > 0.
    """

    rate_per_hour: float
    peak_rate_per_hour: float
    period_s: float

    def __post_init__(self) -> None:
        _check_rate("rate_per_hour", self.rate_per_hour, zero=True)
        _check_rate("peak_rate_per_hour", self.peak_rate_per_hour)
        if not self.peak_rate_per_hour >= self.rate_per_hour:
            raise InputError(
                f"peak_rate_per_hour: expected at least rate_per_hour = {self.rate_per_hour:g}, "
                f"got {self.peak_rate_per_hour!r}"
            )
        _check_seconds("period", self.period_s)

    @property
    def most_per_hour(self) -> float:
        """The rate at the peak."""
        return self.peak_rate_per_hour

    def per_hour(self, time_s: FloatArray, horizon_s: float) -> FloatArray:
        """Return the rate at each time."""
        swing = (self.peak_rate_per_hour - self.rate_per_hour) / 2
        out: FloatArray = self.rate_per_hour + swing * (
            1 - np.cos(2 * math.pi * time_s / self.period_s)
        )
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class OnOff:
    """A rate that is switched on and off; it starts on.

    Parameters
    ----------
    rate_per_hour
        Arrivals per hour while it is on, > 0.
    on_s, off_s
        Seconds that it is on, and off, in turn, > 0.
    off_rate_per_hour
        Arrivals per hour while it is off, from 0 to the rate while it is on.
    """

    rate_per_hour: float
    on_s: float
    off_s: float
    off_rate_per_hour: float = 0.0

    def __post_init__(self) -> None:
        _check_rate("rate_per_hour", self.rate_per_hour)
        _check_seconds("on", self.on_s)
        _check_seconds("off", self.off_s)
        if not 0 <= self.off_rate_per_hour <= self.rate_per_hour:
            raise InputError(
                f"off_rate_per_hour: expected a rate from 0 to {self.rate_per_hour:g}, got "
                f"{self.off_rate_per_hour!r}"
            )

    @property
    def most_per_hour(self) -> float:
        """The rate while it is on."""
        return self.rate_per_hour

    def per_hour(self, time_s: FloatArray, horizon_s: float) -> FloatArray:
        """Return the rate at each time."""
        on = np.mod(time_s, self.on_s + self.off_s) < self.on_s
        return np.where(on, self.rate_per_hour, self.off_rate_per_hour)


def arrival_times_s(pattern: Pattern, horizon_s: float, rng: np.random.Generator) -> FloatArray:
    """Return when arrivals happen from 0 to the horizon, seconds, ascending.

    A Poisson process whose rate varies, by thinning (Lewis and Shedler 1979): arrivals at the
    highest rate, each kept with the probability that is the rate at its time over the highest.

    Parameters
    ----------
    pattern
        The rate.
    horizon_s
        The stream's length, seconds, > 0.
    rng
        Source of randomness.

    Raises
    ------
    InputError
        A horizon that is not > 0, or more than a million arrivals.

    Examples
    --------
    >>> times = arrival_times_s(Stable(rate_per_hour=10), 36_000, np.random.default_rng(1))
    >>> times.size, bool(times.max() < 36_000)
    (100, True)
    """
    _check_seconds("horizon", horizon_s)
    expected = pattern.most_per_hour * horizon_s / HOUR_S
    if expected > MOST_ARRIVALS:
        raise InputError(
            f"arrivals: expected at most {MOST_ARRIVALS:,} within the horizon, got about "
            f"{expected:,.0f}; lower the rate or the horizon"
        )
    times: FloatArray = np.sort(rng.uniform(0.0, horizon_s, rng.poisson(expected)))
    kept = rng.random(times.size) * pattern.most_per_hour < pattern.per_hour(times, horizon_s)
    return times[kept]


def _check_rate(name: str, value: float, *, zero: bool = False) -> None:
    if not (0 <= value < math.inf and (zero or value > 0)):
        sign = ">= 0" if zero else "> 0"
        raise InputError(f"{name}: expected a rate per hour {sign}, got {value!r}")


def _check_seconds(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{name}: expected finite seconds > 0, got {value!r}")
