"""Compiled parts: slack along a workflow, and list simulation of open work on a fleet.

Imported lazily: numba is slow to import.
"""

from __future__ import annotations

import heapq
import math

import numba
import numpy as np

from autoscale.model.kernels import billed

EPS = 1e-6
MOST_SKIPPED = 60
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
def corrected(stated, factor, category, spread, price_share, expected, played, cost, cheapest):
    """Fill a job's durations as expected and as played, costs, and the least cost of each task."""
    n, n_cols = stated.shape
    for i in range(n):
        cheapest[i] = np.inf
        for c in range(n_cols):
            expected[i, c] = stated[i, c] * factor[category[i]]
            played[i, c] = expected[i, c] * spread[i]
            cost[i, c] = np.inf
            if expected[i, c] < np.inf:
                cost[i, c] = expected[i, c] * price_share[i, c]
                cheapest[i] = min(cheapest[i], cost[i, c])


@numba.njit(cache=True)
def within(expected, cost, cheapest, dear):
    """Return how long each task takes on the fastest type that costs so many times the least."""
    length = np.full(cheapest.size, np.inf)
    for i in range(cheapest.size):
        most = dear * cheapest[i] * (1 + 1e-9)
        for c in range(expected.shape[1]):
            if not cost[i, c] > most:
                length[i] = min(length[i], expected[i, c])
    return length


@numba.njit(cache=True)
def ahead(child_ptr, children, length, status, running, ended, end, now, tail):
    """Return the longest chain of unended tasks and the squares along it; fill the chains after."""
    after, squares = chains(child_ptr, children, length)
    tail[:] = after
    left, worst = -np.inf, 0
    for i in range(length.size):
        own = 0.0
        if status[i] != ended:
            own = tail[i] + (end[i] - now if status[i] == running else length[i])
        if own > left:
            left, worst = own, i
    return left, squares[worst]


@numba.njit(cache=True)
def in_order(key):
    """Return the tasks in the order of their keys, equal ones by number; and each one's place."""
    order = np.argsort(key, kind="mergesort")
    rank = np.empty(key.size, dtype=np.int64)
    for r in range(key.size):
        rank[order[r]] = r
    return order, rank


@numba.njit(cache=True)
def _wait(waiting, head, tail, rank):
    """Put a place into the ascending ``waiting[head:tail]``; return the new ends.

    What is on the shorter side makes room, if there is any before ``head``.
    """
    at = head + np.searchsorted(waiting[head:tail], rank)
    if head > 0 and at - head < tail - at:
        for r in range(head, at):
            waiting[r - 1] = waiting[r]
        waiting[at - 1] = rank
        return head - 1, tail
    for r in range(tail, at, -1):
        waiting[r] = waiting[r - 1]
    waiting[at] = rank
    return head, tail + 1


@numba.njit(cache=True)
def _behind(column, ready_at, until, free, state, place):
    """Return which leases are as idle as the one before and the same in all: it goes first."""
    busy = np.zeros(column.size, dtype=np.bool_)
    for i in range(state.size):
        if state[i] == 1 and place[i] >= 0:
            busy[place[i]] = True
    behind = np.zeros(column.size, dtype=np.bool_)
    for m in range(1, column.size):
        behind[m] = (
            not busy[m]
            and not busy[m - 1]
            and column[m] == column[m - 1]
            and ready_at[m] == ready_at[m - 1]
            and until[m] == until[m - 1]
            and (free[m] == free[m - 1]).all()
        )
    return behind


