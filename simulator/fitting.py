"""Chance from measurements: distributions, probabilities and rates fitted to frames.

Each function takes a pandas frame with one row a measurement and returns what was fitted with
the size of the sample and how good the fit is; see :mod:`simulator.families`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError, unknown
from simulator.families import LEAST_SAMPLE, Fit, fit_distribution
from simulator.statistics import share

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityFit:
    """How often something happened: ``failures`` of ``trials``, with a 95 % interval."""

    failures: int
    trials: int
    low: float
    high: float

    @property
    def probability(self) -> float:
        """The share of failures."""
        return self.failures / self.trials


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFit:
    """Boot times of the machines that became ready, and how many did not."""

    time_s: Fit
    failure: ProbabilityFit


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFit:
    """Factors between repeated executions of the same thing, of mean 1.

    Parameters
    ----------
    factor
        The factors' distribution; ``factor.n`` counts executions.
    groups
        How many things were repeated.
    """

    factor: Fit
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFit:
    """Factors from estimate to truth: ``category`` is shared by tasks of one, ``task`` is not.

    Parameters
    ----------
    task
        Factors left once each category's own is taken out, with the bias.
    category_cv
        Coefficient of variation of the categories' factors; 0 where there is only one.
    categories
        How many have at least two tasks.
    bias
        Geometric mean of truth over estimate.
    """

    task: Fit
    category_cv: float
    categories: int
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotFit:
    """Interruptions per machine and hour.

    Parameters
    ----------
    rate_per_hour, low, high
        The rate with a 95 % interval, which allows for machines that are lost together.
    interruptions, machine_hours
        What was observed.
    weibull_shape
        Of the lives; 1 where they have no memory, below 1 where the young die sooner.
    ks
        Distance between the lives (Kaplan-Meier) and the exponential distribution.
    """

    rate_per_hour: float
    low: float
    high: float
    interruptions: int
    machine_hours: float
    weibull_shape: float
    ks: float


def fit_boot(frame: pd.DataFrame) -> BootFit:
    """Return how long machines boot, and how often one never becomes ready.

    Parameters
    ----------
    frame
        ``boot_s``: seconds from request to ready, blank where a machine never was.

    Raises
    ------
    InputError
        A column is missing, a time is not > 0, or there are too few.
    """
    boot_s = column(frame, "boot_s", blanks=True)
    ready = boot_s[~np.isnan(boot_s)]
    failures = boot_s.size - ready.size
    failed = share(failures, boot_s.size)
    return BootFit(
        time_s=fit_distribution(ready),
        failure=ProbabilityFit(
            failures=failures,
            trials=boot_s.size,
            low=failed.low,
            high=failed.high,
        ),
    )


def fit_runtime_noise(frame: pd.DataFrame) -> NoiseFit:
    """Return by which factors repeated executions of the same task differ.

    The logarithms of a group's runtimes are centred and stretched by ``sqrt(n / (n - 1))``, which
    makes up for the centre having been fitted to the same ``n`` of them.

    Parameters
    ----------
    frame
        ``task``: what was repeated (same program, input and machine); ``runtime_s``: seconds > 0.
        Tasks that ran once say nothing and are left out.

    Raises
    ------
    InputError
        A column is missing, a runtime is not > 0, or too little was repeated.
    """
    logs = np.log(column(frame, "runtime_s"))
    centred, groups = _centred(logs, _labels(frame, "task"))
    factors = np.exp(centred)
    return NoiseFit(
        factor=fit_distribution(
            factors / factors.mean(), families=("lognormal", "gamma"), shifted=False
        ),
        groups=groups,
    )


def fit_estimate_error(frame: pd.DataFrame) -> ErrorFit:
    """Return by which factors runtimes differ from their estimates.

    Parameters
    ----------
    frame
        ``estimate_s`` and ``runtime_s``: seconds > 0; ``category``: the program. Categories of
        one task say nothing and are left out.

    Raises
    ------
    InputError
        A column is missing, a time is not > 0, or there are too few.
    """
    logs = np.log(column(frame, "runtime_s")) - np.log(column(frame, "estimate_s"))
    label = _labels(frame, "category")
    centred, _ = _centred(logs, label)
    count = np.bincount(label)
    several = count >= 2
    means = (np.bincount(label, weights=logs) / np.maximum(count, 1))[several]
    # The spread of the categories' means has a part that is the tasks'.
    own = float((centred**2).mean())
    between = 0.0
    if means.size >= 2:
        between = max(0.0, float(means.var(ddof=1)) - own * float((1 / count[several]).mean()))
    bias = math.exp(float(logs.mean()))
    return ErrorFit(
        task=fit_distribution(
            bias * np.exp(centred), families=("lognormal", "gamma"), shifted=False
        ),
        category_cv=math.sqrt(math.expm1(between)),
        categories=int(several.sum()),
        bias=bias,
    )


def fit_spot(frame: pd.DataFrame) -> SpotFit:
    """Return how often spot machines are interrupted.

    Parameters
    ----------
    frame
        One row a machine. ``life_s``: seconds that it ran; ``interrupted``: whether the market
        ended it (1) or the observation did (0); ``event``, optional: machines that were lost
        together share a label, which widens the interval.

    Raises
    ------
    InputError
        A column is missing or out of range, or nothing was interrupted.
    """
    from scipy import stats

    hours = column(frame, "life_s") / 3600
    lost = column(frame, "interrupted", least=0) > 0
    total_h, losses = float(hours.sum()), int(lost.sum())
    if losses < LEAST_SAMPLE:
        raise InputError(f"fit: expected at least {LEAST_SAMPLE} interruptions, got {losses}")
    together = np.arange(losses)
    if "event" in frame.columns:
        together = _labels(frame.loc[lost], "event")
    batch = np.bincount(together)
    # A sum of independent batches has the variance of the sum of their squares.
    half = 1.96 * math.sqrt(float((batch.astype(float) ** 2).sum())) / total_h
    rate = losses / total_h
    sample: Any = stats.CensoredData(uncensored=hours[lost], right=hours[~lost])
    shape = float(stats.weibull_min.fit(sample, floc=0)[0])
    observed = stats.ecdf(sample).cdf
    expected = -np.expm1(-rate * observed.quantiles)
    before = np.append(0.0, observed.probabilities[:-1])
    ks = max(abs(observed.probabilities - expected).max(), abs(before - expected).max())
    return SpotFit(
        rate_per_hour=rate,
        low=max(0.0, rate - half),
        high=rate + half,
        interruptions=losses,
        machine_hours=total_h,
        weibull_shape=shape,
        ks=float(ks),
    )


def column(
    frame: pd.DataFrame, name: str, *, least: float | None = None, blanks: bool = False
) -> FloatArray:
    """Return a column as numbers, above 0 or at least ``least``.

    Raises
    ------
    InputError
        It is missing, or a value is not such a number (the first is named, rows from 0).
    """
    import pandas as pd

    _need(frame, name)
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    fine = np.isfinite(values) & (values > 0 if least is None else values >= least)
    if blanks:
        fine |= frame[name].isna().to_numpy()
    if not fine.all():
        i = int(np.argmin(fine))
        wanted = "> 0" if least is None else f">= {least:g}"
        raise InputError(
            f"measurements: row {i}, column {name!r}: expected a finite number {wanted}"
            f"{' or a blank' if blanks else ''}, got {frame[name].iloc[i]!r}"
        )
    return values


def _labels(frame: pd.DataFrame, name: str) -> Any:
    import pandas as pd

    _need(frame, name)
    if frame[name].isna().any():
        i = int(frame[name].isna().to_numpy().argmax())
        raise InputError(f"measurements: row {i}, column {name!r}: expected a name, got a blank")
    return pd.factorize(frame[name], sort=True)[0]


def _need(frame: pd.DataFrame, name: str) -> None:
    if name not in frame.columns:
        raise InputError(f"measurements: {unknown('column', name, tuple(map(str, frame.columns)))}")


def _centred(logs: FloatArray, label: Any) -> tuple[FloatArray, int]:
    """Return deviations from each group's mean, of full variance, and the number of groups."""
    count = np.bincount(label)
    mean = np.bincount(label, weights=logs) / np.maximum(count, 1)
    several = count[label] >= 2
    n = count[label][several]
    if not several.any():
        raise InputError("measurements: nothing was measured twice, so nothing can be compared")
    deviations: FloatArray = (logs - mean[label])[several] * np.sqrt(n / (n - 1))
    return deviations, int((count >= 2).sum())
