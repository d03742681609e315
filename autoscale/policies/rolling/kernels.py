"""Compiled parts: slack along a workflow, and list simulation of open work on a fleet.

Imported lazily: numba is slow to import.
"""

from __future__ import annotations

import heapq
import math

import numba
import numpy as np

EPS = 1e-6
MOST_SKIPPED = 200
"""Ready tasks that are passed over at one moment before the fleet counts as full."""

NEVER = 10.0
"""A job that never ends counts as so many misses."""

LATER = 0.2
"""A job that is an hour late counts as so much of a miss more; with less time in proportion."""


@numba.njit(cache=True)
def chains(child_ptr, children, length):
    """Return the longest chain after each task, and the sum of squared lengths along it.

    The squares include the task itself; the chain does not.
    """
    n = length.size
    tail = np.zeros(n)
    squares = np.zeros(n)
    for i in range(n - 1, -1, -1):
        longest = 0.0
        after = 0.0
        for e in range(child_ptr[i], child_ptr[i + 1]):
            c = children[e]
            if length[c] + tail[c] > longest:
                longest = length[c] + tail[c]
                after = squares[c]
        tail[i] = longest
        squares[i] = after + length[i] * length[i]
    return tail, squares


@numba.njit(cache=True)
def play(
    now,
    dur,
    need,
    cost,
    cost_limit,
    urgent,
    key,
    due,
    state,
    pending,
    child_ptr,
    children,
    place,
    end,
    lease_col,
    ready_at,
    until,
    free,
    finish,
    start,
):
    """Play open work on a fleet, tasks in the order of ``key``; fill ``finish, start, place``.

    ``state`` is 0 for what has not started, 1 for what runs (until ``end`` on ``place``), 2 for
    what has ended; ``pending`` counts unended parents, ``free`` is the room of each lease; both
    are used up. A lease starts nothing that would end after ``until``. A task is started on a
    lease that is dearer for it than ``cost_limit`` only from ``urgent`` seconds before its key.
    """
    n = key.size
    n_leases = lease_col.size
    n_cols = dur.shape[1]
    present = np.zeros(n_cols, dtype=np.bool_)
    events = [(np.inf, -1)]
    waiting = [(np.inf, -1)]
    active = np.empty(n_leases, dtype=np.int64)
    where = np.full(n_leases, -1, dtype=np.int64)
    n_active = 0
    for i in range(n):
        finish[i] = np.inf
        if state[i] == 1:
            heapq.heappush(events, (end[i], i))
        elif state[i] == 0:
            start[i] = np.inf
            if pending[i] == 0:
                heapq.heappush(waiting, (key[i], i))
    for m in range(n_leases):
        present[lease_col[m]] = True
        if ready_at[m] > now:
            heapq.heappush(events, (ready_at[m], n + m))
        elif free[m, 0] > 0:
            where[m] = n_active
            active[n_active] = m
            n_active += 1
    held = [(np.inf, -1)]
    t = now
    while True:
        skipped = 0
        held.clear()
        while n_active > 0 and skipped < MOST_SKIPPED and len(waiting) > 1:
            k, i = heapq.heappop(waiting)
            fastest = np.inf
            for c in range(n_cols):
                if present[c] and dur[i, c] < fastest:
                    fastest = dur[i, c]
            best = -1
            best_late = np.inf
            best_cost = np.inf
            best_room = np.inf
            for a in range(n_active):
                m = active[a]
                c = lease_col[m]
                f = t + dur[i, c]
                if (
                    f > until[m] + EPS
                    or f == np.inf
                    or need[i, 0] > free[m, 0]
                    or need[i, 1] > free[m, 1]
                    or need[i, 2] > free[m, 2]
                ):
                    continue
                if cost[i, c] > cost_limit[i] and t < k - urgent:
                    continue
                late = f - due[i]
                if late <= EPS:
                    late = 0.0
                elif dur[i, c] > fastest * 1.01 and t + fastest <= due[i]:
                    continue
                better = late < best_late - EPS
                if not better and late <= best_late + EPS:
                    better = cost[i, c] < best_cost * (1 - 1e-9)
                    if not better and cost[i, c] <= best_cost * (1 + 1e-9):
                        better = free[m, 0] < best_room or (free[m, 0] == best_room and m < best)
                if better:
                    best, best_late, best_cost, best_room = m, late, cost[i, c], free[m, 0]
            if best < 0:
                held.append((k, i))
                skipped += 1
                continue
            state[i] = 1
            place[i] = best
            start[i] = t
            for r in range(3):
                free[best, r] -= need[i, r]
            if free[best, 0] <= 0:
                n_active -= 1
                last = active[n_active]
                active[where[best]] = last
                where[last] = where[best]
                where[best] = -1
            heapq.heappush(events, (t + dur[i, lease_col[best]], i))
        for j in range(len(held)):
            heapq.heappush(waiting, held[j])
        if len(events) <= 1:
            break
        t = events[0][0]
        while len(events) > 1 and events[0][0] <= t + EPS:
            _, i = heapq.heappop(events)
            if i >= n:
                m = i - n
                if where[m] < 0 and free[m, 0] > 0:
                    where[m] = n_active
                    active[n_active] = m
                    n_active += 1
                continue
            finish[i] = t
            state[i] = 2
            m = place[i]
            if m >= 0:
                for r in range(3):
                    free[m, r] += need[i, r]
                if where[m] < 0 and free[m, 0] > 0 and ready_at[m] <= t + EPS:
                    where[m] = n_active
                    active[n_active] = m
                    n_active += 1
            for e in range(child_ptr[i], child_ptr[i + 1]):
                c = children[e]
                pending[c] -= 1
                if pending[c] == 0 and state[c] == 0:
                    heapq.heappush(waiting, (key[c], c))


@numba.njit(cache=True)
def judge(finish, running, job, place, deadline, doubt, worth, n_leases):
    """Return what expected misses are worth, when jobs end, and when leases end their last task.

    A job that is expected to end at a time misses its deadline with the probability of a normal
    error of standard deviation ``doubt``; what is later still costs a little more. A job or lease
    without anything to end ends at 0, a job that never ends at infinity.
    """
    last = np.zeros(deadline.size)
    used = np.zeros(n_leases)
    for i in range(finish.size):
        if running[i] == 2:
            continue
        if finish[i] > last[job[i]]:
            last[job[i]] = finish[i]
        m = place[i]
        if m >= 0 and finish[i] < np.inf and finish[i] > used[m]:
            used[m] = finish[i]
    total = 0.0
    for j in range(last.size):
        late = last[j] - deadline[j]
        if late == np.inf:
            total += NEVER * worth[j]
            continue
        miss = 0.5 * math.erfc(-late / doubt[j] / math.sqrt(2.0))
        total += worth[j] * (miss + LATER * min(1.0, max(0.0, late) / 3600.0))
    return total, last, used
