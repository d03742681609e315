"""Compiled evaluation of assignments, swarms of them, and ants that build orders."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.plan.kernels import place
from autoscale.schedulers.leasing.kernels import lease_cost


@numba.njit(cache=True)
def judge(x, order, task_lease, kind):
    """Return (makespan, USD, start times) when every task starts as early as its lease has room.

    ``order`` is topological; ``kind`` is the type of each lease, which may have no task.
    """
    n = order.size
    duration = np.empty(n, dtype=np.float64)
    for i in range(n):
        duration[i] = x.duration[x.task_class[i], kind[task_lease[i]]]
    capacity = np.empty((kind.size, 3), dtype=np.int64)
    for lease in range(kind.size):
        capacity[lease] = x.capacity[kind[lease]]
    floor = np.full(n, x.boot)
    start = place(order, task_lease, duration, floor, x.parent_ptr, x.parents, x.need, capacity)
    first = np.full(kind.size, np.inf)
    last = np.full(kind.size, -np.inf)
    makespan = 0.0
    for i in range(n):
        lease = task_lease[i]
        end = start[i] + duration[i]
        first[lease] = min(first[lease], start[i])
        last[lease] = max(last[lease], end)
        makespan = max(makespan, end)
    cost = 0.0
    for lease in range(kind.size):
        if last[lease] > -np.inf:
            cost += lease_cost(x, kind[lease], last[lease] - first[lease])
    return makespan, cost, start


@numba.njit(cache=True)
def better(makespan, cost, than_makespan, than_cost, deadline):
    """Return whether a plan beats another: in time before late, then by cost or by lateness."""
    in_time = makespan <= deadline + 1e-6
    other = than_makespan <= deadline + 1e-6
    if in_time and other:
        return cost < than_cost - 1e-12
    if in_time or other:
        return in_time
    return makespan < than_makespan - 1e-9


@numba.njit(cache=True)
def machines_of(x, position, types, copies, fallback):
    """Return (lease of each task, type of each lease) that a particle's position stands for.

    The pool has so many ``copies`` of each of ``types``, numbered type by type. A task that does
    not fit its machine goes to the copy of the same number of its ``fallback`` type's.
    """
    n = position.size
    number = np.full((types.size + x.price.size) * copies, -1, dtype=np.int32)
    task_lease = np.empty(n, dtype=np.int32)
    kind = np.empty(n, dtype=np.int32)
    used = 0
    for i in range(n):
        slot = min(int(position[i]), types.size * copies - 1)
        k = types[slot // copies]
        if not x.duration[x.task_class[i], k] < np.inf:
            k = fallback[x.task_class[i]]
            slot = (types.size + k) * copies + slot % copies
        if number[slot] < 0:
            number[slot] = used
            kind[used] = k
            used += 1
        task_lease[i] = number[slot]
    return task_lease, kind[:used].copy()


@numba.njit(cache=True)
def fly(x, order, position, speed, luck, best, best_value, leader, leader_value, types, copies,
        fallback, move):  # fmt: skip
    """Move every particle (unless the first time) and keep what is best; arrays change in place.

    Parameters
    ----------
    position, speed, best
        (particles, tasks): places in the pool, their changes, best places so far.
    luck
        (2, particles, tasks) numbers from [0, 1).
    best_value, leader_value
        (particles, 2) and (2,): makespan and cost of the best places.
    leader
        (tasks,) best places of all.
    move
        Whether the particles move before they are judged.
    """
    high = types.size * copies - 1e-9
    for p in range(position.shape[0]):
        if move:
            for i in range(position.shape[1]):
                v = 0.5 * speed[p, i]
                v += 2.0 * luck[0, p, i] * (best[p, i] - position[p, i])
                v += 2.0 * luck[1, p, i] * (leader[i] - position[p, i])
                speed[p, i] = v
                position[p, i] = min(high, max(0.0, position[p, i] + v))
        task_lease, kind = machines_of(x, position[p], types, copies, fallback)
        makespan, cost, _ = judge(x, order, task_lease, kind)
        if better(makespan, cost, best_value[p, 0], best_value[p, 1], x.deadline):
            best_value[p, 0], best_value[p, 1] = makespan, cost
            best[p] = position[p]
    for p in range(position.shape[0]):
        makespan, cost = best_value[p]
        if better(makespan, cost, leader_value[0], leader_value[1], x.deadline):
            leader_value[0], leader_value[1] = makespan, cost
            leader[:] = best[p]


@numba.njit(cache=True)
def ant_order(x, trail, rank, luck):
    """Return the topological order that an ant walks.

    Of the tasks whose parents are done, the next is drawn with a chance in proportion to the
    trail from the last one times the square of its rank.

    Parameters
    ----------
    trail
        (tasks + 1, tasks), row 0 for the start and row i + 1 after task i; or one row for all.
    luck
        One number from [0, 1) a step.
    """
    n = rank.size
    order = np.empty(n, dtype=np.int64)
    missing = np.empty(n, dtype=np.int64)
    ready = np.empty(n, dtype=np.int64)
    weight = np.empty(n, dtype=np.float64)
    size = 0
    for i in range(n):
        missing[i] = x.parent_ptr[i + 1] - x.parent_ptr[i]
        if missing[i] == 0:
            ready[size] = i
            size += 1
    row = 0
    for at in range(n):
        total = 0.0
        for r in range(size):
            total += trail[row, ready[r]] * rank[ready[r]] ** 2 + 1e-300
            weight[r] = total
        wanted = luck[at] * total
        r = 0
        while r < size - 1 and weight[r] <= wanted:
            r += 1
        i = ready[r]
        size -= 1
        ready[r] = ready[size]
        order[at] = i
        if trail.shape[0] > 1:
            row = i + 1
        for e in range(x.child_ptr[i], x.child_ptr[i + 1]):
            c = x.children[e]
            missing[c] -= 1
            if missing[c] == 0:
                ready[size] = c
                size += 1
    return order


@numba.njit(cache=True)
def lay(trail, order, keep, deposit, low, high):
    """Let the trail evaporate, and strengthen the walk ``order``; all within [low, high]."""
    for a in range(trail.shape[0]):
        for b in range(trail.shape[1]):
            trail[a, b] = max(low, trail[a, b] * keep)
    row = 0
    for i in order:
        trail[row, i] = min(high, trail[row, i] + deposit)
        if trail.shape[0] > 1:
            row = i + 1


@numba.njit(cache=True)
def best_move(x, order, task_lease, kind, lease, types, targets, makespan, cost):
    """Return (weight, target, makespan, USD) of the best move of all tasks of a lease.

    The target is a type >= 0 for the lease to become, or ``-1 - m`` for its tasks to join lease
    ``m``. The weight, to be as small as possible, is seconds lost per USD saved; inf where no
    move saves money within the deadline.
    """
    best, best_target, best_makespan, best_cost = np.inf, -1, np.inf, np.inf
    held = kind[lease]
    for a in range(types.size + targets.size):
        other = task_lease
        if a < types.size:
            if x.price[types[a]] >= x.price[held]:
                continue
            target = types[a]
            kind[lease] = target
        else:
            m = targets[a - types.size]
            target = -1 - m
            other = task_lease.copy()
            for i in range(other.size):
                if other[i] == lease:
                    other[i] = m
        if _fits(x, other, kind):
            tried_makespan, tried_cost, _ = judge(x, order, other, kind)
            saved = cost - tried_cost
            if saved > 1e-9 and tried_makespan <= x.deadline + 1e-6:
                weight = (tried_makespan - makespan) / saved
                if weight < best:
                    best, best_target = weight, target
                    best_makespan, best_cost = tried_makespan, tried_cost
        kind[lease] = held
    return best, best_target, best_makespan, best_cost


@numba.njit(cache=True)
def _fits(x, task_lease, kind):
    for i in range(task_lease.size):
        if not x.duration[x.task_class[i], kind[task_lease[i]]] < np.inf:
            return False
    return True
