"""Compiled list scheduling on a given fleet, by earliest finish with insertion."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.plan.kernels import earliest_fit
from autoscale.schedulers.heft.gaps.kernels import place_alone, runs_alone
from autoscale.schedulers.leasing.bounds.kernels import BLOCK, length_class, look, new_bounds, renew
from autoscale.schedulers.leasing.kernels import (
    commit,
    new_leases,
    open_lease,
    ready_time,
)


@numba.njit(cache=True)
def place_earliest(x, order, fleet, pinned):
    """Place each task where it ends first, on the fleet's leases.

    Parameters
    ----------
    order
        A topological order of the tasks.
    fleet
        Type of each lease.
    pinned
        Per task, the lease that it must go to, or -1.

    Returns
    -------
    leases
        The leases; of several that end a task equally early, the first has it.
    """
    if runs_alone(x, np.unique(fleet)):
        return place_alone(x, order, fleet, pinned)
    return place_shared(x, order, fleet, pinned)


@numba.njit(cache=True)
def place_shared(x, order, fleet, pinned):
    """As :func:`place_earliest`, on leases that run several tasks at once."""
    n = order.size
    s = new_leases(n, fleet.size)
    for k in fleet:
        open_lease(s, k)
    kinds = np.unique(fleet)
    b = new_bounds(x, kinds, fleet.size)
    blocks = b.block_since.shape[1]
    klass = np.full(x.price.size, -1)
    # Local names: passing whole structures for every lease would cost more than the search.
    duration, capacity, pool = x.duration, x.capacity, s.pool
    since, until = b.since, b.until
    block_since, block_until = b.block_since, b.block_until
    for i in order:
        cls = x.task_class[i]
        apart = ready_time(x, s, i, -1)
        soonest = x.boot
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            soonest = max(soonest, s.finish[x.parents[e]])
        c, m, g = x.need[i, 0], x.need[i, 1], x.need[i, 2]
        shortest = np.inf
        for k in kinds:
            shortest = min(shortest, duration[cls, k])
            klass[k] = length_class(b.length, duration[cls, k])
        lowest = length_class(b.length, shortest)
        # Where the bounds promise most, first: what that gives rules out most of the others.
        first, first_bound = 0, np.inf
        for block in range(blocks):
            bound = soonest
            if lowest >= 0 and block_since[lowest, block] <= soonest:
                bound = max(soonest, block_until[lowest, block])
            if bound < first_bound:
                first, first_bound = block, bound
        best, best_start, best_end = -1, np.inf, np.inf
        for turn in range(blocks + 1):
            block = turn - 1 if turn else first
            if pinned[i] >= 0 and pinned[i] // BLOCK != block:
                continue
            if turn:
                bound = soonest
                if lowest >= 0 and block_since[lowest, block] <= soonest:
                    bound = max(soonest, block_until[lowest, block])
                if bound + shortest > best_end:
                    continue
            low = block * BLOCK
            asked = False
            for lease in range(low, min(low + BLOCK, fleet.size)):
                if pinned[i] >= 0 and pinned[i] != lease:
                    continue
                k = fleet[lease]
                d = duration[cls, k]
                j = klass[k]
                if not d < np.inf:
                    continue
                ready = known = soonest
                if j >= 0 and since[j, lease] <= soonest:
                    ready = known = max(soonest, until[j, lease])
                if ready + d > best_end or (ready + d == best_end and lease >= best):
                    continue
                if apart != soonest:
                    ready = max(known, ready_time(x, s, i, lease))
                if ready + d > best_end or (ready + d == best_end and lease >= best):
                    continue
                if j >= 0:
                    ready = max(ready, look(x, s, b, lease, j, known))
                    asked = True
                    if ready + d > best_end or (ready + d == best_end and lease >= best):
                        continue
                t = earliest_fit(
                    pool, lease, ready, d, c, m, g,
                    capacity[k, 0] - c, capacity[k, 1] - m, capacity[k, 2] - g,
                )  # fmt: skip
                if t + d < best_end or (t + d == best_end and lease < best):
                    best, best_start, best_end = lease, t, t + d
                    if t == soonest and d == shortest:
                        break
            if asked:
                for k in kinds:
                    if klass[k] >= 0:
                        renew(b, klass[k], block)
            if turn and best_end == soonest + shortest and best < low + BLOCK:
                break
        commit(x, s, i, best, best_start)
    return s
