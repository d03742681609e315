"""What many runs say: spreads, probabilities with confidence intervals, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from simulator.replay import Replications


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a figure is spread over runs.

    Parameters
    ----------
    runs
        How many runs count; those that were given up do not.
    mean, low, high
        The mean with its confidence interval (Student's t); NaN where there are too few runs.
    sd
        Standard deviation.
    p5, p50, p95, worst
        Quantiles (linear between runs), and the largest value.
    """

    runs: int
    mean: float
    low: float
    high: float
    sd: float
    p5: float
    p50: float
    p95: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often something happened, with its exact (Clopper-Pearson) confidence interval."""

    hits: int
    runs: int
    value: float
    low: float
    high: float


def check_level(level: float) -> None:
    """Refuse a level of confidence that is not between 0 and 1."""
    if not 0 < level < 1:
        raise InputError(f"confidence: expected a level between 0 and 1, got {level!r}")


def spread(values: FloatArray, level: float = 0.95) -> Spread:
    """Return how the finite values are spread.

    Parameters
    ----------
    values
        One value a run; infinite ones are left out.
    level
        Of confidence, between 0 and 1.
    """
    from scipy import special

    check_level(level)
    x = values[np.isfinite(values)]
    n = int(x.size)
    if n == 0:
        nan = math.nan
        return Spread(
            runs=0, mean=nan, low=nan, high=nan, sd=nan, p5=nan, p50=nan, p95=nan, worst=nan
        )
    mean, sd = float(x.mean()), float(x.std(ddof=1)) if n > 1 else math.nan
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n) if n > 1 else math.nan
    p5, p50, p95 = np.quantile(x, [0.05, 0.5, 0.95]).tolist()
    return Spread(
        runs=n,
        mean=mean,
        low=mean - half,
        high=mean + half,
        sd=sd,
        p5=p5,
        p50=p50,
        p95=p95,
        worst=float(x.max()),
    )


def share(hits: int, runs: int, level: float = 0.95) -> Share:
    """Return the share of runs in which something happened, with its Clopper-Pearson interval.

    Examples
    --------
    >>> found = share(10, 10)
    >>> round(found.low, 4), found.high
    (0.6915, 1.0)
    """
    from scipy import special

    check_level(level)
    if not 0 <= hits <= runs or runs < 1:
        raise InputError(f"share: expected 0 <= hits <= runs and runs >= 1, got {hits} of {runs}")
    tail = (1 - level) / 2
    return Share(
        hits=hits,
        runs=runs,
        value=hits / runs,
        low=float(special.betaincinv(hits, runs - hits + 1, tail)) if hits else 0.0,
        high=float(special.betaincinv(hits + 1, runs - hits, 1 - tail)) if hits < runs else 1.0,
    )


def meets_deadline(makespan_s: FloatArray, deadline_s: float) -> int:
    """Return in how many runs every task ended by the deadline."""
    return int((makespan_s <= deadline_s + TIME_TOL_S).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A stop rule: enough runs for intervals of a wanted width.

    The interval of a run count that the results themselves chose covers a little less often than
    its level says; the rule looks at few counts, a tenth apart, to keep that small.

    Parameters
    ----------
    width
        Half the width that is wanted, > 0: of the means of cost and makespan relative to them,
        and of the probability of meeting the deadline as it stands.
    level
        Of confidence, between 0 and 1.
    deadline_s
        The deadline, or None.
    """

    width: float
    level: float = 0.95
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        check_level(self.level)
        if not 0 < self.width < math.inf:
            raise InputError(f"precision: expected a width > 0, got {self.width!r}")

    def __call__(self, figures: FloatArray) -> bool:
        """Return whether the runs so far are enough; columns as in ``replay.FIGURES``."""
        for column in (0, 1):
            found = spread(figures[:, column], self.level)
            if not found.high - found.mean <= self.width * abs(found.mean):
                return False
        if self.deadline_s is None:
            return True
        hits = meets_deadline(figures[:, 1], self.deadline_s)
        found_share = share(hits, figures.shape[0], self.level)
        return found_share.high - found_share.low <= 2 * self.width


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What the runs of a plan say.

    Parameters
    ----------
    cost_usd, makespan_s
        Their spreads; runs that were given up count for neither.
    deadline
        How often every task ended by the deadline (a run that was given up did not); None
        without a deadline.
    given_up
        How many runs were given up.
    lost_s
        Mean per run of the seconds lost, summed over tasks, by reason.
    machines, attempts
        Means per run of the machines requested and of the starts of tasks.
    """

    cost_usd: Spread
    makespan_s: Spread
    deadline: Share | None
    given_up: int
    lost_s: dict[str, float]
    machines: float
    attempts: float


LOSSES = {
    "wait_parents_s": "parents",
    "wait_boot_s": "boot",
    "wait_order_s": "order",
    "wait_capacity_s": "capacity",
    "rerun_s": "reruns",
    "compute_s": "computation",
    "transfer_s": "transfers",
}
"""Reasons for which time is lost, by the figure that counts it."""


def summarise(runs: Replications, deadline_s: float | None = None, level: float = 0.95) -> Summary:
    """Return what the runs say.

    Parameters
    ----------
    runs
        At least one.
    deadline_s
        The deadline, or None.
    level
        Of confidence, between 0 and 1.
    """
    completed = np.isfinite(runs["makespan_s"])
    cost = np.where(completed, runs["cost_usd"], np.inf)
    deadline = None
    if deadline_s is not None:
        deadline = share(meets_deadline(runs["makespan_s"], deadline_s), len(runs), level)
    return Summary(
        cost_usd=spread(cost, level),
        makespan_s=spread(runs["makespan_s"], level),
        deadline=deadline,
        given_up=int((~completed).sum()),
        lost_s={reason: float(runs[name].mean()) for name, reason in LOSSES.items()},
        machines=float(runs["machines"].mean()),
        attempts=float(runs["attempts"].mean()),
    )
