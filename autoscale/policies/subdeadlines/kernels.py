"""Compiled deadline assignment: bundles, types upgraded until in time, windows of paths."""

from __future__ import annotations

import numba
import numpy as np

EPS = 1e-9


@numba.njit(cache=True)
def bundle_of(parent_ptr, parents, child_ptr, liked):
    """Return each task's bundle, and how many there are.

    A task is bundled with its only parent if it is that one's only child and both like the same
    type. Bundles are numbered by their first tasks, so that parents come before children.
    """
    n = liked.size
    out = np.empty(n, dtype=np.int32)
    size = 0
    for i in range(n):
        lo = parent_ptr[i]
        if parent_ptr[i + 1] - lo == 1:
            p = parents[lo]
            if child_ptr[p + 1] - child_ptr[p] == 1 and liked[p] == liked[i]:
                out[i] = out[p]
                continue
        out[i] = size
        size += 1
    return out, size


@numba.njit(cache=True)
def remaining(bundle, n_bundles, cls, duration, cost, status, end_s, now, entry):
    """Return what is left of each bundle: (from when, duration and cost by type, whether any).

    Parameters
    ----------
    status
        4 for tasks that have ended, 3 for those that run.
    end_s
        When a running task should end.
    entry
        From when on what has not started can start.
    """
    n_types = duration.shape[1]
    begin = np.full(n_bundles, now)
    rest = np.zeros((n_bundles, n_types))
    usd = np.zeros((n_bundles, n_types))
    some = np.zeros(n_bundles, dtype=np.bool_)
    for i in range(bundle.size):
        b = bundle[i]
        if status[i] == 4:
            continue
        if status[i] == 3:
            begin[b] = max(begin[b], end_s[i])
            continue
        begin[b] = max(begin[b], entry)
        some[b] = True
        for k in range(n_types):
            rest[b, k] += duration[cls[i], k]
            usd[b, k] += cost[cls[i], k]
    return begin, rest, usd, some


@numba.njit(cache=True)
def cheapest(rest, usd, some):
    """Return each bundle's cheapest type, the fastest of equally cheap ones."""
    out = np.zeros(some.size, dtype=np.int32)
    for b in range(some.size):
        best = -1
        for k in range(rest.shape[1]):
            if not rest[b, k] < np.inf:
                continue
            if (
                best < 0
                or usd[b, k] < usd[b, best]
                or (usd[b, k] == usd[b, best] and rest[b, k] < rest[b, best])
            ):
                best = k
        out[b] = max(best, 0)
    return out


@numba.njit(cache=True)
def finishes(parent_ptr, parents, begin, held):
    """Return when each bundle ends at the earliest."""
    out = np.empty(held.size)
    for b in range(held.size):
        t = begin[b]
        for e in range(parent_ptr[b], parent_ptr[b + 1]):
            t = max(t, out[parents[e]])
        out[b] = t + held[b]
    return out


@numba.njit(cache=True)
def tails(child_ptr, children, held):
    """Return the longest chain that begins with each bundle."""
    out = np.empty(held.size)
    for b in range(held.size - 1, -1, -1):
        t = 0.0
        for e in range(child_ptr[b], child_ptr[b + 1]):
            t = max(t, out[children[e]])
        out[b] = t + held[b]
    return out


@numba.njit(cache=True)
def _raise(table, lo, hi, value):
    """Let ``value`` count for the places from ``lo`` to ``hi``, in a table of powers of two."""
    if lo > hi:
        return
    level = 0
    while (2 << level) <= hi - lo + 1:
        level += 1
    other = hi - (1 << level) + 1
    table[level, lo] = max(table[level, lo], value)
    table[level, other] = max(table[level, other], value)


@numba.njit(cache=True)
def makespans_without(parent_ptr, parents, child_ptr, children, begin, finish, tail):
    """Return, for each bundle, when all else ends at the latest: the longest chain that avoids it.

    A chain that avoids the bundle in place ``b`` of the topological order has an edge over ``b``,
    or begins after it, or ends before it.
    """
    n = finish.size
    levels = 1
    while (1 << levels) <= n:
        levels += 1
    table = np.full((levels, n), -np.inf)
    for b in range(n):
        _raise(table, 0, b - 1, begin[b] + tail[b])
        _raise(table, b + 1, n - 1, finish[b])
        for e in range(child_ptr[b], child_ptr[b + 1]):
            c = children[e]
            _raise(table, b + 1, c - 1, finish[b] + tail[c])
    for level in range(levels - 1, 0, -1):
        half = 1 << (level - 1)
        for b in range(n - (1 << level) + 1):
            value = table[level, b]
            table[level - 1, b] = max(table[level - 1, b], value)
            table[level - 1, b + half] = max(table[level - 1, b + half], value)
    return table[0]


