"""Compiled search for the cheapest lease that takes a path.

Most leases are ruled out by a few numbers each, and 64 at a time: until when they are paid, before
when and from when on they have room, and how long at most between. Whether there is room is always
read from the lease itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.plan.kernels import earliest_fit
from autoscale.schedulers.critical.placing.kernels import EPS, NEVER, best_on_lease
from autoscale.schedulers.leasing.bounds.kernels import least_need

BLOCK = 64
"""Leases that are ruled out at once."""

NOISE_S = 1e-6
"""Seconds by which sums of times may be off."""

STEPS = 256
"""Steps of a lease's profile that are read at most; of a longer one nothing is known."""


class Search(NamedTuple):
    """What rules leases out; the same of blocks has the widest of their leases.

    A path starts on the lease at ``open`` or later: before its first task only where that is free.
    The lease may have room before ``head``, from ``tail`` on, and between for ``gap`` seconds at a
    time, as far as the least need of any task goes; seconds all. ``block_paid`` is until when a
    block is paid. ``mark[lease]`` and ``block_mark[block]`` say of which task a child is there.
    """

    least: Any
    open: Any
    head: Any
    tail: Any
    gap: Any
    mark: Any
    block_open: Any
    block_head: Any
    block_tail: Any
    block_gap: Any
    block_paid: Any
    block_mark: Any


@numba.njit(cache=True)
def new_search(x, n_leases):
    """Return a search of leases that are not open yet."""
    blocks = (n_leases + BLOCK - 1) // BLOCK
    least = least_need(x)
    return Search(
        least,
        np.full(n_leases, np.inf),
        np.full(n_leases, -np.inf),
        np.full(n_leases, np.inf),
        np.full(n_leases, -np.inf),
        np.full(n_leases, -1, dtype=np.int64),
        np.full(blocks, np.inf),
        np.full(blocks, -np.inf),
        np.full(blocks, np.inf),
        np.full(blocks, -np.inf),
        np.full(blocks, -np.inf),
        np.full(blocks, -1, dtype=np.int64),
    )


@numba.njit(cache=True)
def _room(s, x, least, lease):
    """Return (head, tail, gap) of a lease: as in :class:`Search`."""
    k = s.kind[lease]
    time, cpu, mem, gpu, where, _ = s.pool
    low = where[lease, 0]
    size = where[lease, 1]
    if size > STEPS:
        return np.inf, -np.inf, np.inf
    c, m, g = x.capacity[k, 0] - least[0], x.capacity[k, 1] - least[1], x.capacity[k, 2] - least[2]
    head, tail, gap = np.inf, -np.inf, 0.0
    for step in range(low, low + size):
        if cpu[step] > c or mem[step] > m or gpu[step] > g:
            if head == np.inf:
                head = time[step]
            else:
                gap = max(gap, time[step] - tail)
            tail = time[step + 1] if step + 1 < low + size else np.inf
    return head, tail, gap


@numba.njit(cache=True)
def note(x, s, search, lease):
    """Bring up to date what is known of a lease that was filled, and of its block."""
    head, tail, gap = _room(s, x, search.least, lease)
    price = x.price[s.kind[lease]]
    # Whether a start is free is decided by money, up to 1e-12 USD.
    free = s.last[lease] + x.boot - (s.paid[lease] + 1e-12) / price - NOISE_S
    search.open[lease] = min(s.first[lease], free)
    search.head[lease], search.tail[lease], search.gap[lease] = head, tail, gap
    block = lease // BLOCK
    least_open, most_head, least_tail, most_gap = np.inf, -np.inf, np.inf, -np.inf
    paid = -np.inf
    for y in range(block * BLOCK, min((block + 1) * BLOCK, s.opened[0])):
        least_open = min(least_open, search.open[y])
        most_head = max(most_head, search.head[y])
        least_tail = min(least_tail, search.tail[y])
        most_gap = max(most_gap, search.gap[y])
        paid = max(paid, s.first[y] - x.boot + s.paid[y] / x.price[s.kind[y]])
    search.block_open[block], search.block_head[block] = least_open, most_head
    search.block_tail[block], search.block_gap[block] = least_tail, most_gap
    search.block_paid[block] = paid


