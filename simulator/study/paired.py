"""Paired comparisons: what two entrants differ by when both meet the same luck.

Under common random numbers the difference of two runs varies far less than either, so that few
runs tell apart what many unpaired ones would not. Many comparisons at once find something by
chance; p-values are corrected for their number (Holm, Scand. J. Statist. 6, 1979; or the false
discovery rate) and intervals hold together (Bonferroni).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from autoscale.errors import InputError
from simulator.statistics import check_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from autoscale.model.arrays import FloatArray

Correction = Literal["holm", "bonferroni", "fdr", "none"]
CORRECTIONS: tuple[Correction, ...] = ("holm", "bonferroni", "fdr", "none")
"""Ways to correct p-values: family-wise error (the first two), false discovery rate, not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two entrants differ by over pairs of runs or settings.

    Parameters
    ----------
    pairs
        How many pairs count: those in which both figures are finite.
    left_out
        How many do not.
    mean, low, high
        Mean of first minus second with its confidence interval (Student's t); with
        ``relative``, first / second - 1 from the mean of the logarithms. NaN with too few pairs.
    p_t, p_wilcoxon
        Probability of so large a difference if there were none: by the paired t-test, and by
        Wilcoxon's signed-rank test, which asks for no distribution (zeros are split). 1 where all
        pairs are equal; NaN with too few pairs.
    """

    pairs: int
    left_out: int
    mean: float
    low: float
    high: float
    p_t: float
    p_wilcoxon: float


def paired_difference(
    first: FloatArray, second: FloatArray, *, relative: bool = False, level: float = 0.95
) -> Difference:
    """Return what ``first`` and ``second`` differ by, pair by pair.

    Parameters
    ----------
    first, second
        One value a pair; pairs in which one is not finite are left out.
    relative
        Compare ratios instead of differences; all values must be > 0.
    level
        Of confidence, between 0 and 1.

    Raises
    ------
    InputError
        Different lengths, a level out of range, or a value that has no logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> found = paired_difference(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    >>> found.mean, found.pairs
    (-2.0, 3)
    >>> paired_difference(np.array([1.0, 2.0]), np.array([2.0, 4.0]), relative=True).mean
    -0.5
    """
    check_level(level)
    if first.shape != second.shape:
        raise InputError(f"pairs: expected as many of both, got {first.size} and {second.size}")
    both = np.isfinite(first) & np.isfinite(second)
    x, y = first[both], second[both]
    if relative:
        if not ((x > 0).all() and (y > 0).all()):
            raise InputError("pairs: ratios need values > 0; compare differences instead")
        x, y = np.log(x), np.log(y)
    mean, low, high = _interval(x - y, level)
    if relative:
        mean, low, high = (math.expm1(v) for v in (mean, low, high))
    p_t, p_wilcoxon = _p_values(x - y)
    return Difference(
        pairs=int(both.sum()), left_out=int((~both).sum()), mean=mean, low=low, high=high,
        p_t=p_t, p_wilcoxon=p_wilcoxon,
    )  # fmt: skip


def _interval(d: FloatArray, level: float) -> tuple[float, float, float]:
    from scipy import stats

    if d.size == 0:
        return math.nan, math.nan, math.nan
    mean = float(d.mean())
    if d.size == 1:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + level) / 2, d.size - 1)) * float(d.std(ddof=1)) / d.size**0.5
    return mean, mean - half, mean + half


def _p_values(d: FloatArray) -> tuple[float, float]:
    from scipy import stats

    if d.size < 2:
        return math.nan, math.nan
    if not d.any():
        return 1.0, 1.0
    p_wilcoxon = float(stats.wilcoxon(d, zero_method="zsplit").pvalue)
    sd = float(d.std(ddof=1))
    if sd <= 1e-12 * abs(float(d.mean())):  # all pairs differ by the same: no doubt is left
        return 0.0, p_wilcoxon
    statistic = float(d.mean()) / (sd / d.size**0.5)
    return float(2 * stats.t.sf(abs(statistic), d.size - 1)), p_wilcoxon


def adjusted(p_values: FloatArray, correction: Correction = "holm") -> FloatArray:
    """Return p-values corrected for their number; NaN stays NaN and counts for nothing.

    Parameters
    ----------
    p_values
        One a comparison.
    correction
        ``holm`` (step-down) or ``bonferroni`` against a single false discovery, ``fdr`` for the
        share of false ones among discoveries (Benjamini and Yekutieli, which holds for comparisons
        that depend on each other), ``none``.

    Examples
    --------
    >>> import numpy as np
    >>> adjusted(np.array([0.01, 0.04, 0.03])).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    from scipy import stats

    if correction not in CORRECTIONS:
        raise InputError(f"correction: expected one of {', '.join(CORRECTIONS)}, got {correction}")
    known = np.flatnonzero(~np.isnan(p_values))
    p = p_values[known]
    result = p_values.astype(np.float64, copy=True)
    if correction == "none" or p.size == 0:
        return result
    if correction == "fdr":
        corrected = stats.false_discovery_control(p, method="by")
    elif correction == "bonferroni":
        corrected = p * p.size
    else:
        order = np.argsort(p, kind="stable")
        steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
        corrected = np.empty_like(p)
        corrected[order] = steps
    result[known] = np.minimum(corrected, 1.0)
    return result


def compare(
    table: pd.DataFrame,
    *,
    baseline: str | None = None,
    relative: bool = True,
    level: float = 0.95,
    correction: Correction = "holm",
    test: Literal["wilcoxon", "t"] = "wilcoxon",
) -> pd.DataFrame:
    """Return the paired comparisons of entrants, one row a pair of them.

    Parameters
    ----------
    table
        One row a setting or run, one column an entrant, as of :meth:`Study.table`.
    baseline
        Compare all with this one only; every two with each other if None.
    relative
        Compare ratios (of figures > 0) instead of differences.
    level
        Of confidence that all intervals hold at once, between 0 and 1.
    correction
        See :func:`adjusted`.
    test
        Which p-value is corrected.

    Returns
    -------
    pandas.DataFrame
        ``first``, ``second``, ``pairs``, ``left_out``, ``mean``, ``low``, ``high``, ``p_t``,
        ``p_wilcoxon`` (see :class:`Difference`), ``p_adjusted``, and ``better``: the one with
        the lower figure where ``p_adjusted`` is below 1 - ``level``, else an empty text.
    """
    import pandas as pd

    check_level(level)
    names = [str(c) for c in table.columns]
    pairs = _pairs(names, baseline)
    each = 1 - (1 - level) / max(1, len(pairs))
    rows = []
    for first, second in pairs:
        x, y = (table[name].to_numpy(np.float64) for name in (first, second))
        d = paired_difference(x, y, relative=relative, level=each)
        rows.append(
            {
                "first": first, "second": second, "pairs": d.pairs, "left_out": d.left_out,
                "mean": d.mean, "low": d.low, "high": d.high,
                "p_t": d.p_t, "p_wilcoxon": d.p_wilcoxon,
            }
        )  # fmt: skip
    columns = [
        "first", "second", "pairs", "left_out", "mean", "low", "high", "p_t", "p_wilcoxon",
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    p = frame["p_wilcoxon" if test == "wilcoxon" else "p_t"].to_numpy(np.float64)
    frame["p_adjusted"] = adjusted(p, correction)
    lower = frame["first"].where(frame["mean"] < 0, frame["second"])
    frame["better"] = lower.where(frame["p_adjusted"] < 1 - level, "")
    return frame


def _pairs(names: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    if baseline is None:
        return list(itertools.combinations(names, 2))
    if baseline not in names:
        raise InputError(f"baseline: expected one of {', '.join(names)}, got {baseline!r}")
    return [(name, baseline) for name in names if name != baseline]