@numba.njit(cache=True)
def _next_type(rest, usd, b, now):
    """Return the cheapest type that is faster for a bundle, the faster of two; -1 for none."""
    best = -1
    for k in range(rest.shape[1]):
        if rest[b, k] < rest[b, now] - EPS and (
            best < 0
            or usd[b, k] < usd[b, best]
            or (usd[b, k] == usd[b, best] and rest[b, k] < rest[b, best])
        ):
            best = k
    return best


@numba.njit(cache=True)
def _value(saved, added):
    if saved <= EPS:
        return 0.0
    return saved / added if added > 0.0 else np.inf


@numba.njit(cache=True)
def _options(
    parent_ptr, parents, child_ptr, children, begin, finish, held, rest, usd, some, kind, above
):
    """Return each bundle's upgrade: (type or -1, own seconds saved for a dollar, makespan after).

    Only bundles on chains longer than ``above`` have one; the makespan is exact.
    """
    n = kind.size
    tail = tails(child_ptr, children, held)
    makespan = finish.max()
    to = np.full(n, -1, dtype=np.int32)
    own = np.zeros(n)
    after = np.full(n, makespan)
    for b in range(n):
        if some[b] and finish[b] + tail[b] - held[b] >= above:
            to[b] = _next_type(rest, usd, b, kind[b])
            if to[b] >= 0:
                own[b] = _value(held[b] - rest[b, to[b]], usd[b, to[b]] - usd[b, kind[b]])
    if own.max() > 0.0 and above >= makespan - EPS:
        apart = makespans_without(parent_ptr, parents, child_ptr, children, begin, finish, tail)
        for b in range(n):
            if to[b] >= 0:
                after[b] = max(makespan - (held[b] - rest[b, to[b]]), apart[b])
    return to, own, after


@numba.njit(cache=True)
def _best(makespan, to, own, after, usd, kind):
    """Return the upgrade with the most seconds off the makespan for a dollar, else off its own."""
    best, best_value = -1, 0.0
    for b in range(to.size):
        if to[b] >= 0:
            value = _value(makespan - after[b], usd[b, to[b]] - usd[b, kind[b]])
            if value > best_value:
                best, best_value = b, value
    if best < 0 and own.max() > 0.0:
        best = int(np.argmax(own))
    return best


