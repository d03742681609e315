"""Compiled pieces of schedulers: passes over the graph, and leases filled task by task.

``x`` is always an :class:`~autoscale.schedulers.leasing.instance.Instance`, ``s`` the
:class:`~autoscale.schedulers.leasing.instance.Leases` so far. Times are seconds, money is USD.
"""

from __future__ import annotations

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.plan.kernels import earliest_fit, new_pool, occupy
from autoscale.schedulers.leasing.instance import Leases


@numba.njit(cache=True)
def upward_ranks(x, duration):
    """Return each task's longest chain to the end, itself and data transfers included."""
    n = duration.size
    rank = np.zeros(n, dtype=np.float64)
    for i in range(n - 1, -1, -1):
        longest = 0.0
        for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
            longest = max(longest, x.child_edge_s[e] + rank[x.children[e]])
        rank[i] = duration[i] + longest
    return rank


@numba.njit(cache=True)
def downward_ranks(x, duration):
    """Return the longest chain that ends before each task, data transfers included."""
    n = duration.size
    rank = np.zeros(n, dtype=np.float64)
    for i in range(n):
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            p = x.parents[e]
            rank[i] = max(rank[i], rank[p] + duration[p] + x.edge_s[e])
    return rank


@numba.njit(cache=True)
def earliest_starts(x, duration):
    """Return the earliest start of each task after boot, transfers included (EST)."""
    rank = downward_ranks(x, duration)
    for i in range(rank.size):
        rank[i] += x.boot
    return rank


@numba.njit(cache=True)
def latest_finishes(x, duration, deadline):
    """Return when each task must end for all to end by the deadline, transfers included (LFT)."""
    rank = upward_ranks(x, duration)
    for i in range(rank.size):
        rank[i] = deadline - (rank[i] - duration[i])
    return rank


@numba.njit(cache=True)
def topological_by(x, key):
    """Return the tasks by ascending key, each after its parents; equal keys by index.

    Of the tasks whose parents are all taken, the one with the least key is next.
    """
    n = key.size
    order = np.empty(n, dtype=np.int64)
    missing = np.empty(n, dtype=np.int64)
    heap = np.empty(n, dtype=np.int64)
    size = 0
    for i in range(n):
        missing[i] = x.parent_ptr[i + 1] - x.parent_ptr[i]
        if missing[i] == 0:
            size = _push(heap, size, key, i)
    for at in range(n):
        i, size = _pop(heap, size, key)
        order[at] = i
        for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
            c = x.children[e]
            missing[c] -= 1
            if missing[c] == 0:
                size = _push(heap, size, key, c)
    return order


@numba.njit(cache=True)
def _before(key, a, b):
    return key[a] < key[b] or (key[a] == key[b] and a < b)


@numba.njit(cache=True)
def _push(heap, size, key, i):
    at = size
    while at > 0:
        up = (at - 1) // 2
        if not _before(key, i, heap[up]):
            break
        heap[at] = heap[up]
        at = up
    heap[at] = i
    return size + 1


@numba.njit(cache=True)
def _pop(heap, size, key):
    top = heap[0]
    size -= 1
    i = heap[size]
    at = 0
    while True:
        low = 2 * at + 1
        if low >= size:
            break
        if low + 1 < size and _before(key, heap[low + 1], heap[low]):
            low += 1
        if not _before(key, heap[low], i):
            break
        heap[at] = heap[low]
        at = low
    heap[at] = i
    return top, size


@numba.njit(cache=True)
def new_leases(n_tasks, max_leases, spare=0):
    """Return a state without any lease, with room for ``max_leases``.

    ``spare`` is for how many tasks more the profiles have room, where tasks are tried and
    withdrawn.
    """
    return Leases(
        np.zeros(max_leases, dtype=np.int32),
        np.full(max_leases, np.inf),
        np.full(max_leases, -np.inf),
        np.zeros(max_leases, dtype=np.float64),
        np.zeros(1, dtype=np.int64),
        np.full(n_tasks, -1, dtype=np.int32),
        np.zeros(n_tasks, dtype=np.float64),
        np.zeros(n_tasks, dtype=np.float64),
        np.full(max_leases, -1, dtype=np.int32),
        np.full(n_tasks, -1, dtype=np.int32),
        new_pool(n_tasks + spare, max_leases),
    )


@numba.njit(cache=True)
def ready_time(x, s, i, lease):
    """Return when a task's data are on a lease (-1: on one that has none of them yet)."""
    ready = x.boot
    for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
        p = x.parents[e]
        there = s.finish[p]
        if lease < 0 or s.lease[p] != lease:
            there += x.edge_s[e]
        ready = max(ready, there)
    return ready


@numba.njit(cache=True)
def earliest_start(x, s, i, lease, ready):
    """Return the earliest start >= ready at which the lease has room, gaps included."""
    k = s.kind[lease]
    c, m, g = x.need[i]
    return earliest_fit(
        s.pool, lease, ready, x.duration[x.task_class[i], k], c, m, g,
        x.capacity[k, 0] - c, x.capacity[k, 1] - m, x.capacity[k, 2] - g,
    )  # fmt: skip


