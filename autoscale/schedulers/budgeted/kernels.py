"""The compiled loop of the budget list schedulers: one pass, every choice by one rule.

For each task the options are gathered: every lease that may take it (its earliest start, and the
earliest that does not lengthen the lease to the left), and a new lease of each type worth having
for it. An option has a finish and a cost, by which the bill of all leases grows. The rule picks
one.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from autoscale.schedulers.budgeted.index.kernels import (
    index_put,
    near,
    new_index,
    room_from,
)
from autoscale.schedulers.leasing.kernels import (
    added_cost,
    commit,
    earliest_start,
    new_lease_cost,
    new_leases,
    open_lease,
    ready_time,
)

CHEAPEST, SHARE, WORTH, WEIGHTED, FLEET = range(5)
"""Rules, see :func:`choose`."""

ALL_LEASES = 64
"""Up to so many leases, all are options; beyond, those next to when the task is ready."""

PROBES = 6
"""Leases looked at in one direction of an index."""

NOISE_USD = 1e-12
"""Costs closer than this are the same."""

NONE_AFFORDABLE_QUICK, NONE_AFFORDABLE_CHEAP = 0, 1


@numba.njit(cache=True)
def _less(a, b, a_then, b_then):
    """Return whether (a, a_then) is less than (b, b_then), up to rounding."""
    if a < b - 1e-9:
        return True
    return a <= b + 1e-9 and a_then < b_then - 1e-9


@numba.njit(cache=True)
def choose(rule, o, count, allowance, own_allowance, coefficient, fallback):
    """Return the option that the rule picks, and what the fleet rule has to do for it.

    ======== =========================================================================
    CHEAPEST least cost, then earliest finish
    SHARE    earliest finish of those that cost at most ``allowance`` and of whose machine the
             task's own share costs at most ``own_allowance``; if there is none, the quickest or
             the cheapest, as ``fallback`` says
    WORTH    of those that cost at most ``allowance`` and no more than the quickest: most
             time saved against the slowest, plus ``coefficient`` times money saved against the
             quickest, both normalised; if there is none, the cheapest
    WEIGHTED least ``coefficient`` x finish + (1 - ``coefficient``) x cost, both normalised
    FLEET    earliest finish; a lease that costs no more is taken instead of a new one
    ======== =========================================================================
    """
    _, finish, cost, share, lease, _ = o
    quick = cheap = within = free = -1
    worst, dearest = -np.inf, -np.inf
    for y in range(count):
        worst = max(worst, finish[y])
        dearest = max(dearest, cost[y])
        if quick < 0 or _less(finish[y], finish[quick], cost[y], cost[quick]):
            quick = y
        if cheap < 0 or _less(cost[y], cost[cheap], finish[y], finish[cheap]):
            cheap = y
        affordable = cost[y] <= allowance + NOISE_USD and share[y] <= own_allowance + NOISE_USD
        if affordable and (within < 0 or _less(finish[y], finish[within], cost[y], cost[within])):
            within = y
        if lease[y] >= 0 and cost[y] <= NOISE_USD and (free < 0 or finish[y] < finish[free]):
            free = y
    if rule == CHEAPEST:
        return cheap
    if rule == SHARE:
        if within >= 0:
            return within
        return quick if fallback == NONE_AFFORDABLE_QUICK else cheap
    if rule == FLEET:
        return free if lease[quick] < 0 and free >= 0 else quick
    time_range = worst - finish[quick]
    cost_range = dearest - cost[cheap]
    best = -1
    best_value = -np.inf
    for y in range(count):
        if rule == WORTH and (cost[y] > cost[quick] + NOISE_USD or cost[y] > allowance + NOISE_USD):
            continue
        slow = (finish[y] - finish[quick]) / time_range if time_range > 0.0 else 0.0
        if rule == WORTH:
            saved = (cost[quick] - cost[y]) / cost_range if cost_range > 0.0 else 0.0
            value = coefficient * saved + 1.0 - slow
        else:
            dear = (cost[y] - cost[cheap]) / cost_range if cost_range > 0.0 else 0.0
            value = -(coefficient * slow + (1.0 - coefficient) * dear)
        if value > best_value + 1e-12 or (
            value >= best_value - 1e-12 and finish[y] < finish[best] - 1e-9
        ):
            best, best_value = y, value
    return best if best >= 0 else cheap


@numba.njit(cache=True)
def _share(x, i, k):
    """Return what the vCPUs that a task holds cost while it runs."""
    return x.price[k] * x.duration[x.task_class[i], k] * (x.need[i, 0] / x.capacity[k, 0])


@numba.njit(cache=True)
def _existing(x, s, i, lease, ready, o, count):
    """Append the options that a lease gives a task; return the new count."""
    o_start, o_finish, o_cost, o_share, o_lease, o_type = o
    k = s.kind[lease]
    d = x.duration[x.task_class[i], k]
    if not d < np.inf:
        return count
    t = ready
    for attempt in range(2):
        if attempt == 1:
            # Not lengthening the lease to the left may be cheaper.
            if not t < s.first[lease]:
                break
            t = s.first[lease]
        t = earliest_start(x, s, i, lease, t)
        o_start[count] = t
        o_finish[count] = t + d
        o_cost[count] = added_cost(x, s, lease, t, t + d)
        o_share[count] = _share(x, i, k)
        o_lease[count] = lease
        o_type[count] = k
        count += 1
    return count


@numba.njit(cache=True)
def _opened(x, i, k, ready, o, count):
    """Append the option of a new lease; return the new count."""
    o_start, o_finish, o_cost, o_share, o_lease, o_type = o
    o_start[count] = ready
    o_finish[count] = ready + x.duration[x.task_class[i], k]
    o_cost[count] = new_lease_cost(x, i, k)
    o_share[count] = _share(x, i, k)
    o_lease[count] = -1
    o_type[count] = k
    return count + 1


@numba.njit(cache=True)
def _candidates(x, s, i, ready, opened, by_room, by_end, out):
    """Write the leases that are looked at for a task to ``out``; return their number."""
    if s.opened[0] <= ALL_LEASES:
        for lease in range(s.opened[0]):
            out[lease] = lease
        return s.opened[0]
    count = 0
    for k in range(x.price.size):
        d = x.duration[x.task_class[i], k]
        if opened[k] > 0 and d < np.inf:
            count = near(by_room, k, ready, PROBES, PROBES, out, count)
            if x.capacity[k, 0] > 1:
                count = near(by_end, k, ready + d, 2, PROBES, out, count)
    return count


@numba.njit(cache=True)
def _last_resort(x, i):
    """Return the type on which the task costs least by the second, for a fleet without room."""
    best = -1
    cls = x.task_class[i]
    for k in range(x.price.size):
        if x.duration[cls, k] < np.inf and (
            best < 0 or x.price[k] * x.duration[cls, k] < x.price[best] * x.duration[cls, best]
        ):
            best = k
    return best


@numba.njit(cache=True, nogil=True)
def budget_list(
    x, order, rule, fallback, budget, coefficient, reserve, allow_share, offered, limit
):
    """Schedule the tasks in order, each by the rule.

    Parameters
    ----------
    x
        The problem, an ``Instance``.
    order
        A topological order.
    rule, fallback
        See :func:`choose`.
    budget
        USD for everything.
    coefficient
        Weight of time for rule WEIGHTED; the seconds that every lease is paid for in advance, for
        rule FLEET.
    reserve
        USD kept for each task until it is scheduled.
    allow_share
        Whether the task's own share of a machine may cost no more than its reserve and, in
        proportion to that, its part of what is left beyond all reserves (BHEFT).
    offered
        Per class, types worth opening, -1 ends a row.
    limit
        Leases allowed by type.

    Returns
    -------
    s
        The leases.
    """
    n, n_types = order.size, x.price.size
    s = new_leases(n, n)
    allowed = limit.copy()
    opened = np.zeros(n_types, dtype=np.int64)
    spent = 0.0
    reserved = reserve.sum()
    by_room = new_index(n_types, n)
    by_end = new_index(n_types, n)
    widest = max(ALL_LEASES, n_types * (3 * PROBES + 2))
    candidate = np.empty(widest, dtype=np.int32)
    options = 2 * widest + n_types
    o_start = np.empty(options, dtype=np.float64)
    o_finish = np.empty(options, dtype=np.float64)
    o_cost = np.empty(options, dtype=np.float64)
    o_share = np.empty(options, dtype=np.float64)
    o_lease = np.empty(options, dtype=np.int32)
    o_type = np.empty(options, dtype=np.int32)
    o = (o_start, o_finish, o_cost, o_share, o_lease, o_type)
    apart = x.edge_s.size > 0 and x.edge_s.max() > 0.0
    for at in range(n):
        i = order[at]
        fresh = ready_time(x, s, i, -1)
        count = 0
        for y in range(_candidates(x, s, i, fresh, opened, by_room, by_end, candidate)):
            lease = candidate[y]
            ready = ready_time(x, s, i, lease) if apart else fresh
            count = _existing(x, s, i, lease, ready, o, count)
        for y in range(offered.shape[1]):
            k = offered[x.task_class[i], y]
            if k < 0:
                break
            if opened[k] < allowed[k]:
                count = _opened(x, i, k, fresh, o, count)
        if count == 0:
            count = _opened(x, i, _last_resort(x, i), fresh, o, count)

        own = reserve[i]
        left = budget - spent - reserved
        allowance, own_allowance, value, then = own + left, np.inf, coefficient, fallback
        if allow_share:
            own_allowance = own + max(left, 0.0) * (own / reserved if reserved > 0.0 else 1.0)
            if left < 0.0:
                allowance = own
                then = NONE_AFFORDABLE_CHEAP
        if rule == WORTH:
            # What the cheapest way through all the rest takes of what is left.
            rest = budget - spent
            value = min(1.0, max(0.0, reserved - own) / rest) if rest > 0.0 else 1.0
        best = choose(rule, o, count, allowance, own_allowance, value, then)

        lease, k = o_lease[best], o_type[best]
        is_new = lease < 0
        if is_new:
            lease = open_lease(s, k)
            opened[k] += 1
        held = s.last[lease] - s.first[lease] + x.boot
        commit(x, s, i, lease, o_start[best])
        if rule == FLEET and not is_new:
            # What it costs to go on beyond the horizon was meant for more of its kind.
            longer = s.last[lease] - s.first[lease] + x.boot
            more = math.ceil(longer / coefficient - 1e-9) - math.ceil(held / coefficient - 1e-9)
            allowed[k] = max(opened[k], allowed[k] - more)
        spent += o_cost[best]
        reserved -= own
        room = s.last[lease]
        if x.capacity[k, 0] > 1:
            room = room_from(s.pool, lease, x.capacity[k, 0])
            index_put(by_end, k, lease, s.last[lease], is_new)
        index_put(by_room, k, lease, room, is_new)
    return s
