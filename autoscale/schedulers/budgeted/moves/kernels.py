"""Compiled sequences of moves: tasks change types one by one, best ratio first.

Every task is at a position in its class's row of types, quickest (and dearest) first. With any
number of machines, the makespan is the longest path and what a task costs is its share of a
machine while it runs.
"""

from __future__ import annotations

import numba
import numpy as np

from autoscale.schedulers.budgeted.paths.kernels import (
    longest,
    longest_without,
    new_paths,
    renew,
    tasks_from,
)
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
    length = 0.0
    for i in range(n):
        length = max(length, after[i])
        after[i] -= d[i]
    return d, before, after, length


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
    _, before, after, length = _lengths(x, types, position)
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
            weight[at] = max(0.0, path - length) / saving[at]
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
def _best_losses(x, types, share, position, score, saved, to):
    """Write each task's best move; a score of -inf says that it has none.

    ``score`` is what to be great, minus seconds lost per USD saved; ``saved`` USD break ties.
    """
    _, before, after, length = _lengths(x, types, position)
    for i in range(position.size):
        cls = x.task_class[i]
        score[i] = saved[i] = -np.inf
        here = position[i]
        for p in range(here + 1, _width(types, cls)):
            money = abs(share[cls, p] - share[cls, here])
            path = before[i] + x.duration[cls, types[cls, p]] + after[i]
            value = -max(0.0, path - length) / money
            if value > score[i] + 1e-12 or (value >= score[i] - 1e-12 and money > saved[i]):
                score[i], saved[i], to[i] = value, money, p


@numba.njit(cache=True)
def _best_gain(x, types, share, paths, i, here, length):
    """Return (score, tie-breaker, position) of a task's best move, -inf if it has none.

    The score is the seconds by which the longest path, ``length`` now, gets shorter per USD spent;
    the task's own seconds per USD break ties.
    """
    score, then, to = -np.inf, -np.inf, here
    if here == 0:
        return score, then, to
    cls = x.task_class[i]
    d, before, after = paths.d[i], paths.before[i], paths.after[i]
    others = longest_without(paths, i)
    for p in range(here):
        seconds = x.duration[cls, types[cls, p]]
        money = abs(share[cls, p] - share[cls, here])
        path = before + seconds + after
        value = (length - max(path, others)) / money
        tie = (d - seconds) / money
        if value > score + 1e-12 or (value >= score - 1e-12 and tie > then):
            score, then, to = value, tie, p
    return score, then, to


@numba.njit(cache=True)
def _first_best(score, then, most):
    """Return the positions with the greatest scores, at most so many; ties by ``then``."""
    if most == 1:
        first = 0
        for y in range(1, score.size):
            if score[y] > score[first] or (score[y] == score[first] and then[y] > then[first]):
                first = y
        return np.full(1, first)
    order = np.argsort(-then, kind="mergesort")
    return order[np.argsort(-score[order], kind="mergesort")][:most]


@numba.njit(cache=True)
def renewed_losses(x, types, share, batch):
    """Return the moves of LOSS3: from the quickest assignment, weights renewed as they are made.

    Parameters
    ----------
    x
        The problem, an ``Instance``.
    types, share
        Per class, types that no other beats, quickest first, -1 ends a row; USD of each.
    batch
        Moves made at once, of different tasks, before all weights are computed anew.
    """
    n = x.task_class.size
    position = np.zeros(n, dtype=np.int32)
    most = 0
    for i in range(n):
        most += _width(types, x.task_class[i]) - 1
    task = np.empty(most, dtype=np.int32)
    to = np.empty(most, dtype=np.int32)
    score = np.empty(n, dtype=np.float64)
    saved = np.empty(n, dtype=np.float64)
    best = np.empty(n, dtype=np.int32)
    count = 0
    while count < most:
        _best_losses(x, types, share, position, score, saved, best)
        chosen = _first_best(score, saved, batch)
        if score[chosen[0]] == -np.inf:
            break
        for i in chosen:
            if score[i] > -np.inf:
                task[count], to[count] = i, best[i]
                position[i] = best[i]
                count += 1
    return task[:count].copy(), to[:count].copy()


@numba.njit(cache=True)
def renewed_gains(x, types, share, batch, enough):
    """Return the moves of GAIN: from the cheapest assignment, weights renewed as they are made.

    Only tasks on longest paths, up to rounding, have anything to gain.

    Parameters
    ----------
    x, types, share, batch
        As in :func:`renewed_losses`.
    enough
        Seconds; once the longest path is no longer than that, no further moves are made.
    """
    n = x.task_class.size
    position = np.zeros(n, dtype=np.int32)
    d = np.empty(n)
    most = 0
    for i in range(n):
        cls = x.task_class[i]
        position[i] = _width(types, cls) - 1
        most += position[i]
        d[i] = x.duration[cls, types[cls, position[i]]]
    paths = new_paths(x, d)
    key = np.arange(n).astype(np.float64)
    waiting = np.zeros(n, dtype=np.bool_)
    heap = np.empty(n, dtype=np.int64)
    task = np.empty(most, dtype=np.int32)
    to = np.empty(most, dtype=np.int32)
    critical = np.empty(n, dtype=np.int64)
    score, then = np.empty(n), np.empty(n)
    best = np.empty(n, dtype=np.int32)
    count = 0
    while count < most:
        length = longest(paths)
        if length <= enough:
            break
        size = tasks_from(paths, length * (1.0 - 1e-12), critical)
        for y in range(size):
            i = critical[y]
            score[y], then[y], best[y] = _best_gain(x, types, share, paths, i, position[i], length)
        chosen = _first_best(score[:size], then[:size], batch)
        if score[chosen[0]] == -np.inf:
            break
        changed = count
        for y in chosen:
            if score[y] > -np.inf:
                i = critical[y]
                task[count], to[count] = i, best[y]
                position[i] = best[y]
                cls = x.task_class[i]
                paths.d[i] = x.duration[cls, types[cls, best[y]]]
                count += 1
        renew(paths, task[changed:count], key, waiting, heap)
    return task[:count].copy(), to[:count].copy()


@numba.njit(cache=True)
def positions_after(start, task, to, count):
    """Return where the tasks are after the first ``count`` moves."""
    position = start.copy()
    for y in range(count):
        position[task[y]] = to[y]
    return position
