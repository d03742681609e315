"""Which distribution a sample comes from: maximum likelihood, judged by Kolmogorov and Smirnov.

What a sample looks like decides its family: the family at the least distance if that distance is
one that chance explains, otherwise the sample's own table of quantiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from simulator.distributions import Distribution, Gamma, Lognormal, Quantiles, Weibull

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray

FAMILIES = ("lognormal", "gamma", "weibull")
CRITICAL_KS = 1.628
"""Times ``1 / sqrt(n)``: the distance that one sample in a hundred exceeds by chance alone.
Parameters fitted to the same sample make smaller distances, so the true level is stricter."""

GOOD_ENOUGH_KS = 0.05
"""A distance that is kept whatever chance says: large samples reject any smooth family."""

KNOTS = 32
"""Quantiles kept of a sample that no family describes."""

LEAST_SAMPLE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A distribution and the sample it was fitted to.

    Parameters
    ----------
    distribution
        What was fitted.
    n
        Size of the sample.
    ks
        Kolmogorov-Smirnov distance between the two, 0 to 1.
    best_family, best_ks
        The family that came closest, and its distance; ``distribution`` is of that family unless
        the distance is above ``critical_ks``.
    cv
        Coefficient of variation of the sample.
    """

    distribution: Distribution
    n: int
    ks: float
    best_family: str
    best_ks: float
    cv: float

    @property
    def critical_ks(self) -> float:
        """Distance above which a family is given up."""
        return critical_ks(self.n)


def critical_ks(n: int) -> float:
    """Return the distance above which a family is given up for a sample of ``n``."""
    return max(GOOD_ENOUGH_KS, CRITICAL_KS / math.sqrt(n))


def fit_distribution(
    samples: Any, *, families: tuple[str, ...] = FAMILIES, shifted: bool = True
) -> Fit:
    """Return the distribution of positive samples.

    Parameters
    ----------
    samples
        Finite numbers > 0, at least 8.
    families
        Candidates, by maximum likelihood.
    shifted
        Whether a family may begin above 0; otherwise it is held at the sample's mean.

    Raises
    ------
    InputError
        Too few samples, or one that is not a finite number > 0.
    """
    x = np.sort(np.asarray(samples, dtype=np.float64))
    if x.size < LEAST_SAMPLE:
        raise InputError(f"fit: expected at least {LEAST_SAMPLE} measurements, got {x.size}")
    if not (np.isfinite(x).all() and x[0] > 0):
        raise InputError(f"fit: expected finite numbers > 0, got {float(x[0])!r} to {x[-1]!r}")
    cv = float(x.std(ddof=1) / x.mean())
    if x[0] == x[-1]:
        table = Quantiles(probabilities=(0, 1), values=(x[0], x[0]))
        return Fit(distribution=table, n=x.size, ks=0.0, best_family="constant", best_ks=0.0, cv=cv)
    found = [(ks_distance(x, made), made) for made in (_fitted(x, f, shifted) for f in families)]
    ks, best = min(found, key=lambda pair: pair[0])
    chosen, family, best_ks = best, best.family, ks
    if ks > critical_ks(x.size):
        chosen = tabled(x, keep_mean=not shifted)
        ks = ks_distance(x, chosen)
    return Fit(distribution=chosen, n=x.size, ks=ks, best_family=family, best_ks=best_ks, cv=cv)


def tabled(samples: Any, *, knots: int = KNOTS, keep_mean: bool = True) -> Quantiles:
    """Return a short table of quantiles that follows a sample closely.

    The straight line from least to greatest is broken, again and again, where it is farthest from
    the sample's quantiles, in the stretch with the largest area between the two; so that jumps
    and long tails get the knots.

    Parameters
    ----------
    samples
        At least two finite numbers >= 0.
    knots
        Most rows of the table, >= 2.
    keep_mean
        Scale the values so that the mean is the sample's.
    """
    x = np.sort(np.asarray(samples, dtype=np.float64))
    p = np.linspace(0, 1, min(x.size, 10_001))
    q = np.quantile(x, p)
    kept = [0, p.size - 1]
    stretches = [_worst(q, 0, p.size - 1)]
    while len(kept) < knots and max(stretches)[0] > 0:
        _, first, at, last = stretches.pop(stretches.index(max(stretches)))
        kept.append(at)
        stretches += [_worst(q, first, at), _worst(q, at, last)]
    kept.sort()
    values = q[kept]
    if keep_mean:
        values = values * (x.mean() / np.trapezoid(values, p[kept]))
    return Quantiles(probabilities=tuple(p[kept].tolist()), values=tuple(values.tolist()))


