"""Ensembles: many workflows of one application that share a deadline and a budget.

After Malawski, Juve, Deelman and Nabrzyski (SC'12): workflows of constant, uniformly or Pareto
distributed sizes, with priorities 1, 2, ...; workflow ``w`` of priority ``p(w)`` is worth
``2 ** -p(w)``. In sorted ensembles larger workflows have higher priority. The paper draws from a
set of prepared workflows; here each is generated with the size that was drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from autoscale.errors import InputError, unknown
from autoscale.workloads.applications import application

if TYPE_CHECKING:
    from autoscale.model.arrays import IntArray
    from autoscale.model.workflow import Workflow

Sizes = Literal["constant", "uniform", "pareto"]

MOST_WORKFLOWS = 1000
"""Beyond this many priorities, the worth of a workflow is nothing that floats can hold."""

PARETO_SHAPE = 1.0
"""Exponent of the Pareto distribution: many small workflows and a few large ones."""


def ensemble_sizes(
    n: int, sizes: Sizes, smallest: int, largest: int, rng: np.random.Generator
) -> IntArray:
    """Return numbers of tasks, shape (n,).

    Parameters
    ----------
    n
        Number of workflows, 1 to 1000.
    sizes
        ``constant`` (all the largest), ``uniform`` or ``pareto`` (between the bounds, exponent 1).
    smallest, largest
        Bounds, 1 <= smallest <= largest.
    rng
        Source of randomness.

    Raises
    ------
    InputError
        A figure out of range.
    """
    if sizes not in get_args(Sizes):
        raise InputError(f"sizes: {unknown('distribution', str(sizes), get_args(Sizes))}")
    if not 1 <= n <= MOST_WORKFLOWS:
        raise InputError(f"workflows: expected a whole number from 1 to {MOST_WORKFLOWS}, got {n}")
    if not 1 <= smallest <= largest:
        raise InputError(
            f"smallest, largest: expected 1 <= smallest <= largest, got {smallest} and {largest}"
        )
    if sizes == "constant":
        return np.full(n, largest)
    if sizes == "uniform":
        return rng.integers(smallest, largest + 1, n)
    low, high = float(smallest), float(largest) + 1
    # The Pareto distribution cut at both ends, by inversion.
    share = 1 - rng.random(n) * (1 - (low / high) ** PARETO_SHAPE)
    drawn: IntArray = np.floor(low * share ** (-1 / PARETO_SHAPE)).astype(np.int64)
    return np.minimum(drawn, largest)


def ensemble(
    name: str,
    n: int,
    rng: np.random.Generator,
    *,
    sizes: Sizes = "pareto",
    smallest: int = 50,
    largest: int = 1000,
    by_size: bool = True,
    runtime_mean_s: float | None = None,
    runtime_cv: float | None = None,
) -> tuple[Workflow, ...]:
    """Return the workflows of an ensemble by priority, which each states: 1/2, 1/4, ...

    Parameters
    ----------
    name
        An application, see :func:`~autoscale.workloads.applications.application`.
    n
        Number of workflows, 1 to 1000.
    rng
        Source of randomness.
    sizes, smallest, largest
        How numbers of tasks are distributed, see :func:`ensemble_sizes`.
    by_size
        Whether larger workflows have higher priority (the paper's sorted ensembles).
    runtime_mean_s, runtime_cv
        As for the application.

    Raises
    ------
    InputError
        An unknown application, or a figure out of range.
    """
    tasks = ensemble_sizes(n, sizes, smallest, largest, rng)
    if by_size:
        tasks = -np.sort(-tasks)
    made = [
        application(name, int(size), rng, runtime_mean_s=runtime_mean_s, runtime_cv=runtime_cv)
        for size in tasks
    ]
    return tuple(w.replace(priority=2.0 ** -(rank + 1)) for rank, w in enumerate(made))
