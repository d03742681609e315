"""Compiled lists of leases by type, each sorted by a key; and the types worth opening."""

from __future__ import annotations

import numba
import numpy as np

WALK = 64
"""Steps of a lease's profile that are read to find from when on it has room."""


@numba.njit(cache=True)
def efficient_types(duration, cost, price, member, tolerance):
    """Return, per class, the types that no other beats in both duration and cost; -1 ends a row.

    Parameters
    ----------
    duration
        Seconds of each class on each type, inf where unfit.
    cost
        USD of each class on each type, like ``duration``.
    price
        USD per second of each type; of types that are equal, the cheapest to open is kept.
    member
        Types that are on offer, ascending.
    tolerance
        Relative difference below which costs and durations are equal.

    Returns
    -------
    kept
        Quickest first, shape (classes, widest).
    """
    n = duration.shape[0]
    kept = np.full((n, member.size), -1, dtype=np.int32)
    widest = 1
    for c in range(n):
        own = duration[c][member]
        order = np.argsort(own, kind="mergesort")
        count = 0
        least = np.inf
        x = 0
        while x < order.size and own[order[x]] < np.inf:
            # Of the types that are equally quick, the cheapest, then the cheapest to open.
            quick = own[order[x]]
            best = -1
            while x < order.size and own[order[x]] <= quick * (1 + tolerance):
                k = member[order[x]]
                much_less = best < 0 or cost[c, k] < cost[c, best] * (1 - tolerance)
                alike = cost[c, k] <= cost[c, best] * (1 + tolerance)
                if much_less or (alike and price[k] < price[best]):
                    best = k
                x += 1
            if cost[c, best] < least * (1 - tolerance):
                least = cost[c, best]
                kept[c, count] = best
                count += 1
        widest = max(widest, count)
    return kept[:, :widest].copy()


@numba.njit(cache=True)
def _position(members, keys, low, high, key, lease):
    """Return the first position in [low, high) not before (key, lease)."""
    while low < high:
        middle = (low + high) // 2
        other = members[middle]
        if keys[other] < key or (keys[other] == key and other < lease):
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True)
def new_index(n_types, n_leases):
    """Return empty lists of leases by type, each sorted by a key."""
    members = np.empty(4 * n_leases + 16 * n_types + 16, dtype=np.int32)
    where = np.zeros((n_types, 3), dtype=np.int64)
    free = np.zeros(1, dtype=np.int64)
    keys = np.empty(n_leases, dtype=np.float64)
    return members, where, free, keys


@numba.njit(cache=True)
def index_put(index, k, lease, key, is_new):
    """Put a lease into the list of type ``k``, or move it to where its new key belongs."""
    members, where, free, keys = index
    offset, length = where[k, 0], where[k, 1]
    if is_new:
        if length == where[k, 2]:
            wider = max(8, 2 * length)
            for x in range(length):
                members[free[0] + x] = members[offset + x]
            where[k, 0] = offset = free[0]
            where[k, 2] = wider
            free[0] += wider
        keys[lease] = key
        at = _position(members, keys, offset, offset + length, key, lease)
        for x in range(offset + length, at, -1):
            members[x] = members[x - 1]
        members[at] = lease
        where[k, 1] = length + 1
        return
    if keys[lease] == key:
        return
    at = _position(members, keys, offset, offset + length, keys[lease], lease)
    keys[lease] = key
    while at + 1 < offset + length:
        other = members[at + 1]
        if keys[other] < key or (keys[other] == key and other < lease):
            members[at] = other
            at += 1
        else:
            break
    while at > offset:
        other = members[at - 1]
        if keys[other] > key or (keys[other] == key and other > lease):
            members[at] = other
            at -= 1
        else:
            break
    members[at] = lease


@numba.njit(cache=True)
def near(index, k, moment, n_before, n_after, out, count):
    """Append the leases of type ``k`` with keys next to a moment; return the new count."""
    members, where, _, keys = index
    low, high = where[k, 0], where[k, 0] + where[k, 1]
    at = _position(members, keys, low, high, moment, 2**30)
    for x in range(max(low, at - n_before), min(high, at + n_after)):
        out[count] = members[x]
        count += 1
    return count


@numba.njit(cache=True)
def room_from(pool, lease, capacity):
    """Return from when on the lease has a vCPU free for good."""
    time, cpu, _, _, where, _ = pool
    offset, length = where[lease, 0], where[lease, 1]
    for back in range(min(length, WALK)):
        s = offset + length - 1 - back
        if cpu[s] >= capacity:
            return time[s + 1]
    return time[offset] if length else 0.0
