"""Compiled improvement of a plan: ruin a few leases, re-insert their tasks where it costs least.

Ruin and recreate with simulated annealing (Schrimpf et al., J. Comput. Phys. 159, 2000; the random
skipping of places, "blinks", from Christiaens and Vanden Berghe, Transportation Science 54(2),
2020), on resource profiles of leases. A ruined task may go anywhere within the window that its
parents' ends and its children's starts leave; everything else stays where it is.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.plan.kernels import earliest_fit, keeps_quotas, new_pool, occupy

MOST_REMOVED = 40
"""Tasks that one round takes out at most."""

BLINK = 0.02
"""Chance that a possible place is overlooked."""


@numba.njit(cache=True)
def _lease_cost(price, first, last, boot, quantum, minimum):
    if last < first:
        return 0.0
    return price * billed(last - first + boot, quantum, minimum)


@numba.njit(cache=True)
def _span(pool, lease):
    """Return when the lease's first task starts and its last one ends; (inf, -inf) when empty."""
    time, where = pool[0], pool[4]
    length = where[lease, 1]
    if length == 0:
        return np.inf, -np.inf
    offset = where[lease, 0]
    return time[offset], time[offset + length - 1]


@numba.njit(cache=True)
def _pick(n_leases, first, last, task_lease, start, finish, child_ptr, children, removed, mode):
    """Fill ``removed`` with the tasks to take out; return how many."""
    n = task_lease.size
    count = 0
    if mode == 0:  # a whole lease, or one end of a long one
        lease = np.random.randint(n_leases)
        for _ in range(8):
            if last[lease] >= first[lease]:
                break
            lease = np.random.randint(n_leases)
        head = np.random.random() < 0.5
        depth = (last[lease] - first[lease]) * np.random.random()
        whole = np.random.random() < 0.5
        for i in range(n):
            if task_lease[i] == lease and (
                whole
                or (head and start[i] <= first[lease] + depth)
                or (not head and finish[i] >= last[lease] - depth)
            ):
                if count == removed.size:
                    return count
                removed[count] = i
                count += 1
    elif mode == 1:  # two small leases
        for _ in range(2):
            lease = np.random.randint(n_leases)
            for i in range(n):
                if task_lease[i] == lease and count < removed.size:
                    known = False
                    for r in range(count):
                        known = known or removed[r] == i
                    if not known:
                        removed[count] = i
                        count += 1
    else:  # tasks that run around one moment, wherever they are
        moment = start[np.random.randint(n)]
        wanted = 2 + np.random.randint(removed.size // 2)
        shift = np.random.randint(n)
        for x in range(n):
            i = (x + shift) % n
            if start[i] <= moment + 1e-9 and finish[i] >= moment and count < wanted:
                removed[count] = i
                count += 1
    return count


@numba.njit(cache=True)
def _windows(
    removed, count, spot, start, finish, shortest, boot, deadline,
    parent_ptr, parents, child_ptr, children, early, late,
):  # fmt: skip
    """Set the window of every task taken out and not yet placed; ``removed`` ascends.

    ``spot[i]`` is 0 for a task in the plan, 1 + its number in ``removed`` otherwise.
    """
    for r in range(count):
        i = removed[r]
        if spot[i] == 0:
            continue
        ready = boot
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            p = parents[e]
            if spot[p] == 0:
                ready = max(ready, finish[p])
            else:
                ready = max(ready, early[spot[p] - 1] + shortest[p])
        early[r] = ready
    for r in range(count - 1, -1, -1):
        i = removed[r]
        if spot[i] == 0:
            continue
        due = deadline
        for e in range(child_ptr[i], child_ptr[i + 1]):
            c = children[e]
            due = min(due, start[c]) if spot[c] == 0 else min(due, late[spot[c] - 1] - shortest[c])
        late[r] = due


@numba.njit(cache=True)
def _quotas_kept(n_leases, first, last, lease_type, boot, quota_weight, quota_limit):
    used = np.flatnonzero(last[:n_leases] >= first[:n_leases])
    return keeps_quotas(first[used] - boot, last[used], quota_weight[lease_type[used]], quota_limit)


@numba.njit(cache=True, nogil=True)
def ruin_recreate(
    seed, rounds, hot, cold, task_class, duration, new_types, shortest,
    parent_ptr, parents, child_ptr, children, need, capacity, price,
    boot, quantum, minimum, quota_weight, quota_limit, deadline,
    task_lease, start, finish, lease_type, n_leases,
):  # fmt: skip
    """Improve a plan in place and return (cost, leases, work done).

    Parameters
    ----------
    seed, rounds
        Random seed; rounds of ruin and recreate.
    hot, cold
        Temperatures at the first and the last round, USD.
    task_class, duration, new_types
        Class of each task; seconds (classes, types), inf where unfit; types worth opening.
    shortest
        Each task's least duration.
    task_lease, start, finish
        The plan, one entry a task; overwritten by the best plan found.
    quota_weight, quota_limit
        What a lease of each type counts in each quota (types, quotas), and the limits.
    lease_type
        Type of each lease; as long as the number of leases may grow; overwritten.
    n_leases
        Leases in use.
    """
    np.random.seed(seed)
    n = task_lease.size
    most = lease_type.size
    pool = new_pool(6 * n + 1024, most)
    slots = pool[0].size
    first = np.full(most, np.inf)
    last = np.full(most, -np.inf)
    paid = np.zeros(most)
    for i in range(n):
        c, m, g = need[i]
        occupy(pool, task_lease[i], start[i], finish[i], c, m, g)
    cost = 0.0
    for lease in range(n_leases):
        first[lease], last[lease] = _span(pool, lease)
        paid[lease] = _lease_cost(
            price[lease_type[lease]], first[lease], last[lease], boot, quantum, minimum
        )
        cost += paid[lease]
    best_cost = cost
    best_lease = task_lease.copy()
    best_start = start.copy()
    best_finish = finish.copy()
    best_type = lease_type.copy()
    best_count = n_leases
    spot = np.zeros(n, dtype=np.int64)
    removed = np.empty(MOST_REMOVED, dtype=np.int64)
    old_lease = np.empty(MOST_REMOVED, dtype=np.int64)
    old_type = np.empty(MOST_REMOVED, dtype=np.int32)
    old_start = np.empty(MOST_REMOVED, dtype=np.float64)
    old_finish = np.empty(MOST_REMOVED, dtype=np.float64)
    early = np.empty(MOST_REMOVED, dtype=np.float64)
    late = np.empty(MOST_REMOVED, dtype=np.float64)
    work = 0
    for turn in range(rounds):
        if pool[5][0] > slots - 10 * n - 4096:  # a round may move every block it touches once
            break
        temperature = hot * (cold / hot) ** (turn / rounds)
        draw = np.random.random()
        mode = 0 if draw < 0.6 else (1 if draw < 0.8 else 2)
        count = _pick(
            n_leases, first, last, task_lease, start, finish, child_ptr, children, removed, mode
        )
        if count == 0:
            continue
        work += n // 16 + 6 * count
        removed[:count].sort()
        before = cost
        leases_before = n_leases
        for r in range(count):
            i = removed[r]
            c, m, g = need[i]
            lease = task_lease[i]
            occupy(pool, lease, start[i], finish[i], -c, -m, -g)
            old_lease[r] = lease
            old_type[r] = lease_type[lease]
            old_start[r] = start[i]
            old_finish[r] = finish[i]
            spot[i] = r + 1
        for r in range(count):
            lease = old_lease[r]
            cost -= paid[lease]
            first[lease], last[lease] = _span(pool, lease)
            paid[lease] = _lease_cost(
                price[lease_type[lease]], first[lease], last[lease], boot, quantum, minimum
            )
            cost += paid[lease]
        order = np.arange(count)
        style = np.random.random()
        if style < 0.4:
            order = np.random.permutation(count)
        elif style < 0.7:
            keys = np.empty(count)
            for r in range(count):
                keys[r] = -shortest[removed[r]] * (0.8 + 0.4 * np.random.random())
            order = np.argsort(keys)
        failed = False
        placed = 0
        for y in range(count):
            r = order[y]
            i = removed[r]
            _windows(
                removed, count, spot, start, finish, shortest, boot, deadline,
                parent_ptr, parents, child_ptr, children, early, late,
            )  # fmt: skip
            ready, due = early[r], late[r] + 1e-9
            cls = task_class[i]
            c, m, g = need[i]
            top = -1
            top_added = np.inf
            top_start = 0.0
            free_slot = -1
            for lease in range(n_leases):
                if last[lease] < first[lease]:
                    free_slot = lease
                    continue
                k = lease_type[lease]
                d = duration[cls, k]
                # A type that does not fit is refused by name: the deadline may be infinite as well.
                if not (d < np.inf and ready + d <= due):
                    continue
                if np.random.random() < BLINK:
                    continue
                work += 1
                free_c, free_m, free_g = capacity[k, 0] - c, capacity[k, 1] - m, capacity[k, 2] - g
                for attempt in range(3):
                    if attempt == 0:
                        t = earliest_fit(pool, lease, ready, d, c, m, g, free_c, free_m, free_g)
                    elif not ready < first[lease]:
                        break
                    elif attempt == 1:
                        t = earliest_fit(
                            pool, lease, first[lease], d, c, m, g, free_c, free_m, free_g
                        )
                    else:
                        t = min(first[lease], due) - d
                        if t < ready:
                            continue
                    if t + d > due:
                        continue
                    added = (
                        _lease_cost(
                            price[k], min(first[lease], t), max(last[lease], t + d),
                            boot, quantum, minimum,
                        )
                        - paid[lease]
                    )  # fmt: skip
                    if added < top_added - 1e-12:
                        top, top_added, top_start = lease, added, t
            new_type = -1
            for z in range(new_types.shape[1]):
                k = new_types[cls, z]
                if k < 0:
                    break
                d = duration[cls, k]
                if ready + d <= due:
                    added = price[k] * billed(boot + d, quantum, minimum)
                    if added < top_added - 1e-12 and np.random.random() >= BLINK:
                        new_type, top_added, top_start = k, added, ready
            if new_type >= 0:
                if free_slot >= 0:
                    top = free_slot
                elif n_leases < most:
                    top = n_leases
                    n_leases += 1
                else:
                    failed = True
                    break
                lease_type[top] = new_type
                paid[top] = 0.0
            if top < 0:
                failed = True
                break
            d = duration[cls, lease_type[top]]
            occupy(pool, top, top_start, top_start + d, c, m, g)
            task_lease[i], start[i], finish[i] = top, top_start, top_start + d
            spot[i] = 0
            placed += 1
            cost -= paid[top]
            first[top] = min(first[top], top_start)
            last[top] = max(last[top], top_start + d)
            paid[top] = _lease_cost(
                price[lease_type[top]], first[top], last[top], boot, quantum, minimum
            )
            cost += paid[top]
        accept = not failed and cost < before + temperature * -math.log(
            1.0 - np.random.random() + 1e-300
        )
        if accept and quota_limit.size:
            accept = _quotas_kept(
                n_leases, first, last, lease_type, boot, quota_weight, quota_limit
            )
        if accept:
            if cost < best_cost - 1e-12:
                best_cost = cost
                best_lease[:] = task_lease
                best_start[:] = start
                best_finish[:] = finish
                best_type[:] = lease_type
                best_count = n_leases
            continue
        for y in range(placed):
            i = removed[order[y]]
            c, m, g = need[i]
            occupy(pool, task_lease[i], start[i], finish[i], -c, -m, -g)
            top = task_lease[i]
            first[top], last[top] = _span(pool, top)
            paid[top] = _lease_cost(
                price[lease_type[top]], first[top], last[top], boot, quantum, minimum
            )
        for r in range(count):
            i = removed[r]
            c, m, g = need[i]
            lease = old_lease[r]
            task_lease[i], start[i], finish[i] = lease, old_start[r], old_finish[r]
            spot[i] = 0
        for r in range(count):
            i = removed[r]
            c, m, g = need[i]
            # A lease that was emptied may have been reopened as another type.
            lease_type[old_lease[r]] = old_type[r]
            occupy(pool, old_lease[r], start[i], finish[i], c, m, g)
        for r in range(count):
            lease = old_lease[r]
            first[lease], last[lease] = _span(pool, lease)
            paid[lease] = _lease_cost(
                price[lease_type[lease]], first[lease], last[lease], boot, quantum, minimum
            )
        cost = before
        n_leases = leases_before
    task_lease[:] = best_lease
    start[:] = best_start
    finish[:] = best_finish
    lease_type[:] = best_type
    return best_cost, best_count, work


@numba.njit(cache=True)
def consistent_targets(parent_ptr, parents, child_ptr, children, shortest, wish):
    """Return targets near the wishes that leave every task time for its shortest duration."""
    n = wish.size
    target = wish.copy()
    for i in range(n - 1, -1, -1):
        for e in range(child_ptr[i], child_ptr[i + 1]):
            c = children[e]
            target[i] = min(target[i], target[c] - shortest[c])
    for i in range(n):
        ready = 0.0
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            ready = max(ready, target[parents[e]])
        target[i] = max(target[i], ready + shortest[i])
    return target
