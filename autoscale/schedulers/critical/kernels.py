"""Compiled traversal of partial critical paths, and chains of tasks placed on one lease.

``w`` is a :class:`Windows`: earliest starts and latest finishes of tasks that are not assigned yet,
and what assigned tasks count as: their times (IC-PCP) or the windows that their sub-deadlines
leave (IC-PCPD2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.schedulers.leasing.bounds.kernels import (
    BLOCK,
    LENGTHS,
    forget,
    length_class,
    look,
    new_bounds,
    renew,
)
from autoscale.schedulers.leasing.kernels import (
    _pop,
    _push,
    added_cost,
    commit,
    earliest_start,
    earliest_starts,
    latest_finishes,
    lease_cost,
    new_leases,
    open_lease,
    withdraw,
)

NEVER, CHAINED, KEPT, SHIFTED = 0, 1, 2, 3
"""Ways to place a path on a lease: not at all, earliest, not before its first task, by shifting."""

EPS = 1e-9


class Windows(NamedTuple):
    """Where tasks may lie, seconds, shape (tasks,) each, and whether edges take time."""

    met: Any
    est: Any
    lft: Any
    begin: Any
    end: Any
    assigned: Any
    edges: bool


@numba.njit(cache=True)
def new_windows(x, met):
    """Return the windows of all tasks while none is assigned, with their least durations."""
    return Windows(
        met,
        earliest_starts(x, met),
        latest_finishes(x, met, x.deadline),
        np.zeros(met.size),
        np.zeros(met.size),
        np.zeros(met.size, dtype=np.bool_),
        x.edge_s.size > 0 and x.edge_s.max() > 0.0,
    )


@numba.njit(cache=True)
def parents_end(x, s, w, i, lease):
    """Return when the data of a task's assigned parents are on a lease."""
    ready = x.boot
    for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
        p = x.parents[e]
        if w.assigned[p]:
            apart = 0.0 if lease >= 0 and s.lease[p] == lease else x.edge_s[e]
            ready = max(ready, w.end[p] + apart)
    return ready


@numba.njit(cache=True)
def latest_on(x, s, w, i, lease):
    """Return when a task must end on a lease: its LFT, without transfers on the lease itself."""
    if not w.edges or lease < 0:
        return w.lft[i]
    return latest_finish(x, s, w, i, lease)


@numba.njit(cache=True)
def latest_finish(x, s, w, i, lease):
    """Return the LFT of a task on a lease (-1: on one that has none of its children).

    Children that are assigned but off their lease do not bind: they are about to be shifted.
    """
    latest = x.deadline
    for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
        c = x.children[e]
        if not w.assigned[c]:
            latest = min(latest, w.lft[c] - w.met[c] - x.child_edge_s[e])
        elif s.lease[c] >= 0:
            apart = 0.0 if s.lease[c] == lease else x.child_edge_s[e]
            latest = min(latest, w.begin[c] - apart)
    return latest


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
    begin, end, assigned = w.begin, w.end, w.assigned
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
        withdraw(x, s, moved[a])
    good = chain_on(x, s, w, path, lease, k, 0.0, starts, True)
    placed = 0
    if good:
        for j in range(path.size):
            commit(x, s, path[j], lease, starts[j])
            assigned[path[j]] = True
            begin[path[j]] = s.start[path[j]]
            end[path[j]] = s.finish[path[j]]
        for a in range(moved.size):
            i = moved[a]
            ready = max(old[a], parents_end(x, s, w, i, lease))
            t = earliest_start(x, s, i, lease, ready)
            commit(x, s, i, lease, t)
            placed += 1
            begin[i] = s.start[i]
            end[i] = s.finish[i]
            if s.finish[i] > latest_finish(x, s, w, i, lease) + EPS:
                good = False
                break
    if good:
        return True, moved, old
    for a in range(placed - 1, -1, -1):
        withdraw(x, s, moved[a])
    for j in range(path.size - 1, -1, -1):
        if assigned[path[j]]:
            withdraw(x, s, path[j])
            assigned[path[j]] = False
    for a in range(moved.size):
        commit(x, s, moved[a], lease, old[a])
        begin[moved[a]] = s.start[moved[a]]
        end[moved[a]] = s.finish[moved[a]]
    return False, moved, old


@numba.njit(cache=True)
def undo_shift(x, s, w, path, lease, moved, old):
    """Take back what :func:`shift_in` did."""
    begin, end, assigned = w.begin, w.end, w.assigned
    for a in range(moved.size - 1, -1, -1):
        withdraw(x, s, moved[a])
    for j in range(path.size - 1, -1, -1):
        withdraw(x, s, path[j])
        assigned[path[j]] = False
    for a in range(moved.size):
        commit(x, s, moved[a], lease, old[a])
        begin[moved[a]] = s.start[moved[a]]
        end[moved[a]] = s.finish[moved[a]]


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