@numba.njit(cache=True)
def upgrade(parent_ptr, parents, child_ptr, children, begin, rest, usd, some, kind, limit, exact):
    """Upgrade types until everything ends by ``limit``; ``kind`` is changed in place.

    The upgrade with the most seconds off the makespan for a dollar is made; where none shortens
    it, because several chains are longest, the one on them that saves most of its own seconds for a
    dollar. Above ``exact`` bundles, several of the latter are made at a time.
    """
    n = kind.size
    held = np.empty(n)
    for b in range(n):
        held[b] = rest[b, kind[b]]
    batch = max(1, n // exact)
    while True:
        finish = finishes(parent_ptr, parents, begin, held)
        makespan = finish.max()
        if makespan <= limit + EPS:
            return
        above = limit + EPS if batch > 1 else makespan - EPS
        to, own, after = _options(
            parent_ptr, parents, child_ptr, children,
            begin, finish, held, rest, usd, some, kind, above,
        )  # fmt: skip
        if own.max() <= 0.0:
            return
        for _ in range(batch):
            b = _best(makespan, to, own, after, usd, kind) if batch == 1 else int(np.argmax(own))
            if own[b] <= 0.0:
                break
            own[b] = 0.0
            kind[b] = to[b]
            held[b] = rest[b, kind[b]]


@numba.njit(cache=True)
def hourly_usd(usd, kind, span_s):
    """Return what a plan costs an hour: its work spread over its span, an hour at least."""
    total = 0.0
    for b in range(kind.size):
        total += usd[b, kind[b]]
    return total / max(span_s / 3600.0, 1.0)


@numba.njit(cache=True)
def speed_up(
    parent_ptr, parents, child_ptr, children, begin, rest, usd, some, kind, now, per_hour, most
):
    """Upgrade types as long as the plan costs at most ``per_hour`` USD an hour, ``most`` times.

    In the order of :func:`upgrade`; what is too dear is passed over. ``kind`` is changed in place.
    """
    n = kind.size
    held = np.empty(n)
    for b in range(n):
        held[b] = rest[b, kind[b]]
    some = some.copy()
    total = hourly_usd(usd, kind, 0.0)
    for _ in range(most):
        finish = finishes(parent_ptr, parents, begin, held)
        makespan = finish.max()
        to, own, after = _options(
            parent_ptr, parents, child_ptr, children,
            begin, finish, held, rest, usd, some, kind, makespan - EPS,
        )  # fmt: skip
        b = _best(makespan, to, own, after, usd, kind)
        if b < 0:
            return
        added = usd[b, to[b]] - usd[b, kind[b]]
        if (total + added) / max((after[b] - now) / 3600.0, 1.0) > per_hour + EPS:
            some[b] = False
            continue
        total += added
        kind[b] = to[b]
        held[b] = rest[b, kind[b]]


@numba.njit(cache=True)
def _push_down(child_ptr, children, held, dated, soonest, queue, inside, first):
    """Let the children of what was dated begin later, and theirs."""
    head, size = 0, 1
    queue[0] = first
    n = held.size
    while size:
        b = queue[head]
        head = (head + 1) % n
        size -= 1
        inside[b] = False
        free = soonest[b] if dated[b] else soonest[b] + held[b]
        for e in range(child_ptr[b], child_ptr[b + 1]):
            c = children[e]
            if not dated[c] and soonest[c] < free:
                soonest[c] = free
                if not inside[c]:
                    inside[c] = True
                    queue[(head + size) % n] = c
                    size += 1


@numba.njit(cache=True)
def _push_up(parent_ptr, parents, held, dated, latest, queue, inside, first):
    """Let the parents of what was dated end earlier, and theirs."""
    head, size = 0, 1
    queue[0] = first
    n = held.size
    while size:
        b = queue[head]
        head = (head + 1) % n
        size -= 1
        inside[b] = False
        due = latest[b] if dated[b] else latest[b] - held[b]
        for e in range(parent_ptr[b], parent_ptr[b + 1]):
            p = parents[e]
            if not dated[p] and latest[p] > due:
                latest[p] = due
                if not inside[p]:
                    inside[p] = True
                    queue[(head + size) % n] = p
                    size += 1


@numba.njit(cache=True)
def windows(parent_ptr, parents, child_ptr, children, begin, held, some, limit, order):
    """Return from when and until when each bundle may run, (T0, T1).

    The chain to the bundle that ends last is dated first; then, from what is dated upwards, chains
    of parents that have no date, the latest-ending parent first. The time between what a chain
    hangs on is shared out in proportion to durations. If the limit is too tight, the makespan
    takes its place. ``order`` has the bundles by when they end at the earliest, the last first.
    """
    n = held.size
    finish = finishes(parent_ptr, parents, begin, held)
    limit = max(limit, finish.max())
    soonest = finish - held
    latest = limit - tails(child_ptr, children, held) + held
    t0, t1 = np.empty(n), np.empty(n)
    dated = np.zeros(n, dtype=np.bool_)
    for b in range(n):
        if not some[b]:
            # Ended, or about to end whatever is planned.
            dated[b] = True
            t0[b] = t1[b] = soonest[b] = latest[b] = finish[b]
    queue = np.empty(max(n, 1), dtype=np.int64)
    inside = np.zeros(n, dtype=np.bool_)
    stack = np.empty(n, dtype=np.int64)
    path = np.empty(n, dtype=np.int64)
    for last in order:
        # Every bundle that nothing dated hangs on ends a chain: the sinks, the latest first.
        if dated[last] or child_ptr[last + 1] > child_ptr[last]:
            continue
        top = 0
        stack[0] = -1 - last
        while top >= 0:
            at = stack[top]
            start = -1
            if at < 0:
                start = -1 - at
                top -= 1
            else:
                for e in range(parent_ptr[at], parent_ptr[at + 1]):
                    p = parents[e]
                    if not dated[p] and (start < 0 or finish[p] > finish[start]):
                        start = p
                if start < 0:
                    top -= 1
                    continue
            size = 0
            while start >= 0:
                path[size] = start
                size += 1
                above = -1
                for e in range(parent_ptr[start], parent_ptr[start + 1]):
                    p = parents[e]
                    if not dated[p] and (above < 0 or finish[p] > finish[above]):
                        above = p
                start = above
            total, passed = 0.0, 0.0
            for y in range(size):
                total += held[path[y]]
            open_s, close_s = soonest[path[size - 1]], latest[path[0]]
            free = open_s
            for y in range(size - 1, -1, -1):
                b = path[y]
                passed += held[b]
                part = passed / total if total > 0.0 else 1.0
                t0[b] = max(free, soonest[b])
                t1[b] = min(max(t0[b] + held[b], open_s + part * (close_s - open_s)), latest[b])
                free = t1[b]
            for y in range(size):
                b = path[y]
                dated[b] = True
                latest[b], soonest[b] = t0[b], t1[b]
            for y in range(size - 1, -1, -1):
                b = path[y]
                _push_down(child_ptr, children, held, dated, soonest, queue, inside, b)
                _push_up(parent_ptr, parents, held, dated, latest, queue, inside, b)
                top += 1
                stack[top] = b
    return t0, t1
