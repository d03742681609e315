"""The compiled slots of SPSS: each task in the cheapest place that meets its deadline."""

from __future__ import annotations

import math

import numba
import numpy as np

from autoscale.model.kernels import billed
from autoscale.schedulers.critical.searching.kernels import BLOCK, NOISE_S, new_search, note
from autoscale.schedulers.leasing.kernels import (
    added_cost,
    commit,
    earliest_start,
    new_lease_cost,
    open_lease,
    ready_time,
)

NOISE_USD = 1e-9
"""USD by which sums of bills may be off."""


@numba.njit(cache=True)
def task_deadlines(x, tasks, level, duration, deadline, alpha):
    """Return when each task of a workflow should end; of the other tasks of ``x``, inf.

    The time to spare is shared among the levels by their parts of the tasks (``alpha``) and of
    the run time; along every path a task's deadline is its last parent's plus its duration plus
    what its level gets. All are infinite where the deadline is.

    Parameters
    ----------
    x
        The problem of all workflows, an ``Instance``.
    tasks
        The workflow's tasks, ascending.
    level, duration
        Per task of ``x``.
    """
    n_levels = level[tasks].max() + 1
    count = np.zeros(n_levels)
    work = np.zeros(n_levels)
    end = np.zeros(level.size)
    longest = 0.0
    for i in tasks:
        count[level[i]] += 1.0
        work[level[i]] += duration[i]
        ready = 0.0
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            ready = max(ready, end[x.parents[e]] + x.edge_s[e])
        end[i] = ready + duration[i]
        longest = max(longest, end[i])
    spare = deadline - x.boot - longest
    total = max(work.sum(), 1e-300)
    out = np.full(level.size, np.inf)
    if not spare < np.inf:
        return out
    for i in tasks:
        ready = x.boot
        for e in range(x.parent_ptr[i], x.parent_ptr[i + 1]):
            ready = max(ready, out[x.parents[e]] + x.edge_s[e])
        share = alpha * count[level[i]] / tasks.size + (1.0 - alpha) * work[level[i]] / total
        out[i] = ready + duration[i] + share * spare
    return out


@numba.njit(cache=True)
def _starts(x, s, i, lease, ready, d, out):
    """Write the starts that are tried on a lease to ``out``."""
    first, last = s.first[lease], s.last[lease]
    held = last - first + x.boot
    paid = s.paid[lease] / x.price[s.kind[lease]]
    # As early as there is room; within what is there already; right before its first task, by
    # whole quanta before it, and in the time before it that is paid for anyway.
    out[0] = ready
    out[1] = max(ready, first)
    out[2] = first - d
    out[3] = max(ready, first - math.ceil(d / x.quantum) * x.quantum)
    out[4] = max(ready, first - max(0.0, paid - held))
    # The authors' code wants some time between the task and the lease's first.
    touching = abs(ready + d - first) <= 1e-9
    for y in range(5):
        out[y] = max(out[y], first if touching else ready)


@numba.njit(cache=True, nogil=True)
def fill_slots(x, s, order, due, kind):
    """Schedule a workflow's tasks on top of what is there; return what is added to the bill.

    Of the places that end in time the cheapest is taken, then one on a lease, then the earliest.
    A new lease of the task's own type is always a place, late or not.

    Parameters
    ----------
    x, s
        The problem of all workflows and the leases so far, which are changed.
    order
        The workflow's tasks by deadline, parents first.
    due, kind
        Deadline and type of each task.
    """
    added = 0.0
    starts = np.empty(5)
    # Local names: passing whole structures costs more than what rules most leases out.
    kinds, first, last, paid = s.kind, s.first, s.last, s.paid
    price, boot, quantum, minimum = x.price, x.boot, x.quantum, x.minimum
    edges = x.edge_s.size > 0 and x.edge_s.max() > 0.0
    search = new_search(x, kinds.size)
    heads, tails, gaps = search.head, search.tail, search.gap
    block_head, block_tail, block_gap = search.block_head, search.block_tail, search.block_gap
    block_paid = search.block_paid
    rates = np.full(search.block_paid.size, np.inf)
    for lease in range(s.opened[0]):
        note(x, s, search, lease)
        rates[lease // BLOCK] = min(rates[lease // BLOCK], price[kinds[lease]])
    for i in order:
        k = kind[i]
        best_lease = -1
        best_start = ready_time(x, s, i, -1)
        best_cost = new_lease_cost(x, i, k)
        soonest = boot if edges else best_start
        latest = due[i] + 1e-9
        d_on = x.duration[x.task_class[i]]
        shortest, done = d_on.min(), False
        for block in range((s.opened[0] + BLOCK - 1) // BLOCK):
            # The least that any lease of the block adds, in what time is left of it.
            unpaid = soonest + shortest - block_paid[block]
            if rates[block] * unpaid > best_cost + NOISE_USD:
                continue
            since = _room_from(
                soonest, shortest, block_head[block], block_tail[block], block_gap[block]
            )
            unpaid = since + shortest - block_paid[block]
            if since + shortest > latest or rates[block] * unpaid > best_cost + NOISE_USD:
                continue
            for lease in range(block * BLOCK, min((block + 1) * BLOCK, s.opened[0])):
                d = d_on[kinds[lease]]
                if not d < np.inf:
                    continue
                since = _room_from(soonest, d, heads[lease], tails[lease], gaps[lease])
                if not since + d <= latest:
                    continue
                rate, from_s = price[kinds[lease]], first[lease]
                held = max(last[lease], since + d) - from_s
                least = rate * billed(held + boot, quantum, minimum) - paid[lease]
                if _no_better(least, since, best_cost, best_start, best_lease):
                    continue
                ready = ready_time(x, s, i, lease) if edges else soonest
                t = earliest_start(x, s, i, lease, ready)
                if not t + d <= latest:
                    continue
                held = max(last[lease], t + d) - from_s
                least = rate * billed(held + boot, quantum, minimum) - paid[lease]
                if _no_better(least, t, best_cost, best_start, best_lease):
                    continue
                _starts(x, s, i, lease, ready, d, starts)
                for y in range(5):
                    if y and starts[y] == starts[y - 1]:
                        continue
                    if y or starts[0] > ready:
                        t = earliest_start(x, s, i, lease, starts[y])
                    if t + d > latest:
                        continue
                    cost = added_cost(x, s, lease, t, t + d)
                    same = abs(cost - best_cost) <= 1e-12
                    earlier = best_lease < 0 or t < best_start - 1e-9
                    if cost < best_cost - 1e-12 or (same and earlier):
                        best_lease, best_start, best_cost = lease, t, cost
                done = best_cost <= 0.0 and best_start <= soonest
                if done:
                    break
            if done:
                break
        if best_lease < 0:
            best_lease = open_lease(s, k)
            rates[best_lease // BLOCK] = min(rates[best_lease // BLOCK], price[k])
        commit(x, s, i, best_lease, best_start)
        note(x, s, search, best_lease)
        added += best_cost
    return added


@numba.njit(cache=True)
def _room_from(soonest, d, head, tail, gap):
    """Return from when on, at the least, there may be room for ``d`` seconds; as ``Search`` says.

    Within rounding, so that nothing is ruled out that would be found.
    """
    if gap + NOISE_S < d and head + NOISE_S < soonest + d:
        return max(soonest, tail - NOISE_S)
    return soonest


@numba.njit(cache=True)
def _no_better(least, soonest, cost, start, lease):
    """Return whether a place that costs so much or more, from then on, loses to the best one."""
    if least > cost + 2e-12:
        return True
    return lease >= 0 and least > cost - 1e-12 and soonest >= start - 1e-9
