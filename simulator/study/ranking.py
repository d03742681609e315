"""Who is better over many settings, by ranks: Friedman's test and Nemenyi's critical difference.

Ranks ask nothing of the figures' scale, so that large workflows do not outvote small ones, and a
run without a result is simply last. After J. Demsar, Statistical comparisons of classifiers over
multiple data sets, JMLR 7, 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from simulator.statistics import check_level

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Entrants by mean rank.

    Parameters
    ----------
    entrants
        The best first.
    mean_rank
        Of each, over settings; 1 is best, those that tie share the mean of their places.
    wins
        In how many settings each was best, ties included.
    settings
        How many count: those in which all entrants were run.
    left_out
        How many do not.
    statistic, p_value
        Friedman's chi-square, and the probability of ranks so unequal if all were alike (Iman and
        Davenport's F; the sign test of two entrants); NaN with fewer than two settings.
    critical_difference
        Mean ranks that differ by at least this are told apart (Nemenyi).
    groups
        Largest sets of entrants that are not told apart, best first; two or more a set.
    level
        Of confidence.
    """

    entrants: tuple[str, ...]
    mean_rank: tuple[float, ...]
    wins: tuple[int, ...]
    settings: int
    left_out: int
    statistic: float
    p_value: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    level: float


def rank(table: pd.DataFrame, *, level: float = 0.95) -> Ranking:
    """Return the ranking of entrants by a figure of which less is better.

    Settings should not depend on each other: give means over replications, not the runs.

    Parameters
    ----------
    table
        One row a setting, one column an entrant, as of :meth:`Study.table`; infinite is worst.
    level
        Of confidence, between 0 and 1.

    Raises
    ------
    InputError
        Fewer than two entrants, or no setting in which all were run.
    """
    from scipy import stats

    check_level(level)
    values = table.to_numpy(np.float64)
    whole = ~np.isnan(values).any(axis=1)
    n, k = int(whole.sum()), values.shape[1]
    if k < 2:
        raise InputError(f"ranking: expected at least two entrants, got {k}")
    if n < 1:
        raise InputError("ranking: there is no setting in which all entrants were run")
    ranks = stats.rankdata(values[whole], axis=1)
    mean = ranks.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    names = [str(table.columns[i]) for i in order]
    statistic, p_value = _friedman(ranks)
    difference = critical_difference(k, n, level=level)
    best = values[whole] == values[whole].min(axis=1, keepdims=True)
    return Ranking(
        entrants=tuple(names), mean_rank=tuple(mean[order].tolist()),
        wins=tuple((best & np.isfinite(values[whole])).sum(axis=0)[order].tolist()),
        settings=n, left_out=int((~whole).sum()), statistic=statistic, p_value=p_value,
        critical_difference=difference, groups=_groups(names, mean[order], difference), level=level,
    )  # fmt: skip


def critical_difference(entrants: int, settings: int, *, level: float = 0.95) -> float:
    """Return by how much mean ranks must differ to be told apart (Nemenyi's test).

    Examples
    --------
    >>> round(critical_difference(4, 14), 2)  # Demsar's example: 1.25
    1.25
    """
    from scipy import stats

    q = float(stats.studentized_range.ppf(level, entrants, np.inf)) / math.sqrt(2)
    return q * math.sqrt(entrants * (entrants + 1) / (6 * settings))


def _friedman(ranks: FloatArray) -> tuple[float, float]:
    """Return Friedman's chi-square and the p-value of Iman and Davenport's F."""
    from scipy import stats

    n, k = ranks.shape
    if n < 2:
        return math.nan, math.nan
    if k == 2:
        wins = int((ranks[:, 0] < ranks[:, 1]).sum())
        untied = int((ranks[:, 0] != ranks[:, 1]).sum())
        chi2 = (2 * wins - untied) ** 2 / untied if untied else 0.0
        return chi2, float(stats.binomtest(wins, untied).pvalue) if untied else 1.0
    if (ranks == ranks[0, 0]).all():
        return 0.0, 1.0
    chi2 = float(stats.friedmanchisquare(*ranks.T).statistic)
    left = n * (k - 1) - chi2
    if left <= 1e-9 * n * k:
        return chi2, 0.0
    return chi2, float(stats.f.sf((n - 1) * chi2 / left, k - 1, (k - 1) * (n - 1)))


def _groups(names: list[str], mean: FloatArray, difference: float) -> tuple[tuple[str, ...], ...]:
    """Return the largest runs of neighbours in rank whose ends are not told apart."""
    groups: list[tuple[int, int]] = []
    for first in range(len(names)):
        near = np.flatnonzero(mean - mean[first] < difference)
        last = int(near.max())
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return tuple(tuple(names[first : last + 1]) for first, last in groups)