class Search(NamedTuple):
    """What rules leases out at once: bounds on their room, and until when blocks are paid.

    ``mark[lease]`` and ``block_mark[block]`` say of which task a child is on the lease.
    """

    bounds: Any
    block_paid: Any
    mark: Any
    block_mark: Any


@numba.njit(cache=True)
def new_search(x, n_leases):
    """Return a search that knows nothing yet."""
    blocks = (n_leases + BLOCK - 1) // BLOCK
    return Search(
        new_bounds(x, np.arange(x.price.size), n_leases),
        np.full(blocks, -np.inf),
        np.full(n_leases, -1, dtype=np.int64),
        np.full(blocks, -1, dtype=np.int64),
    )


@numba.njit(cache=True)
def note_paid(x, s, search, lease):
    """Bring up to date until when the leases of a block are paid."""
    block = lease // BLOCK
    latest = -np.inf
    for y in range(block * BLOCK, min((block + 1) * BLOCK, s.opened[0])):
        latest = max(latest, s.first[y] - x.boot + s.paid[y] / x.price[s.kind[y]])
    search.block_paid[block] = latest


@numba.njit(cache=True)
def _mark_children(x, s, w, search, i):
    """Mark the leases on which a task has an assigned child; their tasks might be shifted."""
    for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
        c = x.children[e]
        if w.assigned[c] and s.lease[c] >= 0:
            search.mark[s.lease[c]] = i
            search.block_mark[s.lease[c] // BLOCK] = i


@numba.njit(cache=True)
def best_lease(x, s, w, search, path, held, starts):
    """Return (lease or -1, way, not before) of the cheapest existing lease for a path.

    ``held`` is how long the path runs on each type.
    """
    lease, way, floor, cost = -1, NEVER, 0.0, np.inf
    end_task = path[path.size - 1]
    b, mark, block_mark, block_paid = (
        search.bounds,
        search.mark,
        search.block_mark,
        search.block_paid,
    )
    since, until, block_since, block_until = b.since, b.until, b.block_since, b.block_until
    # Local names: passing whole structures costs more than the comparisons that rule leases out.
    kind, first, last, paid = s.kind, s.first, s.last, s.paid
    price, boot, quantum, minimum = x.price, x.boot, x.quantum, x.minimum
    soonest = boot if w.edges else w.est[path[0]]
    latest = np.inf if w.edges else w.lft[end_task] + EPS
    klass = np.empty(price.size, dtype=np.int64)
    shortest, least_held, slack = np.inf, np.inf, -np.inf
    for k in range(price.size):
        d = x.duration[x.task_class[path[0]], k]
        klass[k] = length_class(b.length, d) if d < np.inf else -1
        if held[k] < np.inf:
            shortest, least_held = min(shortest, d), min(least_held, held[k])
            # Paid time that ended so long ago makes no lease applicable.
            slack = max(slack, billed(held[k] + boot, quantum, minimum) - held[k])
    lowest = length_class(b.length, shortest) if shortest < np.inf else -1
    _mark_children(x, s, w, search, end_task)
    for block in range((s.opened[0] + BLOCK - 1) // BLOCK):
        if soonest - block_paid[block] >= slack + 1e-6:
            continue
        begin = soonest
        if lowest >= 0 and block_since[lowest, block] <= soonest:
            begin = max(soonest, block_until[lowest, block])
        if block_mark[block] != end_task and not begin + least_held <= latest:
            continue
        asked = False
        for tried in range(block * BLOCK, min((block + 1) * BLOCK, s.opened[0])):
            k = kind[tried]
            if not held[k] < np.inf:
                continue
            child_there, j, begin = mark[tried] == end_task, klass[k], soonest
            if not child_there and j >= 0 and since[j, tried] <= soonest:
                begin = max(soonest, until[j, tried])
            end = begin + held[k]
            if not end <= latest:
                continue
            span = max(last[tried], end) - first[tried] + boot
            if price[k] * span - paid[tried] >= cost - 1e-12:
                continue
            least = price[k] * billed(span, quantum, minimum) - paid[tried]
            if least >= cost - 1e-12:
                continue
            alone = price[k] * billed(held[k] + boot, quantum, minimum)
            paid_until = first[tried] - boot + paid[tried] / price[k]
            if least >= alone - 1e-12 and begin >= paid_until - 1e-6:
                continue  # not applicable, however it is placed
            if not child_there and j >= 0:
                asked = True
                if look(x, s, b, tried, j, begin) > begin:
                    begin = until[j, tried]
                    end = begin + held[k]
                    if not end <= latest:
                        continue
                    span = max(last[tried], end) - first[tried] + boot
                    if price[k] * billed(span, quantum, minimum) - paid[tried] >= cost - 1e-12:
                        continue
            how, added, low = best_on_lease(x, s, w, path, tried, child_there, starts)
            if how != NEVER and added < cost - 1e-12:
                lease, way, floor, cost = tried, how, low, added
                if cost <= 1e-12:
                    break
        if asked:
            for j in range(LENGTHS):
                renew(b, j, block)
        if cost <= 1e-12:
            break
    return lease, way, floor


@numba.njit(cache=True)
def assign_path(x, s, w, search, path):
    """Place a path on the cheapest applicable lease, else on the cheapest new one in time.

    Where no one machine runs the whole path in time, its first tasks are left for later. Returns
    the tasks that were placed, and those that were shifted for them.
    """
    starts = np.empty(path.size, dtype=np.float64)
    moved = np.empty(0, dtype=np.int64)
    while True:
        held = np.zeros(x.price.size, dtype=np.float64)
        for k in range(x.price.size):
            held[k] = held_by(x, path, k)
        lease, way, floor = best_lease(x, s, w, search, path, held, starts)
        if way != NEVER:
            break
        kind = new_type_for(x, s, w, path, held, starts)
        if kind < 0 and path.size > 1:
            path = path[1:]
            continue
        if kind < 0:  # late whatever is done
            kind = np.argmin(held)
        lease = open_lease(s, kind)
        break
    if way == SHIFTED:
        _, moved, _ = shift_in(x, s, w, path, lease, starts)
        forget(search.bounds, lease)
        note_paid(x, s, search, lease)
        return path, moved
    if way != NEVER:
        chain_on(x, s, w, path, lease, s.kind[lease], floor, starts, False)
    else:
        before = 0.0
        for j in range(path.size):
            i = path[j]
            ready = parents_end(x, s, w, i, lease) if w.edges else w.est[i]
            starts[j] = max(before, ready)
            before = starts[j] + x.duration[x.task_class[i], s.kind[lease]]
    for j in range(path.size):
        i = path[j]
        commit(x, s, i, lease, starts[j])
        w.assigned[i] = True
        w.begin[i] = s.start[i]
        w.end[i] = s.finish[i]
    note_paid(x, s, search, lease)
    return path, moved


@numba.njit(cache=True)
def share_window(x, w, path):
    """Give the tasks of a path sub-deadlines, in proportion to when they end at the earliest."""
    first, last = path[0], path[path.size - 1]
    from_s = w.est[first]
    length = w.lft[last] - from_s
    longest = w.est[last] + w.met[last] - from_s
    before = from_s
    for i in path:
        part = (w.est[i] + w.met[i] - from_s) / longest if longest > 0.0 else 1.0
        begin = max(before, w.est[i])
        end = max(min(from_s + part * length, w.lft[i]), begin + w.met[i])
        w.begin[i] = begin
        w.end[i] = end
        before = end
    for i in path:
        w.assigned[i] = True


@numba.njit(cache=True)
def critical_parent(x, w, i):
    """Return the parent, not assigned yet, whose data arrive last; -1 if there is none."""
    best, latest = -1, -np.inf
    for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
        p = x.parents[e]
        if not w.assigned[p]:
            arrives = w.est[p] + w.met[p] + x.edge_s[e]
            if arrives > latest:
                best, latest = p, arrives
    return best


@numba.njit(cache=True)
def last_exit(x, w, exits):
    """Return the task without children, not assigned yet, that ends last; -1 if there is none."""
    best, latest = -1, -np.inf
    for i in exits:
        if not w.assigned[i] and w.est[i] + w.met[i] > latest:
            best, latest = i, w.est[i] + w.met[i]
    return best


@numba.njit(cache=True)
def path_to(x, w, end):
    """Return the partial critical path that ends with a task, first to last.

    It ends where no type fits all its tasks any more.
    """
    path = np.empty(64, dtype=np.int64)
    size = 0
    fits = np.ones(x.price.size, dtype=np.bool_)
    i = end
    while i >= 0:
        common = False
        for k in range(fits.size):
            if fits[k] and x.duration[x.task_class[i], k] < np.inf:
                common = True
        if not common:
            break
        for k in range(fits.size):
            fits[k] = fits[k] and x.duration[x.task_class[i], k] < np.inf
        if size == path.size:
            longer = np.empty(2 * size, dtype=np.int64)
            longer[:size] = path
            path = longer
        path[size] = i
        size += 1
        i = critical_parent(x, w, i)
    return path[:size][::-1].copy()


@numba.njit(cache=True)
def refresh(x, w, changed, key, waiting, heap):
    """Bring EST and LFT up to date after some tasks were assigned or moved.

    ``key`` is 0, 1, 2, ..., ``waiting`` all false, ``heap`` as long as there are tasks.
    """
    size = 0
    for i in changed:
        for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
            c = x.children[e]
            if not w.assigned[c] and not waiting[c]:
                waiting[c] = True
                size = _push(heap, size, key, c)
    while size > 0:
        i, size = _pop(heap, size, key)
        waiting[i] = False
        est = x.boot
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            p = x.parents[e]
            there = w.end[p] if w.assigned[p] else w.est[p] + w.met[p]
            est = max(est, there + x.edge_s[e])
        if est != w.est[i]:
            w.est[i] = est
            for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
                c = x.children[e]
                if not w.assigned[c] and not waiting[c]:
                    waiting[c] = True
                    size = _push(heap, size, key, c)
    # Backward, children before parents: tasks enter the heap by their number from the end.
    n = key.size
    for i in changed:
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            p = x.parents[e]
            if not w.assigned[p] and not waiting[p]:
                waiting[p] = True
                size = _push(heap, size, key, n - 1 - p)
    while size > 0:
        back, size = _pop(heap, size, key)
        i = n - 1 - back
        waiting[i] = False
        lft = x.deadline
        for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
            c = x.children[e]
            must = w.begin[c] if w.assigned[c] else w.lft[c] - w.met[c]
            lft = min(lft, must - x.child_edge_s[e])
        if lft != w.lft[i]:
            w.lft[i] = lft
            for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
                p = x.parents[e]
                if not w.assigned[p] and not waiting[p]:
                    waiting[p] = True
                    size = _push(heap, size, key, n - 1 - p)


@numba.njit(cache=True)
def next_path(x, w, exits, stack, depth):
    """Return (path, depth): the next partial critical path of AssignParents, empty at the end.

    ``stack`` holds the tasks whose parents are looked at, the innermost last, ``depth`` their
    number.
    """
    while True:
        if depth == 0:
            below = last_exit(x, w, exits)
            if below < 0:
                return np.empty(0, dtype=np.int64), depth
            return path_to(x, w, below), depth
        below = critical_parent(x, w, stack[depth - 1])
        if below >= 0:
            return path_to(x, w, below), depth
        depth -= 1


@numba.njit(cache=True)
def sub_deadlines(x, met):
    """Return each task's sub-deadline, seconds: IC-PCPD2's distribution along critical paths.

    ``met`` is each task's least duration.
    """
    n = met.size
    w = new_windows(x, met)
    key = np.arange(n).astype(np.float64)
    waiting = np.zeros(n, dtype=np.bool_)
    heap = np.empty(n, dtype=np.int64)
    exits = np.flatnonzero(x.child_ptr[1:] == x.child_ptr[:-1])
    stack = np.empty(2 * n + 2, dtype=np.int64)
    depth = 0
    while True:
        path, depth = next_path(x, w, exits, stack, depth)
        if path.size == 0:
            return w.end
        share_window(x, w, path)
        refresh(x, w, path, key, waiting, heap)
        for j in range(path.size - 1, -1, -1):
            stack[depth] = path[j]
            depth += 1


@numba.njit(cache=True)
def place_paths(x, met):
    """Return the leases after all tasks were placed path by path, from the exits upward (IC-PCP).

    ``met`` is each task's least duration.
    """
    n = met.size
    s = new_leases(n, n, 2 * n)
    w = new_windows(x, met)
    search = new_search(x, n)
    key = np.arange(n).astype(np.float64)
    waiting = np.zeros(n, dtype=np.bool_)
    heap = np.empty(n, dtype=np.int64)
    exits = np.flatnonzero(x.child_ptr[1:] == x.child_ptr[:-1])
    stack = np.empty(2 * n + 2, dtype=np.int64)
    depth = 0
    while True:
        path, depth = next_path(x, w, exits, stack, depth)
        if path.size == 0:
            return s
        path, moved = assign_path(x, s, w, search, path)
        refresh(x, w, np.concatenate((path, moved)), key, waiting, heap)
        for j in range(path.size - 1, -1, -1):
            stack[depth] = path[j]
            depth += 1
