"""Compiled traversal of partial critical paths, and chains of tasks placed on one lease.

``w`` is a :class:`~autoscale.schedulers.critical.windows.kernels.Windows`: earliest starts and
latest finishes of tasks that are not assigned yet, and what assigned tasks count as: their times
(IC-PCP) or the windows that their sub-deadlines leave (IC-PCPD2).
"""

from __future__ import annotations

import numba
import numpy as np

from autoscale.schedulers.critical.placing.kernels import (
    NEVER,
    SHIFTED,
    chain_on,
    held_by,
    new_type_for,
    shift_in,
)
from autoscale.schedulers.critical.searching.kernels import best_lease, new_search, note
from autoscale.schedulers.critical.windows.kernels import (
    critical_parent,
    exits_of,
    last_exit,
    new_windows,
    parents_end,
    put,
    refresh,
    share_window,
)
from autoscale.schedulers.leasing.kernels import new_leases, open_lease


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
        note(x, s, search, lease)
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
        put(x, s, w, path[j], lease, starts[j])
    note(x, s, search, lease)
    return path, moved


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
def next_path(x, w, exits, stack, depth):
    """Return (path, depth): the next partial critical path of AssignParents, empty at the end.

    ``stack`` holds the tasks whose parents are looked at, the innermost last, ``depth`` their
    number.
    """
    while True:
        if depth == 0:
            below = last_exit(w, exits)
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
    exits = exits_of(x)
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
    exits = exits_of(x)
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
