"""How many runs are enough for an interval of a wanted width.

The rule is Stein's two-stage one (Ann. Math. Statist. 16, 1945): from the spread of a first
sample it takes the number of runs at which the interval, with the first sample's quantile of
Student's t, is as narrow as wanted. With normal figures that interval covers the truth at least as
often as its level says, whatever the spread; stopping when an interval happens to look narrow
does not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from simulator.statistics import check_level, spread

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import FloatArray
    from simulator.study.runs import Study


def runs_needed(
    values: FloatArray, width: float, *, relative: bool = True, level: float = 0.95
) -> float:
    """Return the runs in all at which half the mean's interval is at most ``width``.

    Parameters
    ----------
    values
        The figures of the runs so far, or the differences of pairs; those that are not finite are
        left out.
    width
        Half the width that is wanted, > 0.
    relative
        Whether the width is a share of the mean's size.
    level
        Of confidence, between 0 and 1.

    Returns
    -------
    float
        A whole number, at least as many as there are; infinite where a relative width is wanted
        of a mean of 0; NaN with fewer than two values.

    Examples
    --------
    >>> import numpy as np
    >>> runs_needed(np.array([9.0, 10.0, 11.0]), 0.05)
    75.0
    """
    from scipy import stats

    check_level(level)
    if not 0 < width < math.inf:
        raise InputError(f"width: expected a number > 0, got {width!r}")
    x = values[np.isfinite(values)]
    if x.size < 2:
        return math.nan
    sd, mean = float(x.std(ddof=1)), float(x.mean())
    if sd == 0:
        return float(x.size)
    wanted = width * abs(mean) if relative else width
    if wanted == 0:
        return math.inf
    t = float(stats.t.ppf((1 + level) / 2, x.size - 1))
    return float(max(x.size, math.ceil((t * sd / wanted) ** 2)))


def precision(
    study: Study, figure: str = "cost_usd", *, width: float = 0.01, level: float = 0.95
) -> pd.DataFrame:
    """Return how precise every mean is, and how many more runs a wanted width takes.

    Parameters
    ----------
    study
        The runs.
    figure
        A column of them.
    width
        Half the width that is wanted, as a share of the mean, > 0.
    level
        Of confidence, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        A row for each setting and entrant: the settings, ``entrant``, ``runs`` (with a result),
        ``mean``, ``low``, ``high``, ``half_width`` (as a share of the mean) and ``more``: runs
        still to be made, NaN where fewer than two have a result.
    """
    import pandas as pd

    by = [*study.settings, "entrant"]
    done = study.runs[study.runs["completed"] & np.isfinite(study.runs[figure])]
    rows = []
    for key, group in done.groupby(by, sort=False, dropna=False):
        values = group[figure].to_numpy(np.float64)
        found = spread(values, level)
        size = abs(found.mean)
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "runs": found.runs,
                "mean": found.mean,
                "low": found.low,
                "high": found.high,
                "half_width": (found.high - found.mean) / size if size > 0 else math.nan,
                "more": runs_needed(values, width, level=level) - found.runs,
            }
        )
    columns = [*by, "runs", "mean", "low", "high", "half_width", "more"]
    return pd.DataFrame(rows, columns=columns)
