"""Compiled windows of tasks: between which times each may lie, as others are assigned."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from autoscale.schedulers.critical.joins.kernels import (
    first_of_most,
    most,
    new_fan,
    set_value,
)
from autoscale.schedulers.leasing.kernels import (
    _pop,
    _push,
    commit,
    earliest_starts,
    latest_finishes,
    withdraw,
)


class Windows(NamedTuple):
    """Where tasks may lie, seconds, shape (tasks,) each, and whether edges take time.

    ``joins`` is for tasks with very many parents or children. Owner ``i`` has when parents of task
    ``i`` that are not assigned end at the earliest (row 0) and when assigned ones end (row 1);
    owner ``n`` has the exits as parents; owner ``n + 1 + i`` has when children of task ``i`` must
    begin, negated. Task ``i`` is member ``i`` as a parent, ``n + i`` as a child.
    """

    met: Any
    est: Any
    lft: Any
    begin: Any
    end: Any
    assigned: Any
    edges: bool
    joins: Any


@numba.njit(cache=True)
def exits_of(x):
    """Return the tasks without children."""
    return np.flatnonzero(x.child_ptr[1:] == x.child_ptr[:-1])


@numba.njit(cache=True)
def new_windows(x, met):
    """Return the windows of all tasks while none is assigned, with their least durations."""
    n, exits, edges = met.size, exits_of(x), x.parents.size
    above = edges + exits.size
    ptr = np.empty(2 * n + 2, dtype=np.int64)
    ptr[: n + 1], ptr[n + 1 :] = x.parent_ptr, above + x.child_ptr
    members = np.empty(above + edges, dtype=np.int64)
    members[:edges], members[edges:above], members[above:] = x.parents, exits, n + x.children
    edge_s = np.zeros(members.size)
    edge_s[:edges], edge_s[above:] = x.edge_s, x.child_edge_s
    w = Windows(
        met,
        earliest_starts(x, met),
        latest_finishes(x, met, x.deadline),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, dtype=np.bool_),
        x.edge_s.size > 0 and x.edge_s.max() > 0.0,
        new_fan(ptr, members, edge_s, 2 * n),
    )
    for i in range(n):
        observe(w, i)
    return w


@numba.njit(cache=True)
def observe(w, i):
    """Bring to tasks with very many parents or children that a task's window is another."""
    f, n = w.joins, w.met.size
    assigned = w.assigned[i]
    set_value(f, 0, i, -np.inf if assigned else w.est[i] + w.met[i])
    set_value(f, 1, i, w.end[i] if assigned else -np.inf)
    set_value(f, 0, n + i, -w.begin[i] if assigned else -(w.lft[i] - w.met[i]))


@numba.njit(cache=True)
def put(x, s, w, i, lease, start):
    """Assign a task to a lease from ``start`` on, where there must be room."""
    commit(x, s, i, lease, start)
    w.assigned[i] = True
    w.begin[i] = s.start[i]
    w.end[i] = s.finish[i]
    observe(w, i)


@numba.njit(cache=True)
def lift(x, s, w, i):
    """Take a task off its lease that will be put back: meanwhile it binds no parent."""
    withdraw(x, s, i)
    set_value(w.joins, 0, w.met.size + i, -np.inf)


@numba.njit(cache=True)
def take_back(x, s, w, i):
    """Undo that a task was assigned."""
    withdraw(x, s, i)
    w.assigned[i] = False
    observe(w, i)


@numba.njit(cache=True)
def parents_end(x, s, w, i, lease):
    """Return when the data of a task's assigned parents are on a lease."""
    if not w.edges and w.joins.roots[i, 0] >= 0:
        return max(x.boot, most(w.joins, 1, i))
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
    if not w.edges and w.joins.roots[w.met.size + 1 + i, 0] >= 0:
        return min(x.deadline, -most(w.joins, 0, w.met.size + 1 + i))
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
        observe(w, i)


@numba.njit(cache=True)
def critical_parent(x, w, i):
    """Return the parent, not assigned yet, whose data arrive last; -1 if there is none."""
    if w.joins.roots[i, 0] >= 0:
        at = first_of_most(w.joins, 0, i)
        return x.parents[x.parent_ptr[i] + at] if at >= 0 else -1
    best, latest = -1, -np.inf
    for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
        p = x.parents[e]
        if not w.assigned[p]:
            arrives = w.est[p] + w.met[p] + x.edge_s[e]
            if arrives > latest:
                best, latest = p, arrives
    return best


@numba.njit(cache=True)
def last_exit(w, exits):
    """Return the task without children, not assigned yet, that ends last; -1 if there is none."""
    if w.joins.roots[w.met.size, 0] >= 0:
        at = first_of_most(w.joins, 0, w.met.size)
        return exits[at] if at >= 0 else -1
    best, latest = -1, -np.inf
    for i in exits:
        if not w.assigned[i] and w.est[i] + w.met[i] > latest:
            best, latest = i, w.est[i] + w.met[i]
    return best


@numba.njit(cache=True)
def earliest_of(x, w, i):
    """Return the EST of a task: when the data of all its parents are there, assigned or not."""
    if w.joins.roots[i, 0] >= 0:
        return max(x.boot, most(w.joins, 0, i), most(w.joins, 1, i))
    est = x.boot
    for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
        p = x.parents[e]
        there = w.end[p] if w.assigned[p] else w.est[p] + w.met[p]
        est = max(est, there + x.edge_s[e])
    return est


@numba.njit(cache=True)
def latest_of(x, w, i):
    """Return the LFT of a task: when all its children can begin, assigned or not."""
    if w.joins.roots[w.met.size + 1 + i, 0] >= 0:
        return min(x.deadline, -most(w.joins, 0, w.met.size + 1 + i))
    lft = x.deadline
    for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
        c = x.children[e]
        must = w.begin[c] if w.assigned[c] else w.lft[c] - w.met[c]
        lft = min(lft, must - x.child_edge_s[e])
    return lft


@numba.njit(cache=True)
def _wake(ptr, members, i, backward, assigned, waiting, heap, size, key):
    """Let the members of a task wait that are not assigned; return how many wait.

    Backward, children come before parents: tasks enter the heap by their number from the end.
    """
    for e in range(ptr[i], ptr[i + 1]):
        member = members[e]
        if not assigned[member] and not waiting[member]:
            waiting[member] = True
            size = _push(heap, size, key, key.size - 1 - member if backward else member)
    return size


@numba.njit(cache=True)
def refresh(x, w, changed, key, waiting, heap):
    """Bring EST and LFT up to date after some tasks were assigned or moved.

    ``key`` is 0, 1, 2, ..., ``waiting`` all false, ``heap`` as long as there are tasks.
    """
    size = 0
    for i in changed:
        size = _wake(x.child_ptr, x.children, i, False, w.assigned, waiting, heap, size, key)
    while size > 0:
        i, size = _pop(heap, size, key)
        waiting[i] = False
        est = earliest_of(x, w, i)
        if est != w.est[i]:
            w.est[i] = est
            observe(w, i)
            size = _wake(x.child_ptr, x.children, i, False, w.assigned, waiting, heap, size, key)
    for i in changed:
        size = _wake(x.parent_ptr, x.parents, i, True, w.assigned, waiting, heap, size, key)
    while size > 0:
        back, size = _pop(heap, size, key)
        i = key.size - 1 - back
        waiting[i] = False
        lft = latest_of(x, w, i)
        if lft != w.lft[i]:
            w.lft[i] = lft
            observe(w, i)
            size = _wake(x.parent_ptr, x.parents, i, True, w.assigned, waiting, heap, size, key)
