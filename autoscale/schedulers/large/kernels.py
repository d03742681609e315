"""The list scheduler for very many leases: places are looked up by time instead of all compared.

Each type keeps four calendars, lists of leases or holes by time in equal buckets:

- tails: leases by the moment from which they have room for good;
- ends: leases with several vCPUs, by their last task's end: until then, room costs nothing more;
- heads: leases by their first task's start, before which they may be extended;
- holes: room between tasks, or until the end of what is paid anyway, by length and by its end.

For a task, only a few entries next to when it is ready are tried, each exactly as
:func:`autoscale.schedulers.kernels.list_schedule` tries every lease. The calendars only propose:
whether there is room, and what it costs, is always read from the lease itself.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.plan.kernels import earliest_fit, new_pool, occupy

FAN = 32
"""Buckets under one counter, and counters under one of the next level."""

TAIL_BUCKETS = FAN**3
HOLE_BUCKETS = FAN**2 * 8

LENGTHS = 16
"""Classes of holes, each twice as long as the one before."""

PROBES = 6
"""Entries tried in one direction of a calendar."""

WALK = 64
"""Steps of a lease's profile that are read to find from when on it has room."""


@numba.njit(cache=True)
def new_calendar(n_rows, n_buckets, n_entries):
    """Return empty lists of entries by (row, bucket), each entry in at most one of them."""
    head = np.full((n_rows, n_buckets), -1, dtype=np.int32)
    few = np.zeros((n_rows, n_buckets // FAN), dtype=np.int32)
    many = np.zeros((n_rows, n_buckets // FAN // FAN), dtype=np.int32)
    count = np.zeros(n_rows, dtype=np.int64)
    after = np.full(n_entries, -1, dtype=np.int32)
    before = np.full(n_entries, -1, dtype=np.int32)
    place = np.full((n_entries, 2), -1, dtype=np.int32)
    return head, few, many, count, after, before, place


@numba.njit(cache=True)
def put(calendar, entry, row, bucket):
    """Move an entry to a bucket of a row."""
    head, few, many, count, after, before, place = calendar
    if place[entry, 0] == row and place[entry, 1] == bucket:
        return
    drop(calendar, entry)
    top = head[row, bucket]
    if top < 0:
        few[row, bucket // FAN] += 1
        many[row, bucket // FAN // FAN] += 1
    else:
        before[top] = entry
    after[entry] = top
    before[entry] = -1
    head[row, bucket] = entry
    place[entry, 0] = row
    place[entry, 1] = bucket
    count[row] += 1


@numba.njit(cache=True)
def drop(calendar, entry):
    """Take an entry out of its list, if it is in one."""
    head, few, many, count, after, before, place = calendar
    row, bucket = place[entry, 0], place[entry, 1]
    if row < 0:
        return
    if before[entry] >= 0:
        after[before[entry]] = after[entry]
    else:
        head[row, bucket] = after[entry]
    if after[entry] >= 0:
        before[after[entry]] = before[entry]
    if head[row, bucket] < 0:
        few[row, bucket // FAN] -= 1
        many[row, bucket // FAN // FAN] -= 1
    place[entry, 0] = -1
    count[row] -= 1


@numba.njit(cache=True)
def at_or_after(calendar, row, bucket):
    """Return the first bucket with entries from ``bucket`` on, or -1."""
    head, few, many, count, _, _, _ = calendar
    n_buckets = head.shape[1]
    if count[row] == 0:
        return -1
    b = bucket
    while b < n_buckets:
        if b % FAN == 0:
            if b % (FAN * FAN) == 0 and many[row, b // FAN // FAN] == 0:
                b += FAN * FAN
                continue
            if few[row, b // FAN] == 0:
                b += FAN
                continue
        if head[row, b] >= 0:
            return b
        b += 1
    return -1


@numba.njit(cache=True)
def at_or_before(calendar, row, bucket):
    """Return the last bucket with entries up to ``bucket``, or -1."""
    head, few, many, count, _, _, _ = calendar
    if count[row] == 0:
        return -1
    b = bucket
    while b >= 0:
        if b % FAN == FAN - 1:
            if b % (FAN * FAN) == FAN * FAN - 1 and many[row, b // FAN // FAN] == 0:
                b -= FAN * FAN
                continue
            if few[row, b // FAN] == 0:
                b -= FAN
                continue
        if head[row, b] >= 0:
            return b
        b -= 1
    return -1


@numba.njit(cache=True)
def _bucket(t, begin, scale, n_buckets):
    x = (t - begin) * scale
    if not x > 0.0:
        return 0
    return min(int(min(x, 1e9)), n_buckets - 1)


@numba.njit(cache=True)
def _length_class(length, horizon):
    """Return the class of a hole; a hole of a higher class is longer than any of this one."""
    x = length / horizon * 2.0 ** (LENGTHS - 1)
    if not x > 1.0:
        return 0
    return min(int(math.log2(x)) + 1, LENGTHS - 1)


@numba.njit(cache=True)
def _room_for_good(pool, lease, free_c, free_m, free_g, earliest):
    """Return from when on the lease has room, no earlier than ``earliest``."""
    time, cpu, mem, gpu, where, _ = pool
    offset, length = where[lease, 0], where[lease, 1]
    for back in range(min(length, WALK)):
        s = offset + length - 1 - back
        if cpu[s] > free_c or mem[s] > free_m or gpu[s] > free_g or back == WALK - 1:
            return max(earliest, time[s + 1]) if back > 0 else earliest
    return earliest


@numba.njit(cache=True)
def _rooms(pool, lease, since, until, free_c, free_m, free_g, pieces, n_pieces):
    """Append the intervals of ``[since, until)`` in which there is room; return their number."""
    time, cpu, mem, gpu, where, _ = pool
    offset, end = where[lease, 0], where[lease, 0] + where[lease, 1]
    lo, hi = offset, end
    while lo < hi:
        mid = (lo + hi) // 2
        if time[mid] <= since:
            lo = mid + 1
        else:
            hi = mid
    s = max(lo - 1, offset)
    begin = since
    while s < end and time[s] < until and n_pieces < pieces.shape[0] - 1:
        if cpu[s] > free_c or mem[s] > free_m or gpu[s] > free_g:
            if time[s] > begin:
                pieces[n_pieces, 0], pieces[n_pieces, 1] = begin, time[s]
                n_pieces += 1
            begin = time[s + 1]
        s += 1
    if begin < until and (s == end or time[s] >= until):
        pieces[n_pieces, 0], pieces[n_pieces, 1] = begin, until
        n_pieces += 1
    return n_pieces


@numba.njit(cache=True)
def _consider(
    pool, best, lease, since, d, c, m, g, room, due, first, last, paid, price, share, rule
):
    """Try one lease; keep it in ``best`` when it is; return the start that it allows."""
    boot, quantum, minimum = rule
    t = earliest_fit(pool, lease, since, d, c, m, g, room[0] - c, room[1] - m, room[2] - g)
    end = t + d
    if end <= due:
        held = max(last[lease], end) - min(first[lease], t) + boot
        score = (price * billed(held, quantum, minimum) - paid[lease]) * share
        if score < best[0] - 1e-12 or (score <= best[0] + 1e-12 and end < best[1] - 1e-9):
            best[0], best[1], best[2], best[3] = score, end, t, lease
    elif end < best[4]:
        best[4], best[5], best[6] = end, t, lease
    return t


@numba.njit(cache=True, nogil=True)
def list_schedule_large(
    order, target, task_class, duration, prefer, parent_ptr, parents, need, capacity, price,
    share_power, boot, quantum, minimum,
):  # fmt: skip
    """Place each task where, of the places looked at, it adds least cost and ends by its target.

    Parameters and results are those of :func:`autoscale.schedulers.kernels.list_schedule`, but
    that types for new leases are ranked here: ``prefer`` comes first if it is not -1.
    """
    n, n_types = order.size, price.size
    rule = (boot, quantum, minimum)
    task_lease = np.full(n, -1, dtype=np.int32)
    start = np.zeros(n, dtype=np.float64)
    finish = np.zeros(n, dtype=np.float64)
    lease_type = np.empty(n, dtype=np.int32)
    first = np.empty(n, dtype=np.float64)
    last = np.empty(n, dtype=np.float64)
    paid = np.empty(n, dtype=np.float64)
    tail = np.empty(n, dtype=np.float64)
    # The holes that stand for what is paid anyway, after and before a lease's tasks.
    spare = np.full((n, 2), -1, dtype=np.int32)
    n_leases = 0
    of_type = np.zeros(n_types, dtype=np.int64)
    pool = new_pool(n, n)

    most_vcpus = 0
    for i in range(n):
        most_vcpus = max(most_vcpus, need[i, 0])
    share = np.empty((most_vcpus + 1, n_types), dtype=np.float64)
    for v in range(most_vcpus + 1):
        for k in range(n_types):
            share[v, k] = (v / capacity[k, 0]) ** share_power
    shortest = np.full(n_types, np.inf)
    fastest_sum = 0.0
    latest = boot
    for i in range(n):
        fastest = np.inf
        for k in range(n_types):
            d = duration[task_class[i], k]
            fastest = min(fastest, d)
            if d > 0.0:
                shortest[k] = min(shortest[k], d)
        fastest_sum += fastest
        if target[i] < np.inf:
            latest = max(latest, target[i])
    horizon = max(latest - boot, 1e-3) if latest > boot else max(fastest_sum, 1e-3)
    tail_scale = TAIL_BUCKETS / horizon
    hole_scale = HOLE_BUCKETS / horizon

    tails = new_calendar(n_types, TAIL_BUCKETS, n)
    ends = new_calendar(n_types, TAIL_BUCKETS, n)
    heads = new_calendar(n_types, TAIL_BUCKETS, n)
    most_holes = n + 1024
    holes = new_calendar(n_types * LENGTHS, HOLE_BUCKETS, most_holes)
    hole_lease = np.empty(most_holes, dtype=np.int32)
    hole_task = np.empty(most_holes, dtype=np.int32)
    hole_from = np.empty(most_holes, dtype=np.float64)
    hole_to = np.empty(most_holes, dtype=np.float64)
    unused = np.arange(most_holes - 1, -1, -1).astype(np.int32)
    n_unused = most_holes
    best = np.empty(7, dtype=np.float64)
    pieces = np.empty((2 * WALK, 2), dtype=np.float64)

    for x in range(n):
        i = order[x]
        cls = task_class[i]
        c, m, g = need[i]
        due = target[i]
        ready = boot
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            ready = max(ready, finish[parents[e]])
        best[:] = np.inf
        best[3] = best[6] = -1
        best_hole = -1
        for k in range(n_types):
            d = duration[cls, k]
            if of_type[k] == 0 or not (d < np.inf and ready + d <= max(due, best[4])):
                continue
            room = capacity[k]
            worth = share[c, k]
            found = False
            for length in range(_length_class(d, horizon), LENGTHS):
                row = k * LENGTHS + length
                if holes[3][row] == 0:
                    continue
                looked = 0
                b = at_or_after(holes, row, _bucket(ready + d, boot, hole_scale, HOLE_BUCKETS))
                while b >= 0 and looked < PROBES and not found:
                    e = holes[0][row, b]
                    while e >= 0 and looked < PROBES and not found:
                        following = holes[4][e]
                        looked += 1
                        since = max(ready, hole_from[e])
                        if since + d <= min(hole_to[e], due):
                            if spare[hole_lease[e], 1] == e:
                                # Next to the first task: what is paid stays in one piece.
                                since = max(ready, hole_to[e] - d)
                            elif room[0] > 1:
                                since = ready
                            score, end = best[0], best[1]
                            t = _consider(
                                pool, best, hole_lease[e], since, d, c, m, g, room, due,
                                first, last, paid, price[k], worth, rule,
                            )  # fmt: skip
                            if best[0] != score or best[1] != end:
                                best_hole = e
                            if t + d <= hole_to[e]:
                                # Nothing is sooner; what makes the task wait is kept in mind only.
                                found = t == ready
                            else:
                                like = need[hole_task[e]]
                                if c <= like[0] and m <= like[1] and g <= like[2]:
                                    # It has been filled meanwhile.
                                    drop(holes, e)
                                    for side in range(2):
                                        if spare[hole_lease[e], side] == e:
                                            spare[hole_lease[e], side] = -1
                                    unused[n_unused] = e
                                    n_unused += 1
                                    if best_hole == e:
                                        best_hole = -1
                        e = following
                    b = at_or_after(holes, row, b + 1)
                if found:
                    break
            if found:
                continue
            probes = PROBES if room[0] > 1 else 2
            # Leases that get room soonest after the task is ready; those free the latest before;
            # those that are up longest and have room until then; those to be had earlier.
            for way in range(4):
                calendar = tails if way < 2 else (ends if way == 2 else heads)
                up = way == 0 or way == 3
                moment = ready if way < 2 or (way == 3 and room[0] > 1) else ready + d
                b = _bucket(moment, boot, tail_scale, TAIL_BUCKETS)
                b -= way == 1
                b = at_or_after(calendar, k, b) if up else at_or_before(calendar, k, b)
                stop = due if way == 3 else max(due, best[4]) - d
                furthest = _bucket(stop, boot, tail_scale, TAIL_BUCKETS)
                looked = 0
                while b >= 0 and looked < probes and (not up or b <= furthest):
                    lease = calendar[0][k, b]
                    while lease >= 0 and looked < probes:
                        looked += 1
                        since = ready
                        if way == 3:
                            since = max(ready, first[lease] - d)
                        elif room[0] == 1:
                            since = max(ready, tail[lease])
                        _consider(
                            pool, best, lease, since, d, c, m, g, room, due,
                            first, last, paid, price[k], worth, rule,
                        )  # fmt: skip
                        if best[3] == lease:
                            best_hole = -1
                        lease = calendar[4][lease]
                    b += 1 if up else -1
                    b = at_or_after(calendar, k, b) if up else at_or_before(calendar, k, b)

        new_type, new_score, new_duration = -1, np.inf, np.inf
        quickest = -1
        for k in range(n_types):
            d = duration[cls, k]
            if d < np.inf and (quickest < 0 or d < duration[cls, quickest]):
                quickest = k
            if not (d < np.inf and ready + d <= due + 1e-9):
                continue
            score = price[k] * billed(boot + d, quantum, minimum) * share[c, k]
            if k == prefer:
                new_type, new_score = k, score
                break
            if score < new_score or (score == new_score and d < new_duration):
                new_type, new_score, new_duration = k, score, d
        if best[3] < 0 and new_type < 0:
            if ready + duration[cls, quickest] < best[4]:
                new_type = quickest
            else:
                best[3], best[2] = best[6], best[5]
        elif not new_score < best[0] - 1e-12:
            new_type = -1

        if new_type >= 0:
            lease, t = n_leases, ready
            n_leases += 1
            lease_type[lease] = new_type
            of_type[new_type] += 1
            first[lease] = t
            last[lease] = t
            tail[lease] = t
            best_hole = -1
        else:
            lease, t = int(best[3]), best[2]
        k = lease_type[lease]
        d = duration[cls, k]
        occupy(pool, lease, t, t + d, c, m, g)
        task_lease[i] = lease
        start[i] = t
        finish[i] = t + d
        first[lease] = min(first[lease], t)
        last[lease] = max(last[lease], t + d)
        paid[lease] = price[k] * billed(last[lease] - first[lease] + boot, quantum, minimum)

        # Bring the calendars up to date.
        free_c, free_m, free_g = capacity[k, 0] - c, capacity[k, 1] - m, capacity[k, 2] - g
        old_tail = tail[lease]
        tail[lease] = max(
            old_tail, _room_for_good(pool, lease, free_c, free_m, free_g, first[lease])
        )
        put(tails, lease, k, _bucket(tail[lease], boot, tail_scale, TAIL_BUCKETS))
        put(heads, lease, k, _bucket(first[lease], boot, tail_scale, TAIL_BUCKETS))
        if capacity[k, 0] > 1:
            put(ends, lease, k, _bucket(last[lease], boot, tail_scale, TAIL_BUCKETS))
        n_pieces = 0
        if tail[lease] > old_tail:
            n_pieces = _rooms(pool, lease, old_tail, tail[lease], free_c, free_m, free_g, pieces, 0)
        if best_hole >= 0 and best_hole != spare[lease, 0] and best_hole != spare[lease, 1]:
            e = best_hole
            n_pieces = _rooms(
                pool, lease, hole_from[e], hole_to[e], free_c, free_m, free_g, pieces, n_pieces
            )
            drop(holes, e)
            unused[n_unused] = e
            n_unused += 1
        for y in range(n_pieces):
            wide = pieces[y, 1] - pieces[y, 0]
            if wide >= shortest[k] and n_unused > 0:
                n_unused -= 1
                e = unused[n_unused]
                hole_lease[e], hole_task[e] = lease, i
                hole_from[e], hole_to[e] = pieces[y, 0], pieces[y, 1]
                row = k * LENGTHS + _length_class(wide, horizon)
                put(holes, e, row, _bucket(hole_to[e], boot, hole_scale, HOLE_BUCKETS))
        billed_s = billed(last[lease] - first[lease] + boot, quantum, minimum)
        for side in range(2):
            if side == 0:
                since, until = tail[lease], max(last[lease], first[lease] - boot + billed_s)
            else:
                since, until = max(boot, last[lease] + boot - billed_s), first[lease]
            wide = until - since
            e = spare[lease, side]
            if wide >= shortest[k]:
                if e < 0 and n_unused > 0:
                    n_unused -= 1
                    e = unused[n_unused]
                    spare[lease, side] = e
                if e >= 0:
                    hole_lease[e], hole_task[e] = lease, i
                    hole_from[e], hole_to[e] = since, until
                    row = k * LENGTHS + _length_class(wide, horizon)
                    put(holes, e, row, _bucket(until, boot, hole_scale, HOLE_BUCKETS))
            elif e >= 0:
                drop(holes, e)
                spare[lease, side] = -1
                unused[n_unused] = e
                n_unused += 1
    return task_lease, lease_type[:n_leases].copy(), start