@numba.njit(cache=True)
def lease_cost(x, k, held):
    """Return the bill of a lease of type ``k`` whose tasks span ``held`` seconds; boot is added."""
    return x.price[k] * billed(held + x.boot, x.quantum, x.minimum)


@numba.njit(cache=True)
def new_lease_cost(x, i, k):
    """Return what a lease of type ``k`` costs that runs task ``i`` only; inf where unfit."""
    d = x.duration[x.task_class[i], k]
    if not d < np.inf:
        return np.inf
    return lease_cost(x, k, d)


@numba.njit(cache=True)
def added_cost(x, s, lease, start, end):
    """Return how much dearer a lease gets by running something over [start, end)."""
    held = max(s.last[lease], end) - min(s.first[lease], start)
    return lease_cost(x, s.kind[lease], held) - s.paid[lease]


@numba.njit(cache=True)
def cheapest_start(x, s, i, lease, ready, limit):
    """Return (start, added USD) of the cheapest place on a lease that ends by ``limit``.

    Two places are looked at: the earliest, and the earliest that does not lengthen the lease
    backwards. (inf, inf) where the task does not fit or none ends in time.
    """
    k = s.kind[lease]
    d = x.duration[x.task_class[i], k]
    best_start, best_added = np.inf, np.inf
    if not (d < np.inf and ready + d <= limit + 1e-9):
        return best_start, best_added
    pool, first, last, paid = s.pool, s.first[lease], s.last[lease], s.paid[lease]
    price, boot, quantum, minimum = x.price[k], x.boot, x.quantum, x.minimum
    c, m, g = x.need[i, 0], x.need[i, 1], x.need[i, 2]
    free_c, free_m = x.capacity[k, 0] - c, x.capacity[k, 1] - m
    free_g = x.capacity[k, 2] - g
    t = earliest_fit(pool, lease, ready, d, c, m, g, free_c, free_m, free_g)
    if t + d <= limit + 1e-9:
        held = max(last, t + d) - min(first, t)
        best_start = t
        best_added = price * billed(held + boot, quantum, minimum) - paid
    if t < first < np.inf:
        t = earliest_fit(pool, lease, first, d, c, m, g, free_c, free_m, free_g)
        if t + d <= limit + 1e-9:
            held = max(last, t + d) - first
            added = price * billed(held + boot, quantum, minimum) - paid
            if added < best_added - 1e-12:
                best_start, best_added = t, added
    return best_start, best_added


@numba.njit(cache=True)
def open_lease(s, k):
    """Begin a lease of type ``k``; it costs nothing until it has a task. Return its number."""
    lease = s.opened[0]
    s.opened[0] += 1
    s.kind[lease] = k
    return lease


@numba.njit(cache=True)
def commit(x, s, i, lease, start):
    """Place a task on a lease from ``start`` on, where there must be room."""
    k = s.kind[lease]
    c, m, g = x.need[i]
    end = start + x.duration[x.task_class[i], k]
    occupy(s.pool, lease, start, end, c, m, g)
    s.lease[i] = lease
    s.start[i] = start
    s.finish[i] = end
    s.link[i] = s.head[lease]
    s.head[lease] = i
    s.first[lease] = min(s.first[lease], start)
    s.last[lease] = max(s.last[lease], end)
    s.paid[lease] = lease_cost(x, k, s.last[lease] - s.first[lease])


@numba.njit(cache=True)
def withdraw(x, s, i):
    """Take a task off its lease; the lease gets as short as its other tasks allow.

    The pool has room for every task once: what is withdrawn must go back to the same lease, or
    the state must be given up.
    """
    lease = s.lease[i]
    c, m, g = x.need[i]
    occupy(s.pool, lease, s.start[i], s.finish[i], -c, -m, -g)
    if s.head[lease] == i:
        s.head[lease] = s.link[i]
    first, last = np.inf, -np.inf
    j = s.head[lease]
    while j >= 0:
        if s.link[j] == i:
            s.link[j] = s.link[i]
        first = min(first, s.start[j])
        last = max(last, s.finish[j])
        j = s.link[j]
    s.lease[i] = -1
    s.link[i] = -1
    s.first[lease] = first
    s.last[lease] = last
    s.paid[lease] = 0.0
    if last > -np.inf:
        s.paid[lease] = lease_cost(x, s.kind[lease], last - first)


@numba.njit(cache=True)
def total_cost(s):
    """Return the bill of all leases."""
    total = 0.0
    for lease in range(s.opened[0]):
        total += s.paid[lease]
    return total


@numba.njit(cache=True)
def earliest_finish_on(x, s, i, lease):
    """Return (start, finish) of a task as early as a lease can run it; (inf, inf) where unfit."""
    d = x.duration[x.task_class[i], s.kind[lease]]
    if not d < np.inf:
        return np.inf, np.inf
    t = earliest_start(x, s, i, lease, ready_time(x, s, i, lease))
    return t, t + d
