"""Compiled probabilities: how often a deadline is met over drawn run times."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.plan.kernels import place


@numba.njit(cache=True, nogil=True)
def in_time_with_any_machines(x, planned, duration, factors, deadline, least):
    """Return in how many draws all ends in time with a lease a task; -1 if fewer than ``least``.

    Parameters
    ----------
    x
        The problem, an ``Instance``.
    planned
        When each task's lease is ready.
    duration
        Seconds of each task.
    factors
        What durations are multiplied by, shape (draws, tasks).
    deadline
        Seconds from submission.
    least
        Draws that are wanted; counting ends once they are out of reach.
    """
    n_draws, n = factors.shape
    end = np.empty(n, dtype=np.float64)
    count = 0
    for draw in range(n_draws):
        in_time = True
        for i in range(n):
            ready = planned[i]
            for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
                ready = max(ready, end[x.parents[e]] + x.edge_s[e])
            end[i] = ready + duration[i] * factors[draw, i]
            if end[i] > deadline:
                in_time = False
                break
        if in_time:
            count += 1
        elif count + n_draws - draw - 1 < least:
            return -1
    return count


@numba.njit(cache=True, nogil=True)
def in_time_on_leases(x, order, task_lease, capacity, ready, duration, factors, deadline):
    """Return in how many draws a plan's tasks end in time, each as early as its lease has room.

    Parameters
    ----------
    order, task_lease, ready
        Tasks by planned start; the lease of each, and when that lease is ready.
    capacity
        What each lease has, shape (leases, 3).
    x, duration, factors, deadline
        See :func:`in_time_with_any_machines`.
    """
    count = 0
    for draw in range(factors.shape[0]):
        seconds = duration * factors[draw]
        start = place(order, task_lease, seconds, ready, x.parent_ptr, x.parents, x.need, capacity)
        if (start + seconds).max() <= deadline:
            count += 1
    return count
