"""Compiled placement of tasks on leases: resource profiles and earliest fits.

A lease's profile is a step function of used (vCPUs, memory, GPUs) over time, kept as sorted
breakpoints in one pool shared by all leases. Equal neighbouring steps are merged, so a lease that
is always busy is one step and is skipped at once. Every profile is zero before its first and from
its last breakpoint on.

Pool layout: ``time, cpu, mem, gpu`` hold the steps; ``where[l] = (offset, length, capacity)`` says
where lease ``l`` has its block; ``free[0]`` is the first unused slot.
"""

from __future__ import annotations

import numba
import numpy as np

FIRST_BLOCK = 8


@numba.njit(cache=True)
def new_pool(n_tasks, n_leases):
    """Return an empty pool that can hold every task once, whatever the leases' order."""
    # A block that doubles leaves its old halves behind: 2 steps a task, doubled twice over.
    slots = 8 * n_tasks + 2 * FIRST_BLOCK * n_leases + 16
    time = np.empty(slots, dtype=np.float64)
    cpu = np.empty(slots, dtype=np.int64)
    mem = np.empty(slots, dtype=np.int64)
    gpu = np.empty(slots, dtype=np.int64)
    where = np.zeros((n_leases, 3), dtype=np.int64)
    free = np.zeros(1, dtype=np.int64)
    return time, cpu, mem, gpu, where, free


@numba.njit(cache=True)
def _step_at(time, lo, hi, t):
    """Return the last step in [lo, hi) that starts at or before ``t``, or lo - 1."""
    while lo < hi:
        mid = (lo + hi) // 2
        if time[mid] <= t:
            lo = mid + 1
        else:
            hi = mid
    return lo - 1


@numba.njit(cache=True)
def earliest_fit(pool, lease, ready, duration, c, m, g, free_c, free_m, free_g):
    """Return the earliest start >= ready at which the lease has room for the whole duration.

    ``c, m, g`` is what the task holds; ``free_*`` are the capacities minus that need.
    """
    if duration <= 0.0:  # what takes no time holds nothing
        return ready
    time, cpu, mem, gpu, where, _ = pool
    first = where[lease, 0]
    end = first + where[lease, 1]
    start = ready
    j = max(_step_at(time, first, end, start), first)
    while j < end and time[j] < start + duration:
        if (cpu[j] > free_c or mem[j] > free_m or gpu[j] > free_g) and (
            j + 1 < end and time[j + 1] > start
        ):
            start = time[j + 1]
        j += 1
    return start


@numba.njit(cache=True)
def _insert_step(pool, lease, at, t, like):
    """Insert a step starting at ``t`` as number ``at``, copying usage from ``like`` (-1: zero)."""
    time, cpu, mem, gpu, where, free = pool
    offset, length, capacity = where[lease]
    if length == capacity:
        new_capacity = max(FIRST_BLOCK, 2 * capacity)
        moved = free[0]
        free[0] += new_capacity
        for i in range(length):
            time[moved + i] = time[offset + i]
            cpu[moved + i] = cpu[offset + i]
            mem[moved + i] = mem[offset + i]
            gpu[moved + i] = gpu[offset + i]
        where[lease, 0] = moved
        where[lease, 2] = new_capacity
        offset = moved
    for i in range(offset + length, offset + at, -1):
        time[i] = time[i - 1]
        cpu[i] = cpu[i - 1]
        mem[i] = mem[i - 1]
        gpu[i] = gpu[i - 1]
    slot = offset + at
    time[slot] = t
    cpu[slot] = cpu[offset + like] if like >= 0 else 0
    mem[slot] = mem[offset + like] if like >= 0 else 0
    gpu[slot] = gpu[offset + like] if like >= 0 else 0
    where[lease, 1] = length + 1


@numba.njit(cache=True)
def _cut(pool, lease, t):
    """Make sure that a step starts at ``t``; return its number within the lease's block."""
    time, where = pool[0], pool[4]
    offset = where[lease, 0]
    at = _step_at(time, offset, offset + where[lease, 1], t) - offset
    if at >= 0 and time[offset + at] == t:
        return at
    _insert_step(pool, lease, at + 1, t, at)
    return at + 1


@numba.njit(cache=True)
def _merge(pool, lease, at):
    """Drop step ``at`` when it changes nothing against the step before it."""
    time, cpu, mem, gpu, where, _ = pool
    offset, length, _cap = where[lease]
    s = offset + at
    before_c = cpu[s - 1] if at > 0 else 0
    before_m = mem[s - 1] if at > 0 else 0
    before_g = gpu[s - 1] if at > 0 else 0
    if cpu[s] == before_c and mem[s] == before_m and gpu[s] == before_g:
        for i in range(s, offset + length - 1):
            time[i] = time[i + 1]
            cpu[i] = cpu[i + 1]
            mem[i] = mem[i + 1]
            gpu[i] = gpu[i + 1]
        where[lease, 1] = length - 1


@numba.njit(cache=True)
def occupy(pool, lease, start, end, c, m, g):
    """Add a task's use of the lease over [start, end)."""
    if not end > start:
        return
    _, cpu, mem, gpu, where, _ = pool
    a = _cut(pool, lease, start)
    b = _cut(pool, lease, end)
    offset = where[lease, 0]
    for i in range(offset + a, offset + b):
        cpu[i] += c
        mem[i] += m
        gpu[i] += g
    _merge(pool, lease, b)
    _merge(pool, lease, a)


@numba.njit(cache=True, nogil=True)
def place(order, task_lease, duration, floor, parent_ptr, parents, need, capacity):
    """Start every task, in the order given, as early as its lease has room.

    Parameters
    ----------
    order
        A topological order of the tasks.
    task_lease, duration, floor
        Per task: its lease, its duration there, and the earliest start allowed.
    need
        (tasks, 3) vCPUs, bytes, GPUs held; ``capacity`` likewise per lease.

    Returns
    -------
    start
        Start times in seconds, shape (tasks,).
    """
    n = order.size
    start = np.zeros(n, dtype=np.float64)
    pool = new_pool(n, capacity.shape[0])
    for x in range(n):
        i = order[x]
        ready = floor[i]
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            p = parents[e]
            ready = max(ready, start[p] + duration[p])
        lease = task_lease[i]
        c, m, g = need[i]
        start[i] = earliest_fit(
            pool,
            lease,
            ready,
            duration[i],
            c,
            m,
            g,
            capacity[lease, 0] - c,
            capacity[lease, 1] - m,
            capacity[lease, 2] - g,
        )
        occupy(pool, lease, start[i], start[i] + duration[i], c, m, g)
    return start


@numba.njit(cache=True)
def keeps_quotas(start, end, weight, limit):
    """Return whether leases over [start, end) never count more than the limits.

    Parameters
    ----------
    start, end
        Seconds, shape (leases,).
    weight, limit
        What each lease counts in each quota, shape (leases, quotas); shape (quotas,).
    """
    by_start = np.argsort(start)
    by_end = np.argsort(end)
    used = np.zeros(limit.size, dtype=np.int64)
    released = 0
    for lease in by_start:
        # What ends within the tolerance of the model (1e-6 s) makes room.
        while released < end.size and end[by_end[released]] <= start[lease] + 1e-6:
            used -= weight[by_end[released]]
            released += 1
        used += weight[lease]
        if (used > limit).any():
            return False
    return True
