"""Compiled windows: chains are dated one after another, what hangs on them is pushed aside."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def finishes(parent_ptr, parents, begin, held):
    """Return when each bundle ends at the earliest."""
    out = np.empty(held.size)
    for b in range(held.size):
        t = begin[b]
        for e in range(parent_ptr[b], parent_ptr[b + 1]):
            t = max(t, out[parents[e]])
        out[b] = t + held[b]
    return out


@numba.njit(cache=True)
def tails(child_ptr, children, held):
    """Return the longest chain that begins with each bundle."""
    out = np.empty(held.size)
    for b in range(held.size - 1, -1, -1):
        t = 0.0
        for e in range(child_ptr[b], child_ptr[b + 1]):
            t = max(t, out[children[e]])
        out[b] = t + held[b]
    return out


@numba.njit(cache=True)
def _push_on(ptr, members, held, dated, bound, sign, queue, inside, first):
    """Let what hangs on what was dated begin later (sign 1) or end earlier (-1), and so on."""
    head, size = 0, 1
    queue[0] = first
    n = held.size
    while size:
        b = queue[head]
        head = (head + 1) % n
        size -= 1
        inside[b] = False
        least = sign * bound[b] if dated[b] else sign * bound[b] + held[b]
        for e in range(ptr[b], ptr[b + 1]):
            c = members[e]
            if not dated[c] and sign * bound[c] < least:
                bound[c] = sign * least
                if not inside[c]:
                    inside[c] = True
                    queue[(head + size) % n] = c
                    size += 1


@numba.njit(cache=True)
def windows(parent_ptr, parents, child_ptr, children, begin, held, some, limit, order):
    """Return from when and until when each bundle may run, (T0, T1).

    The chain to the bundle that ends last is dated first; then, from what is dated upwards, chains
    of parents that have no date, the latest-ending parent first. The time between what a chain
    hangs on is shared out in proportion to durations. If the limit is too tight, the makespan
    takes its place. ``order`` has the bundles by when they end at the earliest, the last first.
    """
    n = held.size
    finish = finishes(parent_ptr, parents, begin, held)
    limit = max(limit, finish.max())
    soonest = finish - held
    latest = limit - tails(child_ptr, children, held) + held
    t0, t1 = np.empty(n), np.empty(n)
    dated = np.zeros(n, dtype=np.bool_)
    for b in range(n):
        if not some[b]:
            # Ended, or about to end whatever is planned.
            dated[b] = True
            t0[b] = t1[b] = soonest[b] = latest[b] = finish[b]
    queue = np.empty(max(n, 1), dtype=np.int64)
    inside = np.zeros(n, dtype=np.bool_)
    stack = np.empty(n, dtype=np.int64)
    path = np.empty(n, dtype=np.int64)
    for last in order:
        # Every bundle that nothing dated hangs on ends a chain: the sinks, the latest first.
        if dated[last] or child_ptr[last + 1] > child_ptr[last]:
            continue
        top = 0
        stack[0] = -1 - last
        while top >= 0:
            at = stack[top]
            start = -1
            if at < 0:
                start = -1 - at
                top -= 1
            else:
                for e in range(parent_ptr[at], parent_ptr[at + 1]):
                    p = parents[e]
                    if not dated[p] and (start < 0 or finish[p] > finish[start]):
                        start = p
                if start < 0:
                    top -= 1
                    continue
            size = 0
            while start >= 0:
                path[size] = start
                size += 1
                above = -1
                for e in range(parent_ptr[start], parent_ptr[start + 1]):
                    p = parents[e]
                    if not dated[p] and (above < 0 or finish[p] > finish[above]):
                        above = p
                start = above
            total, passed = 0.0, 0.0
            for y in range(size):
                total += held[path[y]]
            open_s, close_s = soonest[path[size - 1]], latest[path[0]]
            free = open_s
            for y in range(size - 1, -1, -1):
                b = path[y]
                passed += held[b]
                part = passed / total if total > 0.0 else 1.0
                t0[b] = max(free, soonest[b])
                t1[b] = min(max(t0[b] + held[b], open_s + part * (close_s - open_s)), latest[b])
                free = t1[b]
            for y in range(size):
                b = path[y]
                dated[b] = True
                latest[b], soonest[b] = t0[b], t1[b]
            for y in range(size - 1, -1, -1):
                b = path[y]
                _push_on(child_ptr, children, held, dated, soonest, 1.0, queue, inside, b)
                _push_on(parent_ptr, parents, held, dated, latest, -1.0, queue, inside, b)
                top += 1
                stack[top] = b
    return t0, t1
