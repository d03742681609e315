"""Compiled list scheduling by earliest finish where no two tasks can share a lease.

The room of a lease is then the gaps between its tasks, and its tail: all time after its last task.
Per type, a tree over the leases holds when their tails begin, and chunks hold the gaps by when they
begin, so that a task is placed without asking every lease. The result is that of
:func:`autoscale.schedulers.heft.kernels.place_shared`, to the bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from autoscale.plan.kernels import _step_at
from autoscale.schedulers.leasing.kernels import commit, earliest_start, new_leases, open_lease

CHUNK = 128
"""Gaps in a chunk at most; a full one is split."""


class Gaps(NamedTuple):
    """When the leases of each type are free; a row is a type of the fleet.

    ``tail[row, leaves + lease]`` is when the lease's tail begins (inf for other types), below are
    the least of pairs, the least of all at 1. ``chunks[row, :count[row]]`` are a row's chunks in
    ascending order. Chunk ``c`` holds ``size[c]`` gaps ``begin, end, lease``, ascending by
    (begin, lease) from (``low[c]``, ``low_lease[c]``) on; ``latest``, ``longest`` and ``least`` are
    their last end, greatest length and least lease. ``made[0]`` chunks exist.
    """

    tail: Any
    chunks: Any
    count: Any
    begin: Any
    end: Any
    lease: Any
    size: Any
    low: Any
    low_lease: Any
    latest: Any
    longest: Any
    least: Any
    made: Any


@numba.njit(cache=True)
def runs_alone(x, kinds):
    """Return whether the fleet's room is gaps: tasks never share a lease, data never travel."""
    if x.edge_s.size > 0 and x.edge_s.max() > 0.0:
        return False
    shortest = np.inf
    until = x.boot
    need = x.need
    least = np.full((x.price.size, 3), np.iinfo(np.int64).max // 4)
    for i in range(x.task_class.size):
        longest = 0.0
        for k in kinds:
            d = x.duration[x.task_class[i], k]
            if d < np.inf:
                longest = max(longest, d)
                for a in range(3):
                    least[k, a] = min(least[k, a], need[i, a])
                if d > 0.0:
                    shortest = min(shortest, d)
        until += longest
    for k in kinds:
        if not (2 * least[k] > x.capacity[k]).any():
            return False
    # Durations that rounding could swallow fit where there is no gap.
    return 2.0 * until + shortest > 2.0 * until


@numba.njit(cache=True)
def new_gaps(fleet, kinds, n_tasks, boot):
    """Return leases that are free from boot on."""
    leaves = 1
    while leaves < fleet.size:
        leaves *= 2
    rows = kinds.size
    tail = np.full((rows, 2 * leaves), np.inf)
    for lease in range(fleet.size):
        tail[np.searchsorted(kinds, fleet[lease]), leaves + lease] = boot
    for row in range(rows):
        for node in range(leaves - 1, 0, -1):
            tail[row, node] = min(tail[row, 2 * node], tail[row, 2 * node + 1])
    # A task inserts one gap at most; a chunk is split when half a chunk was added to it.
    most = rows + n_tasks // (CHUNK // 2) + 1
    g = Gaps(
        tail,
        np.empty((rows, most), dtype=np.int64),
        np.ones(rows, dtype=np.int64),
        np.empty((most, CHUNK)),
        np.empty((most, CHUNK)),
        np.empty((most, CHUNK), dtype=np.int64),
        np.zeros(most, dtype=np.int64),
        np.full(most, -np.inf),
        np.full(most, -1, dtype=np.int64),
        np.full(most, -np.inf),
        np.full(most, -np.inf),
        np.full(most, fleet.size, dtype=np.int64),
        np.full(1, rows),
    )
    for row in range(rows):
        g.chunks[row, 0] = row
    return g


@numba.njit(cache=True)
def _summarise(g, c):
    begin, end, lease = g.begin[c], g.end[c], g.lease[c]
    latest, longest, least = -np.inf, -np.inf, g.tail.shape[1]
    for at in range(g.size[c]):
        latest = max(latest, end[at])
        longest = max(longest, end[at] - begin[at])
        least = min(least, lease[at])
    g.latest[c], g.longest[c], g.least[c] = latest, longest, least


@numba.njit(cache=True)
def _chunk_of(g, row, t, lease):
    """Return which of a row's chunks a gap belongs to."""
    lo, hi = 1, g.count[row]
    while lo < hi:
        mid = (lo + hi) // 2
        c = g.chunks[row, mid]
        if g.low[c] < t or (g.low[c] == t and g.low_lease[c] <= lease):
            lo = mid + 1
        else:
            hi = mid
    return lo - 1


@numba.njit(cache=True)
def _place_in(g, c, t, lease):
    """Return how many gaps of a chunk come before one."""
    begin, leases = g.begin[c], g.lease[c]
    lo, hi = 0, g.size[c]
    while lo < hi:
        mid = (lo + hi) // 2
        if begin[mid] < t or (begin[mid] == t and leases[mid] < lease):
            lo = mid + 1
        else:
            hi = mid
    return lo


@numba.njit(cache=True)
def _split(g, row, y):
    """Move the upper half of a row's chunk number ``y`` to a new chunk after it."""
    c, new, half = g.chunks[row, y], g.made[0], CHUNK // 2
    g.made[0] += 1
    for at in range(half, CHUNK):
        g.begin[new, at - half] = g.begin[c, at]
        g.end[new, at - half] = g.end[c, at]
        g.lease[new, at - half] = g.lease[c, at]
    g.size[c], g.size[new] = half, CHUNK - half
    g.low[new], g.low_lease[new] = g.begin[new, 0], g.lease[new, 0]
    for z in range(g.count[row], y + 1, -1):
        g.chunks[row, z] = g.chunks[row, z - 1]
    g.chunks[row, y + 1] = new
    g.count[row] += 1
    _summarise(g, c)
    _summarise(g, new)


@numba.njit(cache=True)
def _insert(g, row, t, until, lease):
    y = _chunk_of(g, row, t, lease)
    if g.size[g.chunks[row, y]] == CHUNK:
        _split(g, row, y)
        y = _chunk_of(g, row, t, lease)
    c = g.chunks[row, y]
    at = _place_in(g, c, t, lease)
    for z in range(g.size[c], at, -1):
        g.begin[c, z], g.end[c, z] = g.begin[c, z - 1], g.end[c, z - 1]
        g.lease[c, z] = g.lease[c, z - 1]
    g.begin[c, at], g.end[c, at], g.lease[c, at] = t, until, lease
    g.size[c] += 1
    g.latest[c] = max(g.latest[c], until)
    g.longest[c] = max(g.longest[c], until - t)
    g.least[c] = min(g.least[c], lease)


@numba.njit(cache=True)
def _use_gap(g, row, lease, since, start, end):
    """Take [start, end) out of the gap of a lease that begins at ``since``."""
    c = g.chunks[row, _chunk_of(g, row, since, lease)]
    at = _place_in(g, c, since, lease)
    until = g.end[c, at]
    if start > since:
        g.end[c, at] = start
    else:
        g.size[c] -= 1
        for z in range(at, g.size[c]):
            g.begin[c, z], g.end[c, z] = g.begin[c, z + 1], g.end[c, z + 1]
            g.lease[c, z] = g.lease[c, z + 1]
    _summarise(g, c)
    if until > end:
        _insert(g, row, end, until, lease)


@numba.njit(cache=True)
def _use_tail(g, row, lease, start, end):
    """Take [start, end) out of the tail of a lease."""
    tail = g.tail[row]
    node = tail.size // 2 + lease
    if start > tail[node]:
        _insert(g, row, tail[node], start, lease)
    tail[node] = end
    node //= 2
    while node > 0:
        tail[node] = min(tail[2 * node], tail[2 * node + 1])
        node //= 2


@numba.njit(cache=True)
def _first_tail(tail, ready, d, end):
    """Return the first lease on whose tail a task ends by ``end``; there must be one."""
    node = 1
    while node < tail.size // 2:
        node *= 2
        if max(ready, tail[node]) + d > end:
            node += 1
    return node - tail.size // 2


@numba.njit(cache=True)
def _best_gap(g, row, ready, d, best, best_start, best_end):
    """Return (lease, start, end) of the best gap of a row, or what is given if that is as good."""
    low, latest, longest, least = g.low, g.latest, g.longest, g.least
    for y in range(g.count[row]):
        c = g.chunks[row, y]
        soonest = max(ready, low[c]) + d
        if soonest > best_end:
            break
        # Lengths are rounded, as is the comparison of ends that decides below.
        if latest[c] < soonest or longest[c] < d - 1e-15 * latest[c]:
            continue
        if soonest == best_end and least[c] >= best:
            continue
        begin, end, lease = g.begin[c], g.end[c], g.lease[c]
        for at in range(g.size[c]):
            t = max(ready, begin[at])
            if t + d > best_end:
                break
            if t + d <= end[at] and (t + d < best_end or lease[at] < best):
                best, best_start, best_end = lease[at], t, t + d
    return best, best_start, best_end


@numba.njit(cache=True)
def place_alone(x, order, fleet, pinned):
    """As ``place_earliest``, where :func:`runs_alone` says so."""
    s = new_leases(order.size, fleet.size)
    for k in fleet:
        open_lease(s, k)
    kinds = np.unique(fleet)
    row_of = np.searchsorted(kinds, fleet)
    first_of = np.empty(kinds.size, dtype=np.int64)
    for lease in range(fleet.size - 1, -1, -1):
        first_of[row_of[lease]] = lease
    g = new_gaps(fleet, kinds, order.size, x.boot)
    for i in order:
        ready = x.boot
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            ready = max(ready, s.finish[x.parents[e]])
        duration = x.duration[x.task_class[i]]
        best, start, end = pinned[i], np.inf, np.inf
        if best >= 0:
            start = earliest_start(x, s, i, best, ready)
            end = start + duration[fleet[best]]
        else:
            for row in range(kinds.size):
                d = duration[kinds[row]]
                t = max(ready, g.tail[row, 1]) if d > 0.0 else ready
                if not d < np.inf or t + d > end:
                    continue
                lease = _first_tail(g.tail[row], ready, d, t + d) if d > 0.0 else first_of[row]
                if t + d < end or lease < best:
                    best, end = lease, t + d
                    start = max(ready, g.tail[row, g.tail.shape[1] // 2 + lease])
                    start = start if d > 0.0 else ready
            for row in range(kinds.size):
                d = duration[kinds[row]]
                if 0.0 < d < np.inf:
                    best, start, end = _best_gap(g, row, ready, d, best, start, end)
        if end > start:
            row = row_of[best]
            if start >= g.tail[row, g.tail.shape[1] // 2 + best]:
                _use_tail(g, row, best, start, end)
            else:
                _use_gap(g, row, best, _free_since(s, best, start, x.boot), start, end)
        commit(x, s, i, best, start)
    return s


@numba.njit(cache=True)
def _free_since(s, lease, t, boot):
    """Return when the gap of a lease begins that holds a moment."""
    time, where = s.pool[0], s.pool[4]
    first = where[lease, 0]
    step = _step_at(time, first, first + where[lease, 1], t)
    return time[step] if step >= first else boot
