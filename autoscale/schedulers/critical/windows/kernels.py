"""Compiled windows of tasks: between which times each may lie, as others are assigned."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from autoscale.schedulers.leasing.kernels import _pop, _push, earliest_starts, latest_finishes


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
