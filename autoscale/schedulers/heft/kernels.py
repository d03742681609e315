"""Compiled list scheduling on a given fleet, by earliest finish with insertion."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.plan.kernels import earliest_fit
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
    n = order.size
    s = new_leases(n, fleet.size)
    for k in fleet:
        open_lease(s, k)
    # Once a task starts when it is ready on a lease as fast as any, no lease can be better.
    shortest = np.full(x.duration.shape[0], np.inf)
    for cls in range(shortest.size):
        for k in fleet:
            shortest[cls] = min(shortest[cls], x.duration[cls, k])
    # Local names: passing whole structures for every lease would cost more than the search.
    duration, capacity, pool = x.duration, x.capacity, s.pool
    for i in order:
        cls = x.task_class[i]
        apart = ready_time(x, s, i, -1)
        soonest = x.boot
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            soonest = max(soonest, s.finish[x.parents[e]])
        c, m, g = x.need[i, 0], x.need[i, 1], x.need[i, 2]
        best, best_start, best_end = -1, np.inf, np.inf
        for lease in range(fleet.size):
            k = fleet[lease]
            d = duration[cls, k]
            if not soonest + d < best_end or (pinned[i] >= 0 and pinned[i] != lease):
                continue
            ready = apart if apart == soonest else ready_time(x, s, i, lease)
            if not ready + d < best_end:
                continue
            t = earliest_fit(
                pool, lease, ready, d, c, m, g,
                capacity[k, 0] - c, capacity[k, 1] - m, capacity[k, 2] - g,
            )  # fmt: skip
            if t + d < best_end:
                best, best_start, best_end = lease, t, t + d
                if t == soonest and d == shortest[cls]:
                    break
        commit(x, s, i, best, best_start)
    return s
