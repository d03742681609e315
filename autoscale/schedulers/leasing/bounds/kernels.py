"""Compiled bounds on when leases have room, for schedulers that ask thousands for every task.

A lease only gets fuller, so what it once said stays true: between the moment that it was asked
about and its answer it has no room for the least need of any task, for as long as was asked. The
bounds propose; whether there is room is always read from the lease itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from autoscale.plan.kernels import earliest_fit

BLOCK = 64
"""Leases under one bound."""

LENGTHS = 16
"""Classes of durations, from the shortest to the longest in equal ratios."""


class Bounds(NamedTuple):
    """From when to when leases, and blocks of them, have no room, by class of duration.

    ``since``, ``until`` have shape (lengths, leases), ``block_since``, ``block_until`` (lengths,
    blocks): in no lease of the block there is room for ``length[j]`` seconds that begins in
    [since, until). ``least`` is the need that is meant.
    """

    length: Any
    least: Any
    since: Any
    until: Any
    block_since: Any
    block_until: Any


@numba.njit(cache=True)
def least_need(x):
    """Return the least that any task needs of each resource."""
    least = x.need[0].copy()
    for i in range(x.need.shape[0]):
        least = np.minimum(least, x.need[i])
    return least


@numba.njit(cache=True)
def new_bounds(x, kinds, n_leases):
    """Return bounds that say nothing yet, for leases of some types."""
    longest = shortest = 0.0
    for cls in range(x.duration.shape[0]):
        for k in kinds:
            d = x.duration[cls, k]
            if 0.0 < d < np.inf:
                longest = max(longest, d)
                shortest = d if shortest == 0.0 else min(shortest, d)
    length = np.zeros(LENGTHS)
    if shortest > 0.0:
        for j in range(LENGTHS):
            length[j] = shortest * (longest / shortest) ** (j / LENGTHS)
    least = least_need(x)
    blocks = (n_leases + BLOCK - 1) // BLOCK
    return Bounds(
        length,
        least,
        np.full((LENGTHS, n_leases), np.inf),
        np.full((LENGTHS, n_leases), -np.inf),
        np.full((LENGTHS, blocks), np.inf),
        np.full((LENGTHS, blocks), -np.inf),
    )


@numba.njit(cache=True)
def length_class(length, d):
    """Return the last class whose length is at most a duration; -1 if there is none."""
    j = length.size - 1
    while j >= 0 and length[j] > d:
        j -= 1
    return j


@numba.njit(cache=True)
def look(x, s, b, lease, j, ready):
    """Ask a lease from when on, at the least, it has room for tasks of a class, and note it."""
    k = s.kind[lease]
    c, m, g = b.least[0], b.least[1], b.least[2]
    t = earliest_fit(
        s.pool, lease, ready, b.length[j], c, m, g,
        x.capacity[k, 0] - c, x.capacity[k, 1] - m, x.capacity[k, 2] - g,
    )  # fmt: skip
    since, until = b.since[j, lease], b.until[j, lease]
    if since <= ready <= until:
        ready = since
    elif ready <= since <= t:
        t = max(t, until)
    b.since[j, lease], b.until[j, lease] = ready, t
    return t


@numba.njit(cache=True)
def renew(b, j, block):
    """Bring a block's bounds up to date with those of its leases."""
    low = block * BLOCK
    since, until = -np.inf, np.inf
    for lease in range(low, min(low + BLOCK, b.since.shape[1])):
        since = max(since, b.since[j, lease])
        until = min(until, b.until[j, lease])
    b.block_since[j, block], b.block_until[j, block] = since, until


@numba.njit(cache=True)
def forget(b, lease):
    """Say nothing of a lease any more: it has got room."""
    block = lease // BLOCK
    for j in range(LENGTHS):
        b.since[j, lease], b.until[j, lease] = np.inf, -np.inf
        b.block_since[j, block], b.block_until[j, block] = np.inf, -np.inf
