"""Compiled list scheduling on a given fleet, by earliest finish with insertion."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.schedulers.leasing.kernels import (
    commit,
    earliest_start,
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
    for i in order:
        cls = x.task_class[i]
        apart = ready_time(x, s, i, -1)
        soonest = x.boot
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            soonest = max(soonest, s.finish[x.parents[e]])
        best, best_start, best_end = -1, np.inf, np.inf
        for lease in range(fleet.size):
            d = x.duration[cls, fleet[lease]]
            if not d < np.inf or (pinned[i] >= 0 and pinned[i] != lease):
                continue
            if soonest + d >= best_end:
                continue
            ready = apart if apart == soonest else ready_time(x, s, i, lease)
            if ready + d >= best_end:
                continue
            t = earliest_start(x, s, i, lease, ready)
            if t + d < best_end:
                best, best_start, best_end = lease, t, t + d
                if t == soonest and d == shortest[cls]:
                    break
        commit(x, s, i, best, best_start)
    return s
