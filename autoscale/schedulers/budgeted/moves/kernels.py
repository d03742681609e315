"""Compiled sequences of moves: tasks change types one by one, best ratio first.

Every task is at a position in its class's row of types, quickest (and dearest) first. With any
number of machines, the makespan is the longest path and what a task costs is its share of a
machine while it runs.
"""

from __future__ import annotations

import numba
import numpy as np

from autoscale.schedulers.leasing.kernels import downward_ranks, upward_ranks


@numba.njit(cache=True)
def _lengths(x, types, position):
    """Return each task's duration where it is, and the longest paths up to and after it."""
    n = position.size
    d = np.empty(n, dtype=np.float64)
    for i in range(n):
        cls = x.task_class[i]
        d[i] = x.duration[cls, types[cls, position[i]]]
    before = downward_ranks(x, d)
    after = upward_ranks(x, d)
    longest = 0.0
    for i in range(n):
        longest = max(longest, after[i])
        after[i] -= d[i]
    return d, before, after, longest


@numba.njit(cache=True)
def longest_without(x, d, before, after):
    """Return, per task, the longest path that does not lead through it.

    Such a path has an edge that passes over the task in topological order, or ends before it, or
    begins after it. Edges are entered in a segment tree over the tasks, and each task reads the
    greatest entry above it.
    """
    n = d.size
    tree = np.zeros(2 * n, dtype=np.float64)
    for v in range(n):
        for e in range(x.parent_ptr[v], x.parent_ptr[v + 1]):
            u = x.parents[e]
            value = before[u] + d[u] + x.edge_s[e] + d[v] + after[v]
            low, high = u + 1 + n, v + n
            while low < high:
                if low & 1:
                    tree[low] = max(tree[low], value)
                    low += 1
                if high & 1:
                    high -= 1
                    tree[high] = max(tree[high], value)
                low >>= 1
                high >>= 1
    out = np.zeros(n, dtype=np.float64)
    ended = 0.0
    for i in range(n):
        out[i] = ended
        if x.child_ptr[i + 1] == x.child_ptr[i]:
            ended = max(ended, before[i] + d[i])
        at = i + n
        while at >= 1:
            out[i] = max(out[i], tree[at])
            at >>= 1
    begun = 0.0
    for i in range(n - 1, -1, -1):
        out[i] = max(out[i], begun)
        if x.parent_ptr[i + 1] == x.parent_ptr[i]:
            begun = max(begun, d[i] + after[i])
    return out


@numba.njit(cache=True)
def _width(types, row):
    width = 0
    while width < types.shape[1] and types[row, width] >= 0:
        width += 1
    return width


@numba.njit(cache=True)
def static_losses(x, types, share):
    """Return the moves of LOSS2: all weights from the quickest assignment, least first."""
    n = x.task_class.size
    position = np.zeros(n, dtype=np.int32)
    _, before, after, longest = _lengths(x, types, position)
    count = 0
    for i in range(n):
        count += _width(types, x.task_class[i]) - 1
    task = np.empty(count, dtype=np.int32)
    to = np.empty(count, dtype=np.int32)
    weight = np.empty(count, dtype=np.float64)
    saving = np.empty(count, dtype=np.float64)
    at = 0
    for i in range(n):
        cls = x.task_class[i]
        for p in range(1, _width(types, cls)):
            path = before[i] + x.duration[cls, types[cls, p]] + after[i]
            task[at], to[at] = i, p
            saving[at] = share[cls, 0] - share[cls, p]
            weight[at] = max(0.0, path - longest) / saving[at]
            at += 1
    # By weight, then by money saved.
    order = np.argsort(-saving, kind="mergesort")
    order = order[np.argsort(weight[order], kind="mergesort")]
    kept = 0
    for y in range(count):
        o = order[y]
        if to[o] > position[task[o]]:  # a move back would cost more
            position[task[o]] = to[o]
            order[kept] = o
            kept += 1
    return task[order[:kept]], to[order[:kept]]


@numba.njit(cache=True)
def _best_moves(x, types, share, position, gain, score, then, to):
    """Write each task's best move; a score of -inf says that it has none.

    ``score`` is what to be great: minus seconds lost per USD saved, or seconds gained per USD
    spent, of the makespan. ``then`` breaks ties: USD saved, or the task's own seconds per USD.
    """
    d, before, after, longest = _lengths(x, types, position)
    others = longest_without(x, d, before, after) if gain else before
    for i in range(position.size):
        cls = x.task_class[i]
        score[i] = then[i] = -np.inf
        here = position[i]
        if gain and before[i] + d[i] + after[i] < longest * (1.0 - 1e-12):
            continue  # no time to be had off the longest paths
        first, end = (0, here) if gain else (here + 1, _width(types, cls))
        for p in range(first, end):
            seconds = x.duration[cls, types[cls, p]]
            money = abs(share[cls, p] - share[cls, here])
            path = before[i] + seconds + after[i]
            if gain:
                value = (longest - max(path, others[i])) / money
                tie = (d[i] - seconds) / money
            else:
                value = -max(0.0, path - longest) / money
                tie = money
            if value > score[i] + 1e-12 or (value >= score[i] - 1e-12 and tie > then[i]):
                score[i], then[i], to[i] = value, tie, p


@numba.njit(cache=True)
def renewed_moves(x, types, share, gain, batch):
    """Return moves whose weights are computed anew after every ``batch`` of them.

    Parameters
    ----------
    x
        The problem, an ``Instance``.
    types, share
        Per class, types that no other beats, quickest first, -1 ends a row; USD of each.
    gain
        From the cheapest assignment to quicker ones (GAIN), or from the quickest to cheaper ones
        (LOSS3).
    batch
        Moves made at once, of different tasks.
    """
    n = x.task_class.size
    position = np.zeros(n, dtype=np.int32)
    most = 0
    for i in range(n):
        width = _width(types, x.task_class[i])
        most += width - 1
        if gain:
            position[i] = width - 1
    task = np.empty(most, dtype=np.int32)
    to = np.empty(most, dtype=np.int32)
    score = np.empty(n, dtype=np.float64)
    then = np.empty(n, dtype=np.float64)
    best = np.empty(n, dtype=np.int32)
    count = 0
    while count < most:
        _best_moves(x, types, share, position, gain, score, then, best)
        if batch == 1:
            first = 0
            for i in range(1, n):
                if score[i] > score[first] or (score[i] == score[first] and then[i] > then[first]):
                    first = i
            chosen = np.full(1, first)
        else:
            order = np.argsort(-then, kind="mergesort")
            chosen = order[np.argsort(-score[order], kind="mergesort")][:batch]
        if score[chosen[0]] == -np.inf:
            break
        for i in chosen:
            if score[i] > -np.inf:
                task[count], to[count] = i, best[i]
                position[i] = best[i]
                count += 1
    return task[:count].copy(), to[:count].copy()


@numba.njit(cache=True)
def positions_after(start, task, to, count):
    """Return where the tasks are after the first ``count`` moves."""
    position = start.copy()
    for y in range(count):
        position[task[y]] = to[y]
    return position
