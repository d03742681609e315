"""Which types of a large catalogue are worth looking at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.schedulers.leasing.instance import instance

if TYPE_CHECKING:
    from autoscale.model.arrays import IntArray
    from autoscale.model.problem import Problem


def useful_types(problem: Problem, most: int) -> IntArray:
    """Return types, at most so many, on which a lease of its own suits some task.

    For every task there is a row of types from the cheapest to the fastest, each faster than the
    one before. Kept are the types that are somebody's fastest or cheapest, then those between, by
    the number of tasks; every task fits at least one type that is kept, if need be of more than
    ``most``. Ascending indices into the catalogue.
    """
    from autoscale.schedulers.subdeadline.kernels import new_lease_ranking

    ranking = new_lease_ranking(instance(problem))
    size = np.bincount(problem.task_class, minlength=len(ranking)).astype(np.float64)
    last = (ranking >= 0).sum(axis=1) - 1
    n_types = len(problem.catalog)
    ends = np.zeros(n_types)
    np.add.at(ends, ranking[:, 0], size)
    np.add.at(ends, ranking[np.arange(len(ranking)), last], size)
    rows, columns = np.nonzero(ranking >= 0)
    between = np.bincount(ranking[rows, columns], weights=size[rows], minlength=n_types)
    order = np.lexsort((np.arange(n_types), -between, -ends))
    chosen = [int(k) for k in order[:most] if between[k] > 0]
    fits = np.isfinite(problem.duration_s)
    missing = ~fits[:, chosen].any(axis=1)
    while missing.any():
        helps = fits[missing].sum(axis=0)
        k = int(np.lexsort((problem.catalog.price_per_s, -helps))[0])
        chosen.append(k)
        missing &= ~fits[:, k]
    return np.array(sorted(chosen), dtype=np.int64)
