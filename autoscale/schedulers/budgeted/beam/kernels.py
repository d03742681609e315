"""The compiled step of MOHEFT: partial schedules are expanded, the best trade-offs survive."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.schedulers.leasing.kernels import (
    added_cost,
    commit,
    earliest_start,
    new_lease_cost,
    new_leases,
    open_lease,
    ready_time,
    total_cost,
)


@numba.njit(cache=True)
def copy_leases(s, t):
    """Write one state over another of the same size; only what is in use is copied."""
    n_leases, n = s.opened[0], s.lease.size
    t.kind[:n_leases] = s.kind[:n_leases]
    t.first[:] = s.first
    t.last[:] = s.last
    t.paid[:] = s.paid
    t.opened[0] = n_leases
    t.lease[:n] = s.lease
    t.start[:n] = s.start
    t.finish[:n] = s.finish
    t.head[:] = s.head
    t.link[:n] = s.link
    used = s.pool[5][0]
    t.pool[0][:used] = s.pool[0][:used]
    t.pool[1][:used] = s.pool[1][:used]
    t.pool[2][:used] = s.pool[2][:used]
    t.pool[3][:used] = s.pool[3][:used]
    t.pool[4][:] = s.pool[4]
    t.pool[5][0] = used


@numba.njit(cache=True)
def _pick(time, cost, count, keep, chosen):
    """Choose trade-offs: fronts in turn, of the last one the least crowded; return how many.

    Options that equal one already chosen are passed over.
    """
    order = np.argsort(cost[:count], kind="mergesort")
    order = order[np.argsort(time[:count][order], kind="mergesort")]
    alive = np.ones(count, dtype=np.bool_)
    for y in range(1, count):
        a, b = order[y - 1], order[y]
        if time[b] <= time[a] * (1 + 1e-12) and abs(cost[b] - cost[a]) <= 1e-12:
            # Equal to the one before; keep the first of the row.
            alive[b] = False
            order[y] = a
    n_chosen = 0
    front = np.empty(count, dtype=np.int64)
    while n_chosen < keep:
        size = 0
        least = np.inf
        for y in range(count):
            o = order[y]
            if alive[o] and cost[o] < least:
                least = cost[o]
                front[size] = o
                size += 1
                alive[o] = False
        if size == 0:
            break
        if n_chosen + size <= keep:
            for y in range(size):
                chosen[n_chosen + y] = front[y]
            n_chosen += size
            continue
        # A front is sorted both ways: neighbours in time are neighbours in cost.
        distance = np.full(size, np.inf)
        long = max(time[front[size - 1]] - time[front[0]], 1e-300)
        dear = max(cost[front[0]] - cost[front[size - 1]], 1e-300)
        for y in range(1, size - 1):
            distance[y] = (time[front[y + 1]] - time[front[y - 1]]) / long
            distance[y] += (cost[front[y - 1]] - cost[front[y + 1]]) / dear
        by_distance = np.argsort(-distance, kind="mergesort")
        for y in range(keep - n_chosen):
            chosen[n_chosen + y] = front[by_distance[y]]
        n_chosen = keep
    return n_chosen


@numba.njit(cache=True)
def begin(n_tasks, keep):
    """Return twice as many states as are kept, the first of them empty and in use."""
    states = [new_leases(n_tasks, n_tasks) for _ in range(2 * keep)]
    makespan = np.zeros(2 * keep, dtype=np.float64)
    in_use = np.zeros(keep, dtype=np.int64)
    return states, makespan, in_use


@numba.njit(cache=True, nogil=True)
def grow(x, states, makespan, in_use, n_in_use, order, offered, keep):
    """Schedule the tasks of ``order`` in every state; return how many states are in use.

    Parameters
    ----------
    x
        The problem, an ``Instance``.
    states, makespan
        All states and their makespans.
    in_use, n_in_use
        Which states hold the trade-offs, and how many; ``in_use`` is changed.
    order
        The next tasks in topological order.
    offered
        Per class, types worth opening, -1 ends a row.
    keep
        Trade-offs kept, at most.
    """
    n_states = len(states)
    for i in order:
        room = 0
        for y in range(n_in_use):
            room += 2 * states[in_use[y]].opened[0] + offered.shape[1]
        time = np.empty(room, dtype=np.float64)
        cost = np.empty(room, dtype=np.float64)
        start = np.empty(room, dtype=np.float64)
        parent = np.empty(room, dtype=np.int64)
        where = np.empty(room, dtype=np.int64)  # a lease, or -1 - a type
        count = 0
        cls = x.task_class[i]
        for y in range(n_in_use):
            s = states[in_use[y]]
            so_far, base = makespan[in_use[y]], total_cost(s)
            for lease in range(s.opened[0]):
                d = x.duration[cls, s.kind[lease]]
                if not d < np.inf:
                    continue
                t = ready_time(x, s, i, lease)
                for attempt in range(2):
                    if attempt == 1:
                        if not t < s.first[lease]:
                            break
                        t = s.first[lease]
                    t = earliest_start(x, s, i, lease, t)
                    time[count] = max(so_far, t + d)
                    cost[count] = base + added_cost(x, s, lease, t, t + d)
                    start[count] = t
                    parent[count] = in_use[y]
                    where[count] = lease
                    count += 1
            t = ready_time(x, s, i, -1)
            for z in range(offered.shape[1]):
                k = offered[cls, z]
                if k < 0:
                    break
                time[count] = max(so_far, t + x.duration[cls, k])
                cost[count] = base + new_lease_cost(x, i, k)
                start[count] = t
                parent[count] = in_use[y]
                where[count] = -1 - k
                count += 1
        chosen = np.empty(keep, dtype=np.int64)
        n_chosen = _pick(time, cost, count, keep, chosen)

        # A state's last child takes it over; the others get copies.
        left = np.zeros(n_states, dtype=np.int64)
        for y in range(n_chosen):
            left[parent[chosen[y]]] += 1
        taken = np.zeros(n_states, dtype=np.bool_)
        for y in range(n_chosen):
            taken[parent[chosen[y]]] = True
        for y in range(n_chosen):
            o = chosen[y]
            at = parent[o]
            left[at] -= 1
            if left[at] > 0:
                free = 0
                while taken[free]:
                    free += 1
                copy_leases(states[at], states[free])
                at = free
                taken[at] = True
            s = states[at]
            lease = where[o]
            if lease < 0:
                lease = open_lease(s, -1 - lease)
            commit(x, s, i, lease, start[o])
            makespan[at] = time[o]
            in_use[y] = at
        n_in_use = n_chosen
    return n_in_use
