"""Compiled passes over the graph for bounds."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def earliest_starts(parent_ptr, parents, duration, floor):
    """Return earliest starts when no task starts before its floor."""
    n = duration.size
    start = np.empty(n, dtype=np.float64)
    for i in range(n):
        ready = floor[i]
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            p = parents[e]
            ready = max(ready, start[p] + duration[p])
        start[i] = ready
    return start


@numba.njit(cache=True)
def latest_ends(child_ptr, children, duration, latest_start, horizon):
    """Return latest ends when task i must start by ``latest_start[i]``, all end by the horizon."""
    n = duration.size
    due = np.empty(n, dtype=np.float64)
    for i in range(n - 1, -1, -1):
        due[i] = horizon
        for e in range(child_ptr[i], child_ptr[i + 1]):
            c = children[e]
            due[i] = min(due[i], due[c] - duration[c], latest_start[c])
    return due


@numba.njit(cache=True)
def work_around(tasks, parent_ptr, parents, child_ptr, children, work):
    """Return the work of all ancestors and of all descendants of each given task."""
    before = np.zeros(tasks.size)
    after = np.zeros(tasks.size)
    for x in range(tasks.size):
        before[x] = work[reached(tasks[x], parent_ptr, parents)].sum()
        after[x] = work[reached(tasks[x], child_ptr, children)].sum()
    return before, after


@numba.njit(cache=True)
def reached(task, ptr, members):
    """Return which tasks can be reached from ``task``, itself left out."""
    n = ptr.size - 1
    seen = np.zeros(n, dtype=np.bool_)
    stack = np.empty(n + 1, dtype=np.int64)
    stack[0] = task
    height = 1
    while height:
        height -= 1
        i = stack[height]
        for e in range(ptr[i], ptr[i + 1]):
            j = members[e]
            if not seen[j]:
                seen[j] = True
                stack[height] = j
                height += 1
    return seen
