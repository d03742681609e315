"""Compiled placement of a path, a chain of tasks, on one lease."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.schedulers.critical.windows.kernels import (
    latest_finish,
    latest_on,
    lift,
    parents_end,
    put,
    take_back,
)
from autoscale.schedulers.leasing.kernels import added_cost, earliest_start, lease_cost

NEVER, CHAINED, KEPT, SHIFTED = 0, 1, 2, 3
"""Ways to place a path on a lease: not at all, earliest, not before its first task, by shifting."""

EPS = 1e-9


@numba.njit(cache=True)
def chain_on(x, s, w, path, lease, k, not_before, starts, shifts):
    """Fit a path's tasks one after another on a lease (-1: a new one of type ``k``).

    Fills ``starts`` and returns whether every task ends by its latest finish. With ``shifts``,
    children of the last one that are off their lease do not bind: they are about to be shifted.
    """
    before = not_before
    for j in range(path.size):
        i = path[j]
        d = x.duration[x.task_class[i], k]
        if not d < np.inf:
            return False
        t = max(before, parents_end(x, s, w, i, lease) if w.edges else w.est[i])
        latest = latest_on(x, s, w, i, lease)
        if shifts and j == path.size - 1:
            latest = latest_finish(x, s, w, i, lease)
        if t + d > latest + EPS:
            return False
        if lease >= 0:
            t = earliest_start(x, s, i, lease, t)
            if t + d > latest + EPS:
                return False
        starts[j] = t
        before = t + d
    return True


@numba.njit(cache=True)
def applicable(x, s, lease, start, added, alone):
    """Return whether an existing lease may take a path: it uses time that is paid for anyway.

    The paper's rule is that the path starts within the last paid interval. With a boot or a
    minimum charge to save, a lease also serves when it adds less than a lease of its own would
    cost; in the paper's own model this says the same.
    """
    paid_until = s.first[lease] - x.boot + s.paid[lease] / x.price[s.kind[lease]]
    return start < paid_until - 1e-6 or added < alone - 1e-12


@numba.njit(cache=True)
def path_cost(x, s, path, lease, starts):
    """Return what a lease costs more with the path at the given starts."""
    k = s.kind[lease]
    last = path.size - 1
    end = starts[last] + x.duration[x.task_class[path[last]], k]
    return added_cost(x, s, lease, starts[0], end)


@numba.njit(cache=True)
def held_by(x, path, k):
    """Return how long the path runs on a type; inf where a task does not fit."""
    held = 0.0
    for i in path:
        held += x.duration[x.task_class[i], k]
    return held


@numba.njit(cache=True)
def later_tasks(s, lease, from_s):
    """Return the tasks of a lease that start at or after a moment, by start, then index."""
    count = 0
    j = s.head[lease]
    while j >= 0:
        if s.start[j] >= from_s:
            count += 1
        j = s.link[j]
    out = np.empty(count, dtype=np.int64)
    at = 0
    j = s.head[lease]
    while j >= 0:
        if s.start[j] >= from_s:
            out[at] = j
            at += 1
        j = s.link[j]
    out.sort()
    begun = np.empty(count, dtype=np.float64)
    for a in range(count):
        begun[a] = s.start[out[a]]
    return out[np.argsort(begun, kind="mergesort")]


@numba.njit(cache=True)
def shift_in(x, s, w, path, lease, starts):
    """Place a path directly before a child on the lease; what comes after moves later.

    Returns (done, tasks moved, their old starts). When a moved task would end too late, all is as
    before.
    """
    assigned = w.assigned
    k = s.kind[lease]
    from_s = np.inf
    last = path[path.size - 1]
    for e in range(x.child_ptr[last], x.child_ptr[last + 1]):
        c = x.children[e]
        if assigned[c] and s.lease[c] == lease:
            from_s = min(from_s, s.start[c])
    moved = later_tasks(s, lease, from_s)
    old = np.empty(moved.size, dtype=np.float64)
    # Blocks of the pool that double for an attempt stay doubled: only spare room may go so.
    where, free, room = s.pool[4], s.pool[5], s.pool[0].size
    spared = room - (8 * s.lease.size + 16 * s.kind.size + 16)
    if free[0] + 8 * (where[lease, 1] + 2 * path.size + 8) > spared:
        return False, moved, old
    for a in range(moved.size):
        old[a] = s.start[moved[a]]
    for a in range(moved.size - 1, -1, -1):
        lift(x, s, w, moved[a])
    good = chain_on(x, s, w, path, lease, k, 0.0, starts, True)
    placed = 0
    if good:
        for j in range(path.size):
            put(x, s, w, path[j], lease, starts[j])
        for a in range(moved.size):
            i = moved[a]
            ready = max(old[a], parents_end(x, s, w, i, lease))
            t = earliest_start(x, s, i, lease, ready)
            put(x, s, w, i, lease, t)
            placed += 1
            if s.finish[i] > latest_finish(x, s, w, i, lease) + EPS:
                good = False
                break
    if good:
        return True, moved, old
    for a in range(placed - 1, -1, -1):
        lift(x, s, w, moved[a])
    for j in range(path.size - 1, -1, -1):
        if assigned[path[j]]:
            take_back(x, s, w, path[j])
    for a in range(moved.size):
        put(x, s, w, moved[a], lease, old[a])
    return False, moved, old


@numba.njit(cache=True)
def undo_shift(x, s, w, path, lease, moved, old):
    """Take back what :func:`shift_in` did."""
    for a in range(moved.size - 1, -1, -1):
        lift(x, s, w, moved[a])
    for j in range(path.size - 1, -1, -1):
        take_back(x, s, w, path[j])
    for a in range(moved.size):
        put(x, s, w, moved[a], lease, old[a])


@numba.njit(cache=True)
def best_on_lease(x, s, w, path, lease, child_there, starts):
    """Return (way, added USD, not before) of the cheapest way that a lease takes the path."""
    k = s.kind[lease]
    way, cost, floor = NEVER, np.inf, 0.0
    held = held_by(x, path, k)
    if not held < np.inf:
        return way, cost, floor
    alone = lease_cost(x, k, held)
    if child_there:
        paid, first = s.paid[lease], s.first[lease]
        done, moved, old = shift_in(x, s, w, path, lease, starts)
        if done:
            added = s.paid[lease] - paid
            undo_shift(x, s, w, path, lease, moved, old)
            free = starts[0] >= first or added <= 1e-12
            if free and applicable(x, s, lease, starts[0], added, alone):
                way, cost = SHIFTED, added
    if chain_on(x, s, w, path, lease, k, 0.0, starts, False):
        added = path_cost(x, s, path, lease, starts)
        # Before the first task only where it is free: no new paid interval on the left.
        if starts[0] >= s.first[lease] or added <= 1e-12:
            if added < cost - 1e-12 and applicable(x, s, lease, starts[0], added, alone):
                way, cost = CHAINED, added
        elif chain_on(x, s, w, path, lease, k, s.first[lease], starts, False):
            added = path_cost(x, s, path, lease, starts)
            if added < cost - 1e-12 and applicable(x, s, lease, starts[0], added, alone):
                way, cost, floor = KEPT, added, s.first[lease]
    return way, cost, floor


@numba.njit(cache=True)
def new_type_for(x, s, w, path, held, starts):
    """Return the type of the cheapest new lease that takes the path in time, or -1."""
    best, best_cost = -1, np.inf
    last = path.size - 1
    for k in range(x.price.size):
        if not held[k] < np.inf or lease_cost(x, k, held[k]) >= best_cost - 1e-12:
            continue
        if chain_on(x, s, w, path, -1, k, 0.0, starts, False):
            end = starts[last] + x.duration[x.task_class[path[last]], k]
            cost = lease_cost(x, k, end - starts[0])
            if cost < best_cost - 1e-12:
                best, best_cost = k, cost
    return best