@numba.njit(cache=True)
def play(
    now,
    dur,
    need,
    cost,
    cost_limit,
    urgent,
    key,
    order,
    rank,
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

    ``order, rank`` are those of :func:`in_order`.
    ``state`` is 0 for what has not started, 1 for what runs (until ``end`` on ``place``), 2 for
    what has ended; ``pending`` counts unended parents, ``free`` is the room of each lease; both
    are used up. A lease starts nothing that would end after ``until``. A task is started on a
    lease that is dearer for it than ``cost_limit`` only from ``urgent`` seconds before its key.
    """
    n = key.size
    n_leases = lease_col.size
    n_cols = dur.shape[1]
    # What waits stands in its order in a part of an array: most of it is looked at often and passed
    # over, and what starts is among the first, so that few have to move.
    waiting = np.empty(n, dtype=np.int64)
    head = 0
    tail = 0
    events = [(np.inf, -1)]
    active = np.empty(n_leases, dtype=np.int64)
    where = np.full(n_leases, -1, dtype=np.int64)
    n_active = 0
    for i in range(n):
        finish[i] = np.inf
        if state[i] == 1:
            heapq.heappush(events, (end[i], i))
        elif state[i] == 0:
            start[i] = np.inf
    for r in range(n):
        if state[order[r]] == 0 and pending[order[r]] == 0:
            waiting[tail] = r
            tail += 1
    behind = _behind(lease_col, ready_at, until, free, state, place)
    present = np.zeros(n_cols, dtype=np.bool_)
    for m in range(n_leases):
        present[lease_col[m]] = True
        if ready_at[m] > now:
            heapq.heappush(events, (ready_at[m], n + m))
        elif free[m, 0] > 0 and not behind[m]:
            where[m] = n_active
            active[n_active] = m
            n_active += 1
    fastest_of = np.full(n, np.inf)
    for i in range(n):
        for c in range(n_cols):
            if present[c] and dur[i, c] < fastest_of[i]:
                fastest_of[i] = dur[i, c]
    # A lease that refused a task refuses it until it has more room, or until the task is urgent
    # or late, when it is content with more: ``mood`` says which of the two held when it was last
    # looked at, in turn ``seen``; ``grown`` says in which turn a lease last got more room.
    seen = np.full(n, -1, dtype=np.int64)
    mood = np.full(n, -1, dtype=np.int8)
    grown = np.zeros(n_leases, dtype=np.int64)
    fresh = np.empty(n_leases, dtype=np.int64)
    n_fresh = 0
    turn = 0
    t = now
    while True:
        at = head
        kept = 0
        while n_active > 0 and kept < MOST_SKIPPED and at < tail:
            i = order[waiting[at]]
            k = key[i]
            fastest = fastest_of[i]
            is_urgent = t >= k - urgent
            waits = t + fastest <= due[i]
            feels = is_urgent + 2 * waits
            since = seen[i] if mood[i] == feels else -1
            mood[i] = feels
            seen[i] = turn
            best = -1
            best_late = np.inf
            best_cost = np.inf
            best_room = np.inf
            # Of what was looked at in the turn before, only leases with more room are of use.
            lately = since == turn - 1 and turn > 0
            for a in range(n_fresh if lately else n_active):
                m = fresh[a] if lately else active[a]
                if grown[m] <= since or where[m] < 0:
                    continue
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
                if cost[i, c] > cost_limit[i] and not is_urgent:
                    continue
                late = f - due[i]
                if late <= EPS:
                    late = 0.0
                elif dur[i, c] > fastest * 1.01 and waits:
                    continue
                better = late < best_late - EPS
                if not better and late <= best_late + EPS:
                    better = cost[i, c] < best_cost * (1 - 1e-9)
                    if not better and cost[i, c] <= best_cost * (1 + 1e-9):
                        better = free[m, 0] < best_room or (free[m, 0] == best_room and m < best)
                if better:
                    best, best_late, best_cost, best_room = m, late, cost[i, c], free[m, 0]
            if best < 0:
                waiting[head + kept] = waiting[at]
                kept += 1
                at += 1
                continue
            at += 1
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
            m = best + 1
            if m < n_leases and behind[m]:
                behind[m] = False
                where[m] = n_active
                active[n_active] = m
                n_active += 1
        if head + kept < at:
            for r in range(kept - 1, -1, -1):
                waiting[at - kept + r] = waiting[head + r]
            head = at - kept
        if len(events) <= 1:
            break
        turn += 1
        n_fresh = 0
        t = events[0][0]
        while len(events) > 1 and events[0][0] <= t + EPS:
            _, i = heapq.heappop(events)
            if i >= n:
                m = i - n
                grown[m] = turn
                fresh[n_fresh] = m
                n_fresh += 1
                if where[m] < 0 and free[m, 0] > 0 and not behind[m]:
                    where[m] = n_active
                    active[n_active] = m
                    n_active += 1
                continue
            finish[i] = t
            state[i] = 2
            m = place[i]
            if m >= 0:
                if grown[m] < turn:
                    grown[m] = turn
                    fresh[n_fresh] = m
                    n_fresh += 1
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
                    head, tail = _wait(waiting, head, tail, rank[c])


@numba.njit(cache=True)
def judge(finish, running, job, place, deadline, doubt, worth, last, used):
    """Return what expected misses are worth; fill when jobs and leases end their last task.

    A job that is expected to end at a time misses its deadline with the probability of a normal
    error of standard deviation ``doubt``; what is later still costs a little more. A job or lease
    without anything to end ends at 0, a job that never ends at infinity.
    """
    last[:] = 0.0
    used[:] = 0.0
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
    return total


@numba.njit(cache=True)
def play_fleet(
    now, dur, need, cost, cost_limit, boot, key, order, rank, due, running, pending, child_ptr,
    children, place_held, end, job, deadline, doubt, worth, column_held, ready_held, free_held,
    requested_held, paid_held, until_held, room, price, quantum, minimum, coarse, extra_column,
    extra_count, extra_at, finish, start, place, last, charge,
):  # fmt: skip
    """Play open work on the held leases and extra ones; return what expected misses are worth.

    Fills ``finish, start, place, last`` and what each lease is charged up to its last task, USD,
    see :meth:`autoscale.policies.rolling.outlook.Outlook.play`. One call of compiled code, because
    a plan takes dozens of plays.
    """
    n_held = column_held.size
    n_leases = charge.size
    column = np.empty(n_leases, dtype=np.int64)
    ready = np.empty(n_leases)
    until = np.full(n_leases, np.inf)
    free = np.empty((n_leases, 3))
    requested = np.empty(n_leases)
    column[:n_held] = column_held
    ready[:n_held] = ready_held
    until[:n_held] = until_held
    free[:n_held] = free_held
    requested[:n_held] = requested_held
    m = n_held
    for e in range(extra_column.size):
        for _ in range(extra_count[e]):
            column[m] = extra_column[e]
            ready[m] = extra_at[e] + boot
            free[m] = room[extra_column[e]]
            requested[m] = extra_at[e]
            m += 1
    state = running.copy()
    place[:] = place_held
    start[:] = np.nan
    play(
        now, dur, need, cost, cost_limit, boot, key, order, rank, due, state, pending.copy(),
        child_ptr, children, place, end, column, ready, until, free, finish, start,
    )  # fmt: skip
    used = np.empty(n_leases)
    regret = judge(finish, running, job, place, deadline, doubt, worth, last, used)
    for m in range(n_leases):
        held_s = max(used[m], now) - requested[m]
        if m >= n_held and used[m] <= 0:
            billed_s = 0.0
        elif not coarse:
            billed_s = billed(held_s, quantum, minimum)
        elif m < n_held:
            billed_s = max(held_s, paid_held[m] - requested[m])
        else:
            billed_s = max(held_s, quantum, minimum)
        charge[m] = price[column[m]] * billed_s
    return regret
