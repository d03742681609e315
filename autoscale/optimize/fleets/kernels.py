"""The compiled schedule on a given fleet, and the climb over fleets."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.plan.kernels import earliest_fit, new_pool, occupy
from autoscale.schedulers.kernels import push_down, share_slack

LATE_S = 1e-7
"""Rounding noise in a comparison with the deadline, seconds."""

SPREAD = 0.6
"""Standard deviation of the logarithm by which the weight of a stage is changed."""

SHARED = 0.5
"""Part of the tries that change how slack is shared, besides or instead of the fleet."""

EACH = 20
"""Machines looked at for which a task's share of all else counts: sharing the slack above all."""

OTHER_WAY = 0.1
"""Part of the tries that begin with other weights."""


@numba.njit(cache=True)
def fleet_schedule(
    order, target, latest, task_class, duration, fleet, new_types, parent_ptr, parents, need,
    capacity, boot, most_new,
):  # fmt: skip
    """Place each task where it ends first on machines that are there, or on a new one if late.

    Parameters
    ----------
    order
        A topological order of the tasks.
    target
        When each task has to end, seconds: a task that the machines cannot end by then gets a new
        one of the first of its ``new_types`` that can.
    latest
        When each task has to end for the deadline to be met, seconds: a task that is later ends
        the attempt.
    task_class, duration
        Class of each task; seconds of each class on each type, inf where unfit.
    fleet
        Type of each machine that is there from the beginning.
    new_types
        Per class, types in the order in which a new machine is tried, -1 past the last fit.
    need, capacity
        (tasks, 3), (types, 3).
    most_new
        New machines after which the attempt ends.

    Returns
    -------
    in_time
        Whether all tasks were placed.
    task_lease, lease_type, start
        Decisions and starts; machines of the fleet may be left without a task.
    work
        Machines looked at.
    """
    n = order.size
    task_lease = np.full(n, -1, dtype=np.int32)
    start = np.zeros(n, dtype=np.float64)
    finish = np.zeros(n, dtype=np.float64)
    lease_type = np.empty(n + fleet.size, dtype=np.int32)
    lease_type[: fleet.size] = fleet
    n_leases = fleet.size
    pool = new_pool(n, n + fleet.size)
    work = 0
    for x in range(n):
        i = order[x]
        cls = task_class[i]
        c, m, g = need[i]
        ready = boot
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            ready = max(ready, finish[parents[e]])
        best_lease = -1
        best_start = 0.0
        best_end = np.inf
        for lease in range(n_leases):
            k = lease_type[lease]
            d = duration[cls, k]
            if not ready + d < best_end:
                continue
            work += 1
            t = earliest_fit(
                pool, lease, ready, d, c, m, g,
                capacity[k, 0] - c, capacity[k, 1] - m, capacity[k, 2] - g,
            )  # fmt: skip
            if t + d < best_end:
                best_lease, best_start, best_end = lease, t, t + d
                if t == ready and best_end <= target[i]:
                    break
        if not best_end <= target[i]:
            for y in range(new_types.shape[1]):
                k = new_types[cls, y]
                if k < 0:
                    break
                end = ready + duration[cls, k]
                if end <= target[i] or end < best_end:
                    best_lease, best_start, best_end = n_leases, ready, end
                    lease_type[n_leases] = k
                if end <= target[i]:
                    break
        n_leases += best_lease == n_leases
        if best_end > latest[i] + LATE_S or n_leases > fleet.size + most_new:
            return False, task_lease, lease_type[:n_leases], start, work
        occupy(pool, best_lease, best_start, best_end, c, m, g)
        task_lease[i] = best_lease
        start[i] = best_start
        finish[i] = best_end
    return True, task_lease, lease_type[:n_leases].copy(), start, work


@numba.njit(cache=True)
def cost_of(task_lease, lease_type, start, finish, price, boot, quantum, minimum):
    """Return the cost of a schedule."""
    first = np.full(lease_type.size, np.inf)
    last = np.full(lease_type.size, -np.inf)
    for i in range(task_lease.size):
        lease = task_lease[i]
        first[lease] = min(first[lease], start[i])
        last[lease] = max(last[lease], finish[i])
    cost = 0.0
    for lease in range(lease_type.size):
        if last[lease] > -np.inf:
            held = last[lease] - first[lease] + boot
            cost += price[lease_type[lease]] * billed(held, quantum, minimum)
    return cost


