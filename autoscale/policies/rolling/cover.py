"""The least fleet for all open work: a small linear program over due times.

Sets: groups ``g`` of tasks that need the same, buckets ``b`` of due times, types ``k``.
Data: ``a_gbk`` seconds of whole leases that the work of a group due in a bucket takes on a type;
``T_b`` seconds until the bucket's due time, ``t_b`` the same less boot; ``H_kb`` seconds that the
held leases of a type have left until then; ``p_k`` price per second; ``f_k`` what a launch costs
beyond use (its boot; of a long quantum, half of it). Variables: ``n_k`` leases to launch, ``y_gbk``
share of a group's work in a bucket that a type does, ``u_gb`` share that is late.

    min sum_k f_k n_k + sum_gbk p_k a_gbk y_gbk + penalty * late work
    (1) sum_k y_gbk + u_gb = 1                                     for every group and bucket
    (2) sum_{g, b' <= b} a_gb'k y_gb'k <= H_kb + t_b n_k           for every type and bucket

(2) is the demand bound of earliest-deadline-first scheduling. Order among tasks is left out: what
the program says is where a search starts, and list simulation judges it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray

MOST_BUCKETS = 12
LATE = 50.0
"""Late work costs so many times as much as on the cheapest type."""


def groups_of(need: FloatArray) -> tuple[IntArray, int]:
    """Return the group of each task, by what it needs, and how many there are.

    Memory counts in powers of two of a GiB, so that there are few.
    """
    coarse = need.copy()
    coarse[:, 1] = np.ceil(np.log2(np.maximum(need[:, 1] / 2**30, 0.25)))
    _, group = np.unique(coarse, axis=0, return_inverse=True)
    number: IntArray = group.reshape(-1).astype(np.int64)
    return number, int(number.max()) + 1


def buckets_of(due_s: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the ends of buckets of due times, ascending, and each task's bucket."""
    ends = np.unique(np.quantile(due_s, np.linspace(0, 1, MOST_BUCKETS + 1)[1:], method="higher"))
    return ends, np.searchsorted(ends, due_s).astype(np.int64)


def least_fleet(
    load_s: FloatArray,
    held_s: FloatArray,
    left_s: FloatArray,
    price: FloatArray,
    launch_usd: FloatArray,
    most: FloatArray,
) -> FloatArray:
    """Return how many leases of each type to launch, fractional, shape (types,).

    Parameters
    ----------
    load_s
        ``a``, shape (groups, buckets, types); infinite where a group does not fit a type.
    held_s
        ``H``, shape (types, buckets).
    left_s
        ``t``, seconds that a lease launched now can work until each bucket's end, >= 0.
    price, launch_usd
        ``p`` per second and ``f``, USD.
    most
        How many leases of each type may be launched.
    """
    from autoscale.lp.backend import solve_model
    from autoscale.lp.model import LinearModel

    n_groups, n_buckets, n_types = load_s.shape
    fits = np.isfinite(load_s)
    load = np.where(fits, load_s, 0.0)
    cost = load * price
    least = np.where(fits, cost, np.inf).min(axis=2)
    model = LinearModel()
    n = model.add_variables("launch", n_types, cost=launch_usd, high=most)
    high = np.where(fits, 1.0, 0.0).ravel()
    y = model.add_variables("share", load.size, cost=cost.ravel(), high=high)
    y = y.reshape(load.shape)
    u = model.add_variables("late", n_groups * n_buckets, cost=LATE * least.ravel())
    every = np.arange(n_groups * n_buckets)
    rows = np.concatenate([np.repeat(every, n_types), every])  # (1)
    model.add_rows(
        "all", rows, np.concatenate([y.ravel(), u]), 1.0, low=1.0, high=np.ones(every.size)
    )
    g, early, k, b = (part.ravel() for part in np.indices((*load.shape, n_buckets)))  # (2)
    kept = early <= b
    g, early, k, b = g[kept], early[kept], k[kept], b[kept]
    types, ends = (part.ravel() for part in np.indices((n_types, n_buckets)))
    rows = np.concatenate([k * n_buckets + b, types * n_buckets + ends])
    columns = np.concatenate([y[g, early, k], n[types]])
    values = np.concatenate([load[g, early, k], -left_s[ends]])
    model.add_rows("demand", rows, columns, values, high=held_s.ravel())
    found = solve_model(model)
    return np.zeros(n_types) if found.x is None else np.maximum(found.x[n], 0.0)
