"""Compiled deadline assignment: bundles, types upgraded until in time, windows of paths."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.policies.subdeadlines.windows.kernels import finishes, tails, windows
from autoscale.schedulers.upgrades.kernels import all_upgrades

EPS = 1e-9
SCS, GAIN, SOONEST = range(3)
"""Rules, see :class:`~autoscale.policies.subdeadlines.dates.Dates`."""


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
def gained(parent_ptr, parents, begin, rest, usd, kind, limit):
    """Make the fewest of GAIN's upgrades, the best value first, that are in time, in place.

    Their order does not depend on the makespan, which only falls: their number is bisected.
    """
    weight, owner, to = all_upgrades(rest, usd, kind)
    order = np.argsort(-weight, kind="mergesort")
    low, high = 0, owner.size
    held = np.empty(kind.size)
    while low < high:
        middle = (low + high) // 2
        for b in range(kind.size):
            held[b] = rest[b, kind[b]]
        for at in order[:middle]:
            held[owner[at]] = rest[owner[at], to[at]]
        if finishes(parent_ptr, parents, begin, held).max() <= limit + EPS:
            high = middle
        else:
            low = middle + 1
    for at in order[:low]:
        kind[owner[at]] = to[at]


@numba.njit(cache=True)
def assign(
    rule, parent_ptr, parents, child_ptr, children, bundle, cls, duration, cost, status, end_s,
    now, entry, due, limit, per_hour, most, exact,
    kind, rest, some, work, begin_s, due_s, task_due_s,
):  # fmt: skip
    """Assign types and windows to what has not started; return (makespan, cost per hour).

    Fills what follows ``exact``, see :meth:`autoscale.policies.subdeadlines.dates.Dates.assign`.
    One call of compiled code, because it is made for every open job whenever a plan is.
    """
    size = kind.size
    begin, rest[:], usd, some[:] = remaining(
        bundle, size, cls, duration, cost, status, end_s, now, entry
    )
    kind[:] = cheapest(rest, usd, some)
    graph = (parent_ptr, parents, child_ptr, children)
    if rule == SOONEST:
        speed_up(*graph, begin, rest, usd, some, kind, now, per_hour, most)
    elif due < np.inf and rule == SCS:
        upgrade(*graph, begin, rest, usd, some, kind, limit, exact)
    elif due < np.inf:
        gained(parent_ptr, parents, begin, rest, usd, kind, limit)
    for b in range(size):
        work[b] = rest[b, kind[b]]
    finish = finishes(parent_ptr, parents, begin, work)
    makespan = finish.max()
    last = max(makespan, due) if due < np.inf else makespan
    if rule == SOONEST:
        begin_s[:] = finish - work
        due_s[:] = finish
    elif rule == GAIN:
        begin_s[:] = finish - work
        due_s[:] = last - tails(child_ptr, children, work) + work
    else:
        order = np.argsort(-finish, kind="mergesort")
        begin_s[:], due_s[:] = windows(*graph, begin, work, some, last, order)
    for i in range(bundle.size):
        if status[i] < 3:
            task_due_s[i] = due_s[bundle[i]]
    return makespan, hourly_usd(usd, kind, makespan - now)