@numba.njit(cache=True)
def _targets(child_ptr, children, shortest, stage, exponent, base, boot, deadline):
    """Return when each task should end, slack being shared by the weights ``base * exp``."""
    weight = np.empty(shortest.size)
    for i in range(shortest.size):
        weight[i] = base[i] * np.exp(exponent[stage[i]])
    return deadline - share_slack(child_ptr, children, shortest, weight, deadline - boot)


@numba.njit(cache=True)
def _fleet(counts, kinds):
    fleet = np.empty(counts.sum(), dtype=np.int64)
    at = 0
    for a in range(kinds.size):
        fleet[at : at + counts[a]] = kinds[a]
        at += counts[a]
    return fleet


@numba.njit(cache=True)
def _shortest_on(counts, kinds, task_class, duration, shortest, own):
    """Write each task's least duration on the types of a fleet; its least of all if none fits."""
    for i in range(own.size):
        own[i] = np.inf
        for a in range(kinds.size):
            if counts[a] > 0:
                own[i] = min(own[i], duration[task_class[i], kinds[a]])
        if not own[i] < np.inf:
            own[i] = shortest[i]


@numba.njit(cache=True)
def _change(counts, exponent):
    """Change a fleet, or how slack is shared, or both, in place."""
    if np.random.random() < SHARED:
        few = np.random.random() < 0.7
        for s in range(exponent.size):
            if not few or np.random.random() * exponent.size < 3.0:
                exponent[s] = min(7.0, max(-7.0, exponent[s] + SPREAD * np.random.normal()))
        if np.random.random() < 0.5:
            return
    total = counts.sum()
    by = 1 + int(np.random.exponential(0.04 * total + 0.5))
    a = np.random.randint(counts.size)
    b = np.random.randint(counts.size)
    what = np.random.random()
    if what < 0.4:  # fewer of a type that is there
        while counts[a] == 0 and total:
            a = np.random.randint(counts.size)
        counts[a] = max(0, counts[a] - by)
    elif what < 0.55:
        counts[a] += min(by, 2)
    else:  # another type instead
        while counts[a] == 0 and total:
            a = np.random.randint(counts.size)
        moved = min(by, counts[a])
        counts[a] -= moved
        counts[b] += moved


