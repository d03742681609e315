"""Performance profiles: in what share of settings an entrant is within a factor of the best.

After E. D. Dolan and J. J. More, Benchmarking optimization software with performance profiles,
Math. Programming 91, 2002.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import FloatArray


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Return each figure of which less is better as a multiple of the best of its setting.

    Infinite where an entrant has no result, and for all where none has one; settings in which an
    entrant was not run are left out.

    Parameters
    ----------
    table
        One row a setting, one column an entrant, as of :meth:`Study.table`.

    Raises
    ------
    InputError
        A negative figure, or no setting in which all entrants were run.
    """
    whole = table.dropna()
    if whole.empty:
        raise InputError("profiles: there is no setting in which all entrants were run")
    values = whole.to_numpy(np.float64)
    if (values < 0).any():
        raise InputError("profiles: expected figures >= 0; a multiple of less means nothing")
    best = values.min(axis=1, keepdims=True)
    usable = np.isfinite(values) & (best > 0)
    found = np.divide(values, best, out=np.full_like(values, np.inf), where=usable)
    found[np.isfinite(values) & (values == best)] = 1.0
    return whole.__class__(found, index=whole.index, columns=whole.columns)


def performance_profile(table: pd.DataFrame) -> pd.DataFrame:
    """Return the steps of every entrant's profile.

    Parameters
    ----------
    table
        One row a setting, one column an entrant, as of :meth:`Study.table`.

    Returns
    -------
    pandas.DataFrame
        ``entrant``, ``ratio`` (ascending from 1) and ``share``: of settings in which its figure is
        at most ``ratio`` times the best. The share at 1 is how often it is best; it ends below 1
        where it has no result in some settings.
    """
    import pandas as pd

    parts = []
    found = ratios(table)
    for name in found.columns:
        column = found[name].to_numpy(np.float64)
        steps = np.unique(np.append(column[np.isfinite(column)], 1.0))
        parts.append(
            pd.DataFrame({"entrant": str(name), "ratio": steps, "share": share_at(column, steps)})
        )
    return pd.concat(parts, ignore_index=True)


def share_at(ratio: FloatArray, within: FloatArray) -> FloatArray:
    """Return the share of ratios that are at most each of ``within``."""
    ordered = np.sort(ratio)
    counts: FloatArray = np.searchsorted(ordered, within, side="right") / ordered.size
    return counts
