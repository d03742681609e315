"""The compiled list scheduler: one pass over the tasks, cheapest feasible placement each."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.plan.kernels import earliest_fit, new_pool, occupy


@numba.njit(cache=True)
def stretched_tails(child_ptr, children, duration, weight, sigma):
    """Return tail lengths when every task is stretched to ``duration * (1 + sigma * weight)``."""
    n = duration.size
    tail = np.zeros(n, dtype=np.float64)
    longest_path = 0.0
    for i in range(n - 1, -1, -1):
        longest = 0.0
        for e in range(child_ptr[i], child_ptr[i + 1]):
            c = children[e]
            longest = max(longest, duration[c] * (1.0 + sigma * weight[c]) + tail[c])
        tail[i] = longest
        longest_path = max(longest_path, longest + duration[i] * (1.0 + sigma * weight[i]))
    return tail, longest_path


@numba.njit(cache=True)
def share_slack(child_ptr, children, duration, weight, length):
    """Return tail lengths stretched so that the longest path is ``length`` (or all it can be).

    Each task's duration grows by ``sigma * weight``; the largest ``sigma`` that keeps the longest
    path within ``length`` is found by bisection.
    """
    tail, path = stretched_tails(child_ptr, children, duration, weight, 0.0)
    if path >= length:
        return tail
    low, high = 0.0, 1.0
    for _ in range(60):
        _, path = stretched_tails(child_ptr, children, duration, weight, high)
        if path >= length:
            break
        low, high = high, 4.0 * high
    for _ in range(40):
        middle = 0.5 * (low + high)
        _, path = stretched_tails(child_ptr, children, duration, weight, middle)
        if path <= length:
            low = middle
        else:
            high = middle
    tail, _ = stretched_tails(child_ptr, children, duration, weight, low)
    return tail


@numba.njit(cache=True)
def _within(leased, weight, limit, start, end):
    """Return whether one more lease over [start, end) keeps every quota."""
    if not end > start:
        return True
    for q in range(limit.size):
        w = weight[q]
        if w > 0:
            free = limit[q] - w
            if earliest_fit(leased, q, start, end - start, w, 0, 0, free, 0, 0) > start:
                return False
    return True


@numba.njit(cache=True)
def _room_from(leased, weight, limit, ready, held):
    """Return the earliest request >= ready at which the quotas allow a lease of that length."""
    start = ready
    moved = True
    while moved:
        moved = False
        for q in range(limit.size):
            w = weight[q]
            if w > 0:
                t = earliest_fit(leased, q, start, held, w, 0, 0, limit[q] - w, 0, 0)
                moved = moved or t > start
                start = t
    return start


@numba.njit(cache=True)
def _lease_more(leased, weight, start, end):
    """Count a lease over [start, end) in every quota."""
    for q in range(weight.size):
        if weight[q] > 0:
            occupy(leased, q, start, end, weight[q], 0, 0)


@numba.njit(cache=True, nogil=True)
def list_schedule(
    order,
    target,
    task_class,
    duration,
    new_types,
    parent_ptr,
    parents,
    need,
    capacity,
    price,
    share_power,
    boot,
    quantum,
    minimum,
    quota_weight,
    quota_limit,
):
    """Place each task where it adds least cost and still ends by its target.

    Parameters
    ----------
    order
        A topological order of the tasks.
    target
        When each task should end, seconds.
    task_class, duration
        Class of each task; seconds of each class on each type, inf where unfit.
    new_types
        Per class, types in the order in which a new lease is tried, -1 past the last fit.
    need, capacity, price
        (tasks, 3), (types, 3), USD per second of each type.
    share_power
        How far added cost is discounted by the share of the machine that the task takes: 0 is
        full cost, 1 assumes that others will fill the rest.
    quota_weight, quota_limit
        What a lease of each type counts in each quota (types, quotas), and the limits.

    Returns
    -------
    task_lease, lease_type, start
        Decisions, and the start times they led to. Tasks that cannot meet their target are
        placed where they end first.
    """
    n = order.size
    task_lease = np.full(n, -1, dtype=np.int32)
    start = np.zeros(n, dtype=np.float64)
    finish = np.zeros(n, dtype=np.float64)
    lease_type = np.empty(n, dtype=np.int32)
    first = np.empty(n, dtype=np.float64)
    last = np.empty(n, dtype=np.float64)
    paid = np.empty(n, dtype=np.float64)
    n_leases = 0
    pool = new_pool(n, n)
    n_quotas = quota_limit.size
    # A task makes its lease longer at either end, so that it adds two steps to a quota at most.
    leased = new_pool(2 * n * n_quotas, n_quotas)
    for x in range(n):
        i = order[x]
        cls = task_class[i]
        c, m, g = need[i]
        ready = boot
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            ready = max(ready, finish[parents[e]])
        best_lease = -1
        best_score = np.inf
        best_start = 0.0
        best_end = np.inf
        rescue_lease = -1
        rescue_end = np.inf
        rescue_start = 0.0
        for lease in range(n_leases):
            k = lease_type[lease]
            d = duration[cls, k]
            # A type that does not fit is refused by name: a target may be infinite as well.
            if not (d < np.inf and ready + d <= max(target[i], rescue_end)):
                continue
            free_c = capacity[k, 0] - c
            free_m = capacity[k, 1] - m
            free_g = capacity[k, 2] - g
            share = (c / capacity[k, 0]) ** share_power
            # Two candidate starts: the earliest, and the earliest that does not lengthen the
            # lease to the left.
            t = ready
            for attempt in range(2):
                if attempt == 1:
                    if not t < first[lease]:
                        break
                    t = first[lease]
                t = earliest_fit(pool, lease, t, d, c, m, g, free_c, free_m, free_g)
                end = t + d
                if n_quotas and not (
                    _within(leased, quota_weight[k], quota_limit, t - boot, first[lease] - boot)
                    and _within(leased, quota_weight[k], quota_limit, last[lease], end)
                ):
                    continue
                if end <= target[i]:
                    held = max(last[lease], end) - min(first[lease], t) + boot
                    added = price[k] * billed(held, quantum, minimum) - paid[lease]
                    score = added * share
                    if score < best_score - 1e-12 or (
                        score <= best_score + 1e-12 and end < best_end - 1e-9
                    ):
                        best_score, best_lease, best_start, best_end = score, lease, t, end
                elif end < rescue_end:
                    rescue_end, rescue_lease, rescue_start = end, lease, t
        new_type = -1
        new_start = ready
        for y in range(new_types.shape[1]):
            k = new_types[cls, y]
            if k < 0:
                break
            d = duration[cls, k]
            t = ready
            if n_quotas:
                t = boot + _room_from(leased, quota_weight[k], quota_limit, ready - boot, boot + d)
            if t + d <= target[i] + 1e-9:
                share = (c / capacity[k, 0]) ** share_power
                score = price[k] * billed(boot + d, quantum, minimum) * share
                if score < best_score - 1e-12:
                    new_type, new_start = k, t
                break
            if best_lease < 0 and t + d < rescue_end:
                rescue_end = t + d
                rescue_lease = -1
                new_type, new_start = k, t
        late = new_type >= 0 and new_start + duration[cls, new_type] > target[i] + 1e-9
        if late and best_lease >= 0:
            new_type = -1
        if new_type >= 0:
            lease, t = n_leases, new_start
            n_leases += 1
            lease_type[lease] = new_type
            first[lease] = t
            last[lease] = t
        elif best_lease >= 0:
            lease, t = best_lease, best_start
        else:
            lease, t = rescue_lease, rescue_start
        k = lease_type[lease]
        d = duration[cls, k]
        occupy(pool, lease, t, t + d, c, m, g)
        task_lease[i] = lease
        start[i] = t
        finish[i] = t + d
        if n_quotas:
            if new_type >= 0:
                _lease_more(leased, quota_weight[k], t - boot, t + d)
            else:
                _lease_more(leased, quota_weight[k], t - boot, first[lease] - boot)
                _lease_more(leased, quota_weight[k], last[lease], t + d)
        first[lease] = min(first[lease], t)
        last[lease] = max(last[lease], t + d)
        paid[lease] = price[k] * billed(last[lease] - first[lease] + boot, quantum, minimum)
    return task_lease, lease_type[:n_leases].copy(), start


@numba.njit(cache=True)
def push_down(parent_ptr, parents, key):
    """Raise each task's key to the largest of its parents', in place."""
    for i in range(key.size):
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            key[i] = max(key[i], key[parents[e]])


@numba.njit(cache=True, nogil=True)
def slack_search(
    seed, least_tries, work_limit, stage, n_stages, base, spread,
    task_class, duration, shortest, new_types, parent_ptr, parents, child_ptr, children,
    need, capacity, price, share_power, boot, quantum, minimum, quota_weight, quota_limit, deadline,
):  # fmt: skip
    """Return the stage weights (logarithms) whose list schedule is cheapest, and its cost.

    A hill climb: each try changes all exponents, or a few, of the best so far; the first try
    leaves them at zero. The cost is inf when no try met the deadline.

    Parameters
    ----------
    seed, spread
        Seed; standard deviation of a change.
    least_tries, work_limit
        List schedules made in any case; places looked at, about, after which no more are made.
    stage, n_stages, base
        Stage of each task; weights that the exponents multiply.
    shortest
        Each task's least duration.
    """
    np.random.seed(seed)
    n = stage.size
    best = np.zeros(n_stages)
    best_cost = np.inf
    weight = np.empty(n)
    key = np.empty(n)
    work = 0
    number = -1
    while number + 1 < least_tries or work < work_limit:
        number += 1
        tried = best.copy()
        if number:
            wide = number % 4 == 0
            step = spread * (2.0 if number % 8 == 0 else 1.0)
            for s in range(n_stages):
                if wide or np.random.random() * n_stages < 3.0:
                    tried[s] = min(7.0, max(-7.0, tried[s] + step * np.random.normal()))
        for i in range(n):
            weight[i] = base[i] * np.exp(tried[stage[i]])
        target = deadline - share_slack(child_ptr, children, shortest, weight, deadline - boot)
        for i in range(n):
            key[i] = target[i] - shortest[i]
        push_down(parent_ptr, parents, key)
        task_lease, lease_type, start = list_schedule(
            np.argsort(key, kind="mergesort"), target, task_class, duration, new_types,
            parent_ptr, parents, need, capacity, price, share_power, boot, quantum, minimum,
            quota_weight, quota_limit,
        )  # fmt: skip
        work += n * (8 + lease_type.size)
        first = np.full(lease_type.size, np.inf)
        last = np.full(lease_type.size, -np.inf)
        late = False
        for i in range(n):
            lease = task_lease[i]
            end = start[i] + duration[task_class[i], lease_type[lease]]
            first[lease] = min(first[lease], start[i])
            last[lease] = max(last[lease], end)
            late = late or end > deadline + 1e-7
        if late:
            continue
        cost = 0.0
        for lease in range(lease_type.size):
            held = last[lease] - first[lease] + boot
            cost += price[lease_type[lease]] * billed(held, quantum, minimum)
        if cost < best_cost * (1 - 1e-9):
            best_cost = cost
            best = tried
    return best, best_cost
