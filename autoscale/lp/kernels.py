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
    """Return latest ends when task i starts by ``latest_start[i]`` and ends by ``horizon[i]``."""
    n = duration.size
    due = np.empty(n, dtype=np.float64)
    for i in range(n - 1, -1, -1):
        due[i] = horizon[i]
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


@numba.njit(cache=True)
def most_violated(start, end, asked, shortest, share, level, risen, vcpus, edges, roundings, least):
    """Return, for each interval of buckets and type, the best rounding and its violation.

    Parameters
    ----------
    start, end, shortest
        Windows of the groups; least duration of a member on each type.
    asked
        Machines that a whole group asks for when each of its tasks asks for one.
    share
        Part of each group's work that the solution does on each type.
    level, risen
        The solution's n, and its u summed from the first bucket, (types, buckets).
    roundings
        The p of the functions u^(p).
    least
        Violation, in machines, from which a cut counts.

    Returns
    -------
    violation, rounding
        Shape (buckets, buckets, types): first bucket, last bucket, type; 0 where none.
    """
    n_groups, n_types = shortest.shape
    n_buckets = edges.size - 1
    violation = np.zeros((n_buckets, n_buckets, n_types))
    rounding = np.zeros((n_buckets, n_buckets, n_types), dtype=np.int64)
    total = np.empty((n_types, roundings.size))
    for first in range(n_buckets):
        longest = 0.0
        for last in range(first, n_buckets):
            longest = max(longest, edges[last + 1] - edges[last])
            if last == first:
                continue
            length = edges[last + 1] - edges[first]
            total[:] = 0.0
            for g in range(n_groups):
                if start[g] < edges[first] - 1e-9 or end[g] > edges[last + 1] + 1e-9:
                    continue
                for k in range(n_types):
                    d = shortest[g, k]
                    if share[g, k] <= 0.0 or not (2.0 * longest <= d < np.inf):
                        continue
                    part = min(d / length, 1.0) * (1 - 1e-9)
                    for r in range(roundings.size):
                        p = roundings[r]
                        value = min(np.floor((p + 1) * part) / p, 1.0)
                        total[k, r] += asked[g] * share[g, k] * value
            for k in range(n_types):
                up = vcpus[k] * (level[k, first] + risen[k, last] - risen[k, first])
                for r in range(roundings.size):
                    short = (total[k, r] - up) / vcpus[k]
                    if short > max(least, violation[first, last, k]):
                        violation[first, last, k] = short
                        rounding[first, last, k] = roundings[r]
    return violation, rounding


@numba.njit(cache=True)
def tight_chain(parent_ptr, parents, duration, start, floor, last):
    """Return the chain of tasks that makes ``last`` start when it does, first task first."""
    chain = np.empty(duration.size, dtype=np.int64)
    count = 1
    chain[0] = last
    i = last
    while start[i] > floor[i]:
        found = -1
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            p = parents[e]
            if start[p] + duration[p] >= start[i]:
                found = p
        if found < 0:
            break
        chain[count] = found
        count += 1
        i = found
    return chain[:count][::-1].copy()


@numba.njit(cache=True)
def least_by_group(of_task, n_groups, duration, allowed, factor):
    """Return the least ``duration * factor`` of each group's tasks where allowed, else inf."""
    n, n_types = duration.shape
    out = np.full((n_groups, n_types), np.inf)
    for i in range(n):
        g = of_task[i]
        for k in range(n_types):
            if allowed[i, k]:
                out[g, k] = min(out[g, k], duration[i, k] * factor[i])
    return out