@numba.njit(cache=True, nogil=True)
def fleet_search(
    seed, work_limit, cost_limit, climbing, fleets, kinds, bases, stage, n_stages,
    task_class, duration, shortest, new_types, parent_ptr, parents, child_ptr, children,
    need, capacity, price, boot, quantum, minimum, deadline,
):  # fmt: skip
    """Return the cheapest schedule in time over fleets, and its fleet.

    The given fleets are tried first, then, when ``climbing``, the best is changed again and again:
    other numbers of machines, another type instead, another way to share slack.

    Parameters
    ----------
    seed, work_limit
        Seed; machines looked at, after which no further fleet is tried.
    cost_limit
        Only what costs less counts, USD.
    fleets, kinds
        Numbers of machines (fleets, kinds) to begin with, of these types; at least one fleet.
    bases
        Weights by which slack is shared to begin with, (ways, tasks); each is tried with every
        fleet. Besides, everybody has all of the slack.
    stage, n_stages
        Stage of each task: slack is shared by stage.
    shortest
        Each task's least duration.

    Returns
    -------
    cost, task_lease, lease_type, start
        Of the best; the cost is the limit if none was in time and below it.
    counts
        Its numbers of machines.
    work
        Machines looked at.
    """
    np.random.seed(seed)
    n = stage.size
    cheapest = price.min() * billed(boot, quantum, minimum) + 1e-12
    key = np.empty(n)
    finish = np.empty(n)
    best_cost = cost_limit
    best_counts = fleets[0].copy()
    best_exponent = np.zeros(n_stages)
    best_way = 0
    best_lease = np.zeros(n, dtype=np.int32)
    best_type = np.zeros(1, dtype=np.int32)
    best_start = np.zeros(n)
    nothing, own = np.zeros(n), np.empty(n)
    latest = deadline - share_slack(child_ptr, children, shortest, nothing, 0.0)
    ways = len(bases) + 1
    work = 0
    number = 0
    given = ways * len(fleets)
    while work < work_limit and (number < given or (climbing and best_cost < cost_limit)):
        counts = best_counts.copy()
        exponent = best_exponent.copy()
        way = best_way
        if number < given:
            counts[:] = fleets[number // ways]
            exponent[:] = 0.0
            way = number % ways
        else:
            if np.random.random() < OTHER_WAY:
                way = np.random.randint(ways)
            _change(counts, exponent)
        number += 1
        fleet = _fleet(counts, kinds)
        least = 0.0
        for lease in range(fleet.size):
            least += price[fleet[lease]] * billed(boot, quantum, minimum)
        if least > best_cost:
            continue
        _shortest_on(counts, kinds, task_class, duration, shortest, own)
        if way:
            target = _targets(
                child_ptr, children, own, stage, exponent, bases[way - 1], boot, deadline
            )
            for i in range(n):
                key[i] = target[i] - own[i]
        else:
            target = latest
            key[:] = -share_slack(child_ptr, children, own, nothing, 0.0) - own
        push_down(parent_ptr, parents, key)
        in_time, task_lease, lease_type, start, looked = fleet_schedule(
            np.argsort(key, kind="mergesort"), target, latest, task_class, duration,
            fleet, new_types, parent_ptr, parents, need, capacity, boot,
            1 + int(min((best_cost - least) / cheapest, n)),
        )  # fmt: skip
        work += looked + EACH * n
        if not in_time:
            continue
        for i in range(n):
            finish[i] = start[i] + duration[task_class[i], lease_type[task_lease[i]]]
        cost = cost_of(task_lease, lease_type, start, finish, price, boot, quantum, minimum)
        if cost < best_cost:
            best_cost = cost
            best_counts, best_exponent, best_way = counts, exponent, way
            best_lease, best_type, best_start = task_lease, lease_type, start
    return best_cost, best_lease, best_type, best_start, best_counts, work


MOVES = 3
"""Tasks whose place in the order is changed at once, at most."""


@numba.njit(cache=True, nogil=True)
def order_search(
    seed, work_limit, fleet, begun, task_class, duration, parent_ptr, parents, child_ptr, children,
    need, capacity, boot, deadline,
):  # fmt: skip
    """Return the order of the tasks that ends first on a fleet, its schedule and its makespan.

    Parameters
    ----------
    seed, work_limit
        Seed; machines looked at, after which no further order is tried.
    fleet
        Type of each machine.
    begun
        Keys by which the tasks were ordered before, or none: the longest way to the end first.
    deadline
        The search ends when everything is done by then.

    Returns
    -------
    makespan, key, task_lease, start, work
    """
    np.random.seed(seed)
    n = task_class.size
    own, nothing = np.empty(n), np.zeros(n)
    for i in range(n):
        own[i] = np.inf
        for k in fleet:
            own[i] = min(own[i], duration[task_class[i], k])
    tail = share_slack(child_ptr, children, own, nothing, 0.0)
    key = begun.copy()
    if begun.size == 0:
        key = -tail - own
        push_down(parent_ptr, parents, key)
    never, always = np.full(n, -np.inf), np.full(n, np.inf)
    no_types = np.empty((duration.shape[0], 0), dtype=np.int64)
    best = np.inf
    best_makespan = np.inf
    best_key = key
    best_lease = np.zeros(n, dtype=np.int32)
    best_start = np.zeros(n)
    spread = max(1e-9, key.max() - key.min())
    work = 0
    first = True
    while first or (work < work_limit and best_makespan > deadline):
        key = best_key.copy()
        if not first:
            for _ in range(1 + np.random.randint(MOVES)):
                i = np.random.randint(n)
                if np.random.random() < 0.5:
                    j = np.random.randint(n)
                    key[i], key[j] = key[j], key[i]
                else:
                    key[i] += 0.2 * spread * np.random.normal()
            push_down(parent_ptr, parents, key)
        first = False
        done, task_lease, _, start, looked = fleet_schedule(
            np.argsort(key, kind="mergesort"), never, always, task_class, duration, fleet,
            no_types, parent_ptr, parents, need, capacity, boot, 0,
        )  # fmt: skip
        work += looked + EACH * n
        if not done:
            break
        makespan, total = 0.0, 0.0
        for i in range(n):
            end = start[i] + duration[task_class[i], fleet[task_lease[i]]]
            makespan = max(makespan, end + tail[i])
            total += end
        value = makespan + 1e-3 * total / n
        if value <= best:
            best, best_makespan = value, makespan
            best_key, best_lease, best_start = key, task_lease, start
    return best_makespan, best_key, best_lease, best_start, work