@numba.njit(cache=True)
def _mark_children(x, s, w, search, i):
    """Mark the leases on which a task has an assigned child; their tasks might be shifted."""
    for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
        c = x.children[e]
        if w.assigned[c] and s.lease[c] >= 0:
            search.mark[s.lease[c]] = i
            search.block_mark[s.lease[c] // BLOCK] = i


@numba.njit(cache=True)
def _longest(x, w, path, soonest):
    """Return a path's longest task by type: how long, from when on, and what runs from it on.

    Each of shape (types,), seconds; inf where the path does not fit.
    """
    kinds = x.price.size
    longest, since, onward = np.full(kinds, np.inf), np.full(kinds, np.inf), np.full(kinds, np.inf)
    for k in range(kinds):
        before, most, begin, rest = 0.0, -1.0, np.inf, 0.0
        for i in path:
            d = x.duration[x.task_class[i], k]
            if not d < np.inf:
                most = np.inf
                break
            if d > most:
                most, rest = d, 0.0
                begin = soonest + before if w.edges else max(soonest + before, w.est[i])
            before += d
            rest += d
        if most < np.inf:
            longest[k], since[k], onward[k] = most, begin, rest
    return longest, since, onward


@numba.njit(cache=True)
def best_lease(x, s, w, search, path, held, starts):
    """Return (lease or -1, way, not before) of the cheapest existing lease for a path.

    ``held`` is how long the path runs on each type.
    """
    lease, way, floor, cost = -1, NEVER, 0.0, np.inf
    end_task = path[path.size - 1]
    mark, block_mark, block_paid = search.mark, search.block_mark, search.block_paid
    opens, heads, tails, gaps = search.open, search.head, search.tail, search.gap
    block_open, block_head = search.block_open, search.block_head
    block_tail, block_gap = search.block_tail, search.block_gap
    # Local names: passing whole structures costs more than the comparisons that rule leases out.
    kind, first, last, paid, pool = s.kind, s.first, s.last, s.paid, s.pool
    price, boot, quantum, minimum = x.price, x.boot, x.quantum, x.minimum
    duration, capacity = x.duration[x.task_class[path[0]]], x.capacity
    c, m, g = x.need[path[0], 0], x.need[path[0], 1], x.need[path[0], 2]
    last_duration = x.duration[x.task_class[end_task]]
    lc, lm, lg = x.need[end_task, 0], x.need[end_task, 1], x.need[end_task, 2]
    soonest = boot if w.edges else w.est[path[0]]
    last_ready = boot if w.edges else w.est[end_task]
    latest = np.inf if w.edges else w.lft[end_task] + EPS
    longest, since, onward = _longest(x, w, path, soonest)
    shortest, earliest, least_onward = longest.min(), since.min(), onward.min()
    least_held, slack = np.inf, -np.inf
    for k in range(price.size):
        if held[k] < np.inf:
            least_held = min(least_held, held[k])
            # Paid time that ended so long ago makes no lease applicable.
            slack = max(slack, billed(held[k] + boot, quantum, minimum) - held[k])
    _mark_children(x, s, w, search, end_task)
    for block in range((s.opened[0] + BLOCK - 1) // BLOCK):
        if soonest - block_paid[block] >= slack + 1e-6:
            continue
        if block_mark[block] != end_task:
            begin = max(soonest, block_open[block])
            if not begin + least_held <= latest + NOISE_S:
                continue
            if (
                block_gap[block] + NOISE_S < shortest
                and block_head[block] + NOISE_S < max(earliest, begin) + shortest
                and not max(earliest, block_tail[block]) + least_onward <= latest + NOISE_S
            ):
                continue
        for tried in range(block * BLOCK, min((block + 1) * BLOCK, s.opened[0])):
            k = kind[tried]
            if not held[k] < np.inf:
                continue
            child_there, begin = mark[tried] == end_task, soonest
            end = begin + held[k]
            if not end <= latest:
                continue
            if not child_there:
                begin = max(soonest, opens[tried])
                end = begin + held[k]
                if not end <= latest + NOISE_S:
                    continue
                inside = gaps[tried] + NOISE_S >= longest[k]
                if not inside and heads[tried] + NOISE_S < max(since[k], begin) + longest[k]:
                    after = max(since[k], tails[tried])
                    end = max(end, after + onward[k])
                    if not end <= latest + NOISE_S:
                        continue
                    if longest[k] == duration[k]:  # the first task is the longest
                        begin = max(begin, after)
            span = max(last[tried], end - NOISE_S) - first[tried] + boot
            if price[k] * span - paid[tried] >= cost - 1e-12:
                continue
            least = price[k] * billed(span, quantum, minimum) - paid[tried]
            if least >= cost - 1e-12:
                continue
            alone = price[k] * billed(held[k] + boot, quantum, minimum)
            paid_until = first[tried] - boot + paid[tried] / price[k]
            if least >= alone - 1e-12 and begin >= paid_until - 1e-6 + NOISE_S:
                continue  # not applicable, however it is placed
            if not child_there:
                t = earliest_fit(
                    pool, tried, begin - NOISE_S, duration[k], c, m, g,
                    capacity[k, 0] - c, capacity[k, 1] - m, capacity[k, 2] - g,
                )  # fmt: skip
                end = max(end, t + held[k])
                if path.size > 1:  # first tasks often fit where last ones do not any more
                    d = last_duration[k]
                    t = earliest_fit(
                        pool, tried, max(t + held[k] - d, last_ready) - NOISE_S, d, lc, lm, lg,
                        capacity[k, 0] - lc, capacity[k, 1] - lm, capacity[k, 2] - lg,
                    )  # fmt: skip
                    end = max(end, t + d)
                if not end <= latest + NOISE_S:
                    continue
                span = max(last[tried], end - NOISE_S) - first[tried] + boot
                if price[k] * billed(span, quantum, minimum) - paid[tried] >= cost - 1e-12:
                    continue
            how, added, low = best_on_lease(x, s, w, path, tried, child_there, starts)
            if how != NEVER and added < cost - 1e-12:
                lease, way, floor, cost = tried, how, low, added
                if cost <= 1e-12:
                    break
        if cost <= 1e-12:
            break
    return lease, way, floor
