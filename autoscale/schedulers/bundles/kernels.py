"""Compiled just-in-time placement of bundles of tasks."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.schedulers.critical.placing.kernels import NEVER, chain_on, held_by, new_type_for
from autoscale.schedulers.critical.searching.kernels import best_lease, new_search, note
from autoscale.schedulers.critical.windows.kernels import new_windows, parents_end, put
from autoscale.schedulers.leasing.kernels import _pop, _push, new_leases, open_lease


@numba.njit(cache=True)
def bundle_from(x, i):
    """Return the chain from a task on in which every task has one child and that one parent."""
    size = 1
    last = i
    while _follows(x, last):
        last = x.children[x.child_ptr[last]]
        size += 1
    out = np.empty(size, dtype=np.int64)
    out[0] = i
    for j in range(1, size):
        out[j] = x.children[x.child_ptr[out[j - 1]]]
    return out


@numba.njit(cache=True)
def _follows(x, i):
    if x.child_ptr[i + 1] - x.child_ptr[i] != 1:
        return False
    c = x.children[x.child_ptr[i]]
    return x.parent_ptr[c + 1] - x.parent_ptr[c] == 1


@numba.njit(cache=True)
def just_in_time(x, met):
    """Place bundles in the order in which they get ready, each on the cheapest lease in time.

    ``met`` is each task's least duration. A bundle that no one type runs in time is cut after its
    first task.
    """
    n = met.size
    s = new_leases(n, n)
    w = new_windows(x, met)
    search = new_search(x, n)
    ready = np.full(n, np.inf)
    missing = np.empty(n, dtype=np.int64)
    heap = np.empty(n, dtype=np.int64)
    size = 0
    for i in range(n):
        missing[i] = x.parent_ptr[i + 1] - x.parent_ptr[i]
        if missing[i] == 0:
            ready[i] = x.boot
            size = _push(heap, size, ready, i)
    while size > 0:
        i, size = _pop(heap, size, ready)
        path = bundle_from(x, i)
        for j in range(path.size):
            w.est[path[j]] = ready[i] if j == 0 else x.boot
        starts = np.empty(path.size, dtype=np.float64)
        held = np.empty(x.price.size, dtype=np.float64)
        while True:
            for k in range(held.size):
                held[k] = held_by(x, path, k)
            lease, way, floor = best_lease(x, s, w, search, path, held, starts)
            if way != NEVER:
                chain_on(x, s, w, path, lease, s.kind[lease], floor, starts, False)
                break
            kind = new_type_for(x, s, w, path, held, starts)
            if kind < 0 and path.size > 1:
                path = path[:1]
                continue
            if kind < 0:  # late whatever is done: the fastest
                kind = np.argmin(held)
            lease = open_lease(s, kind)
            before = 0.0
            for j in range(path.size):
                starts[j] = max(before, parents_end(x, s, w, path[j], lease))
                before = starts[j] + x.duration[x.task_class[path[j]], kind]
            break
        for j in range(path.size):
            put(x, s, w, path[j], lease, starts[j])
        note(x, s, search, s.lease[path[0]])
        last = path[path.size - 1]
        for e in range(x.child_ptr[last], x.child_ptr[last + 1]):
            c = x.children[e]
            missing[c] -= 1
            if missing[c] == 0:
                ready[c] = parents_end(x, s, w, c, -1)
                size = _push(heap, size, ready, c)
    return s
