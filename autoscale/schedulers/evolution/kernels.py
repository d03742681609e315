"""Compiled breeding of EMS-C: crossover, mutation and evaluation of plans as chromosomes.

A chromosome is an order of the tasks, a machine for each task, and a type for each machine; there
are as many machines as tasks.
"""

from __future__ import annotations

import numba
import numpy as np

from autoscale.plan.kernels import place
from autoscale.schedulers.leasing.kernels import lease_cost


@numba.njit(cache=True)
def repair(x, offered, lease, kind):
    """Move each task whose machine's type is too small to a machine of its own."""
    n = lease.size
    used = np.zeros(n, dtype=np.int64)
    for i in range(n):
        used[lease[i]] += 1
    free = 0
    for i in range(n):
        if x.duration[x.task_class[i], kind[lease[i]]] < np.inf:
            continue
        if used[lease[i]] > 1:
            used[lease[i]] -= 1
            while used[free] > 0:
                free += 1
            lease[i] = free
            used[free] = 1
        last = 0
        while last + 1 < offered.shape[1] and offered[x.task_class[i], last + 1] >= 0:
            last += 1
        kind[lease[i]] = offered[x.task_class[i], last]


@numba.njit(cache=True)
def evaluate(x, order, lease, kind):
    """Return (makespan, bill) of a chromosome, every task as early as its machine has room."""
    n = order.size
    duration = np.empty(n, dtype=np.float64)
    for i in range(n):
        duration[i] = x.duration[x.task_class[i], kind[lease[i]]]
    capacity = np.empty((n, 3), dtype=np.int64)
    for y in range(n):
        capacity[y] = x.capacity[kind[y]]
    floor = np.full(n, x.boot)
    start = place(order, lease, duration, floor, x.parent_ptr, x.parents, x.need, capacity)
    first = np.full(n, np.inf)
    last = np.full(n, -np.inf)
    makespan = 0.0
    for i in range(n):
        end = start[i] + duration[i]
        makespan = max(makespan, end)
        first[lease[i]] = min(first[lease[i]], start[i])
        last[lease[i]] = max(last[lease[i]], end)
    cost = 0.0
    for y in range(n):
        if last[y] > -np.inf:
            cost += lease_cost(x, kind[y], last[y] - first[y])
    return makespan, cost


@numba.njit(cache=True)
def cross_orders(a, b, cut, child):
    """Write the first ``cut`` tasks of one order, then the others as in another order."""
    n = a.size
    taken = np.zeros(n, dtype=np.bool_)
    for y in range(cut):
        child[y] = a[y]
        taken[a[y]] = True
    at = cut
    for y in range(n):
        if not taken[b[y]]:
            child[at] = b[y]
            at += 1


@numba.njit(cache=True)
def move_in_order(x, order, at, chance):
    """Move the task at a place of the order to another between its parents and its children."""
    n = order.size
    task = order[at]
    low, high = 0, n - 1
    for y in range(at - 1, -1, -1):
        is_parent = False
        for e in range(x.parent_ptr[task], x.parent_ptr[task + 1]):
            is_parent = is_parent or x.parents[e] == order[y]
        if is_parent:
            low = y + 1
            break
    for y in range(at + 1, n):
        is_child = False
        for e in range(x.child_ptr[task], x.child_ptr[task + 1]):
            is_child = is_child or x.children[e] == order[y]
        if is_child:
            high = y - 1
            break
    to = low + min(int(chance * (high - low + 1)), high - low)
    step = 1 if to > at else -1
    for y in range(at, to, step):
        order[y] = order[y + step]
    order[to] = task


@numba.njit(cache=True)
def _mutate_machines(x, offered, lease, kind):
    """Merge two machines, split one, move a task, or change a type."""
    n = lease.size
    way = np.random.randint(4)
    i, j = np.random.randint(n), np.random.randint(n)
    if way == 0:
        merged, into = lease[i], lease[j]
        for t in range(n):
            if lease[t] == merged:
                lease[t] = into
    elif way == 1:
        used = np.zeros(n, dtype=np.bool_)
        for t in range(n):
            used[lease[t]] = True
        for free in range(n):
            if not used[free]:
                split = lease[i]
                kind[free] = kind[split]
                for t in range(n):
                    if lease[t] == split and np.random.random() < 0.5:
                        lease[t] = free
                break
    elif way == 2:
        lease[i] = lease[j]
    else:
        cls = x.task_class[i]
        count = 1
        while count < offered.shape[1] and offered[cls, count] >= 0:
            count += 1
        kind[lease[i]] = offered[cls, np.random.randint(count)]


@numba.njit(cache=True, nogil=True)
def breed(seed, x, offered, order, lease, kind, fitter, makespan, cost):
    """Fill the second half of the population with children of the first.

    Parameters
    ----------
    seed
        Of this generation.
    x, offered
        The problem, an ``Instance``; per class, types worth using, -1 ends a row.
    order, lease, kind
        Chromosomes, shape (2 x population, tasks).
    fitter
        Rank of each parent: of two drawn, the one with the lower rank becomes one.
    makespan, cost
        Filled in for the children.
    """
    np.random.seed(seed)
    half = fitter.size
    n = order.shape[1]
    for child in range(half, 2 * half):
        a, b = np.random.randint(half), np.random.randint(half)
        a = a if fitter[a] < fitter[b] else b
        b, c = np.random.randint(half), np.random.randint(half)
        b = b if fitter[b] < fitter[c] else c
        cross_orders(order[a], order[b], np.random.randint(n + 1), order[child])
        # Up to a cut tasks keep one parent's machines, after it the other's; a machine that both
        # use is of either's type.
        cut = np.random.randint(n + 1)
        kind[child] = kind[a]
        for i in range(n):
            if i < cut:
                lease[child, i] = lease[a, i]
            else:
                lease[child, i] = lease[b, i]
        in_first = np.zeros(n, dtype=np.bool_)
        for i in range(cut):
            in_first[lease[a, i]] = True
        for i in range(cut, n):
            y = lease[b, i]
            if not in_first[y] or np.random.random() < 0.5:
                kind[child, y] = kind[b, y]
                in_first[y] = True  # decided
        if np.random.random() < 0.5:
            move_in_order(x, order[child], np.random.randint(n), np.random.random())
        if np.random.random() < 0.8:
            _mutate_machines(x, offered, lease[child], kind[child])
        repair(x, offered, lease[child], kind[child])
        makespan[child], cost[child] = evaluate(x, order[child], lease[child], kind[child])
