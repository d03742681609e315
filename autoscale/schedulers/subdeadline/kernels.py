"""Compiled allocators that place one task after another against its sub-deadline."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.schedulers.critical.placing.kernels import applicable
from autoscale.schedulers.leasing.kernels import (
    cheapest_start,
    commit,
    earliest_start,
    lease_cost,
    new_lease_cost,
    new_leases,
    open_lease,
    ready_time,
)

EPS = 1e-9

LEAST, EXISTING_FIRST, ALWAYS_NEW = 0, 1, 2
"""Rules: least increase of the bill; applicable leases before any new one; no lease twice."""


@numba.njit(cache=True)
def fifo_order(x):
    """Return the tasks in the order in which a queue of ready tasks gives them."""
    n = x.task_class.size
    order = np.empty(n, dtype=np.int64)
    missing = np.empty(n, dtype=np.int64)
    size = 0
    for i in range(n):
        missing[i] = x.parent_ptr[i + 1] - x.parent_ptr[i]
        if missing[i] == 0:
            order[size] = i
            size += 1
    for at in range(n):
        i = order[at]
        for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
            c = x.children[e]
            missing[c] -= 1
            if missing[c] == 0:
                order[size] = c
                size += 1
    return order


@numba.njit(cache=True)
def new_lease_ranking(x):
    """Return, per class, the types by what a new lease for the class costs, -1 past the last fit.

    A type that is no faster than a cheaper one never is the cheapest in time and is left out.
    """
    n_classes, n_types = x.duration.shape
    ranking = np.full((n_classes, n_types), -1, dtype=np.int32)
    cost = np.empty(n_types, dtype=np.float64)
    for cls in range(n_classes):
        for k in range(n_types):
            d = x.duration[cls, k]
            cost[k] = lease_cost(x, k, d) if d < np.inf else np.inf
        at = 0
        fastest = np.inf
        for k in np.argsort(cost, kind="mergesort"):
            if cost[k] < np.inf and x.duration[cls, k] < fastest:
                fastest = x.duration[cls, k]
                ranking[cls, at] = k
                at += 1
    return ranking


@numba.njit(cache=True)
def best_new(x, ranking, i, apart, limit, only):
    """Return (type, cost) of the cheapest new lease that ends a task in time; -1 if none does.

    ``only`` is the one type allowed, or -1.
    """
    cls = x.task_class[i]
    if only >= 0:
        if apart + x.duration[cls, only] <= limit + EPS:
            return only, new_lease_cost(x, i, only)
        return -1, np.inf
    for y in range(ranking.shape[1]):
        k = ranking[cls, y]
        if k < 0:
            break
        if apart + x.duration[cls, k] <= limit + EPS:
            return k, new_lease_cost(x, i, k)
    return -1, np.inf


@numba.njit(cache=True)
def best_used(x, s, i, soonest, apart, limit, below, strict, only):
    """Return (lease, start, added USD) of the cheapest place on existing leases, -1 if none.

    Only places that add less than ``below`` count; with ``strict``, only on leases that are
    applicable in the sense of IC-PCP. ``only`` is the one type allowed, or -1.
    """
    # Passing whole structures costs more than the few comparisons that rule most leases out.
    kind, first, last, paid = s.kind, s.first, s.last, s.paid
    price, boot, quantum, minimum = x.price, x.boot, x.quantum, x.minimum
    duration = x.duration[x.task_class[i]]
    best, best_start, best_added = -1, np.inf, below
    for lease in range(s.opened[0]):
        k = kind[lease]
        end = soonest + duration[k]
        if not end <= limit + EPS or (only >= 0 and only != k):
            continue
        # What comes last, without the rounding up of quanta: a bound from below.
        held = max(last[lease], end) - first[lease] + boot
        if price[k] * held - paid[lease] >= best_added - 1e-12:
            continue
        if end > last[lease]:
            least = price[k] * billed(held, quantum, minimum) - paid[lease]
            if least >= best_added - 1e-12:
                continue
        ready = soonest if apart == soonest else ready_time(x, s, i, lease)
        t, added = cheapest_start(x, s, i, lease, ready, limit)
        if not added < best_added - 1e-12:
            continue
        if strict and not applicable(x, s, lease, t, added, new_lease_cost(x, i, k)):
            continue
        best, best_start, best_added = lease, t, added
        if best_added <= 1e-12:
            break
    return best, best_start, best_added


@numba.njit(cache=True)
def rescue(x, s, ranking, i, soonest, apart):
    """Place a task that cannot be in time where it ends first, on a used or a new lease."""
    cls = x.task_class[i]
    best, best_start, best_end, kind = -1, np.inf, np.inf, -1
    for lease in range(s.opened[0]):
        d = x.duration[cls, s.kind[lease]]
        if not soonest + d < best_end:
            continue
        t = earliest_start(x, s, i, lease, ready_time(x, s, i, lease))
        if t + d < best_end:
            best, best_start, best_end = lease, t, t + d
    for y in range(ranking.shape[1]):
        k = ranking[cls, y]
        if k < 0:
            break
        if apart + x.duration[cls, k] < best_end - EPS:
            best, best_start, best_end, kind = -1, apart, apart + x.duration[cls, k], k
    if best < 0:
        best = open_lease(s, kind)
    commit(x, s, i, best, best_start)


@numba.njit(cache=True)
def allocate(x, order, limit, ranking, rule, only):
    """Place the tasks in order, each where it is cheapest among what ends by its sub-deadline.

    Parameters
    ----------
    order
        A topological order of the tasks.
    limit
        Each task's sub-deadline, seconds.
    ranking
        What :func:`new_lease_ranking` returns.
    rule
        ``LEAST``: the least increase of the bill decides, an existing lease before a new one
        (ProLiS). ``EXISTING_FIRST``: an applicable lease goes before any new one, be it dearer
        (IC-PCPD2). ``ALWAYS_NEW``: every task has a lease of its own (Greedy).
    only
        Per task, the one type that it may go to, or -1.

    Returns
    -------
    leases
        The leases; a task that cannot be in time is where it ends first.
    """
    n = order.size
    s = new_leases(n, n)
    for i in order:
        soonest = x.boot
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            soonest = max(soonest, s.finish[x.parents[e]])
        apart = ready_time(x, s, i, -1)
        kind, cost = best_new(x, ranking, i, apart, limit[i], only[i])
        lease, start = -1, np.inf
        if rule != ALWAYS_NEW:
            first = rule == EXISTING_FIRST
            below = np.inf if first else cost + 2e-12
            lease, start, _ = best_used(x, s, i, soonest, apart, limit[i], below, first, only[i])
        if lease >= 0:
            commit(x, s, i, lease, start)
        elif kind >= 0:
            commit(x, s, i, open_lease(s, kind), apart)
        else:
            rescue(x, s, ranking, i, soonest, apart)
    return s


@numba.njit(cache=True)
def probabilistic_ranks(x, met, luck, theta):
    """Return ProLiS's upward ranks: an edge's transfer counts with a chance that grows with it.

    ``luck`` is one number from [0, 1) per entry of ``children``; a transfer counts with the chance
    ``1 - theta ** -(duration of the child / transfer)``.
    """
    n = met.size
    rank = np.zeros(n, dtype=np.float64)
    for i in range(n - 1, -1, -1):
        longest = 0.0
        for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
            c = x.children[e]
            transfer = x.child_edge_s[e]
            if transfer > 0.0:
                chance = 1.0 - theta ** (-met[c] / transfer)
                if luck[e] >= chance:
                    transfer = 0.0
            longest = max(longest, rank[c] + transfer)
        rank[i] = met[i] + longest
    return rank