def _worst(q: FloatArray, first: int, last: int) -> tuple[float, int, int, int]:
    """Return the area between quantiles and their chord, and where they are farthest apart."""
    if last - first < 2:
        return 0.0, first, first, last
    chord = np.linspace(q[first], q[last], last - first + 1)
    apart = np.abs(q[first : last + 1] - chord)
    return float(apart.sum()), first, first + 1 + int(apart[1:-1].argmax()), last


def _fitted(x: FloatArray, family: str, shifted: bool) -> Distribution:
    """Return the family's member of the greatest likelihood; shifts stay below the least sample."""
    if not shifted:
        return _made(family, *_likeliest(x, family, 0.0)[1], 0.0, float(x.mean()))
    shifts = np.linspace(0, 0.95 * x[0], 20).tolist()
    tried = [(*_likeliest(x, family, shift), shift) for shift in shifts]
    _, figures, shift = max(tried, key=lambda found: found[0])
    return _made(family, *figures, shift, None)


def _likeliest(x: FloatArray, family: str, shift: float) -> tuple[float, tuple[float, float]]:
    """Return the log-likelihood, and shape and scale as scipy has them, for a given shift."""
    from scipy import stats

    kind = {"lognormal": stats.lognorm, "gamma": stats.gamma, "weibull": stats.weibull_min}[family]
    shape, _, scale = kind.fit(x, floc=shift)
    return float(kind.logpdf(x, shape, shift, scale).sum()), (float(shape), float(scale))


def _made(
    family: str, shape: float, scale: float, shift: float, mean: float | None
) -> Distribution:
    if family == "weibull":
        factor = 1.0 if mean is None else mean / (scale * math.gamma(1 + 1 / shape))
        return Weibull(scale=scale * factor, shape=shape, shift=shift)
    if family == "gamma":
        return Gamma(
            mean=shape * scale if mean is None else mean, cv=max(shape**-0.5, 1e-3), shift=shift
        )
    own = scale * math.exp(shape**2 / 2)
    cv = math.sqrt(math.expm1(shape**2))
    return Lognormal(mean=own if mean is None else mean, cv=cv, shift=shift)


def ks_distance(samples: Any, distribution: Distribution) -> float:
    """Return the largest distance between the samples' distribution function and the other."""
    x = np.sort(np.asarray(samples, dtype=np.float64))
    below = cumulative(distribution, x)
    # A table may jump; just under the sample it has not yet.
    under = cumulative(distribution, np.nextafter(x, -np.inf))
    steps = np.arange(x.size + 1) / x.size
    return float(max((steps[1:] - below).max(), (under - steps[:-1]).max(), 0.0))


def cumulative(distribution: Distribution, x: FloatArray) -> FloatArray:
    """Return the probability of a draw of at most each value."""
    from scipy import stats

    d: Any = distribution
    if isinstance(d, Quantiles):
        return _table_below(np.array(d.values), np.array(d.probabilities), x)
    frozen: Any
    if isinstance(d, Lognormal):
        s = math.sqrt(math.log1p(d.cv**2))
        frozen = stats.lognorm(s, d.shift, d.mean * math.exp(-(s**2) / 2))
    elif isinstance(d, Gamma):
        frozen = stats.gamma(d.cv**-2, d.shift, d.mean * d.cv**2)
    elif isinstance(d, Weibull):
        frozen = stats.weibull_min(d.shape, d.shift, d.scale)
    else:
        raise InputError(f"fit: no distribution function for {distribution!r}")
    out: FloatArray = frozen.cdf(x)
    return out


def _table_below(values: FloatArray, probabilities: FloatArray, x: FloatArray) -> FloatArray:
    """Invert a quantile table; where it is flat, the higher probability counts."""
    after = np.searchsorted(values, x, side="right")
    last = np.clip(after, 1, values.size - 1)
    rise = values[last] - values[last - 1]
    share = (x - values[last - 1]) / np.where(rise > 0, rise, 1.0)
    step = probabilities[last] - probabilities[last - 1]
    inside = probabilities[last - 1] + share * step
    out: FloatArray = np.where(after == 0, 0.0, np.where(after == values.size, 1.0, inside))
    return out
