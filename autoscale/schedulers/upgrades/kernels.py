"""Compiled upgrades of tasks from cheap to fast types."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.model.kernels import earliest_finish


@numba.njit(cache=True)
def upgrade_path(duration, cost, start):
    """Return, for one class, the types that repeated best upgrades go through, and their weights.

    An upgrade goes to the type with the largest (seconds saved) / (USD added) among the faster
    ones; one that adds nothing has infinite weight. The first entry is ``start``.
    """
    n_types = duration.size
    path = np.empty(n_types, dtype=np.int64)
    weight = np.empty(n_types, dtype=np.float64)
    path[0] = start
    weight[0] = np.inf
    size = 1
    while True:
        now = path[size - 1]
        best, best_weight = -1, 0.0
        for k in range(n_types):
            saved = duration[now] - duration[k]
            if not (duration[k] < np.inf and saved > 0.0):
                continue
            added = cost[k] - cost[now]
            value = saved / added if added > 0.0 else np.inf
            if value > best_weight or (value == best_weight and duration[k] < duration[best]):
                best, best_weight = k, value
        if best < 0:
            break
        path[size] = best
        weight[size] = best_weight
        size += 1
    return path[:size], weight[:size]


@numba.njit(cache=True)
def cheapest_types(duration, cost):
    """Return each class's cheapest type, the fastest of equally cheap ones."""
    out = np.empty(duration.shape[0], dtype=np.int64)
    for cls in range(out.size):
        best = -1
        for k in range(duration.shape[1]):
            if not duration[cls, k] < np.inf:
                continue
            if (
                best < 0
                or cost[cls, k] < cost[cls, best]
                or (cost[cls, k] == cost[cls, best] and duration[cls, k] < duration[cls, best])
            ):
                best = k
        out[cls] = best
    return out


@numba.njit(cache=True)
def all_upgrades(duration, cost, start):
    """Return every upgrade that GAIN would make: (weight, class, step, type), by class and step."""
    n_classes, n_types = duration.shape
    weight = np.empty(n_classes * n_types, dtype=np.float64)
    owner = np.empty(n_classes * n_types, dtype=np.int64)
    kind = np.empty(n_classes * n_types, dtype=np.int64)
    size = 0
    for cls in range(n_classes):
        path, value = upgrade_path(duration[cls], cost[cls], start[cls])
        for j in range(1, path.size):
            # A later upgrade waits for the earlier ones of its task.
            weight[size] = value[j] if j == 1 else min(value[j], weight[size - 1])
            owner[size] = cls
            kind[size] = path[j]
            size += 1
    return weight[:size], owner[:size], kind[:size]


@numba.njit(cache=True)
def upgrade_critical(
    parent_ptr, parents, task_class, duration, cost, kind, entry_s, deadline, steps
):
    """Upgrade tasks of the critical path, the best first, until the deadline is met.

    Of each task on a longest chain the cheapest faster type is looked at; the upgrade with the
    largest (seconds saved) / (USD added) is made. ``kind`` is changed in place. Returns whether
    the end was reached: in time, or nothing left to upgrade.
    """
    n = kind.size
    held = np.empty(n, dtype=np.float64)
    for i in range(n):
        held[i] = duration[task_class[i], kind[i]]
    for _ in range(steps):
        finish = earliest_finish(parent_ptr, parents, held, entry_s)
        i = int(np.argmax(finish))
        if finish[i] <= deadline:
            return True
        best, best_kind, best_weight = -1, -1, 0.0
        while i >= 0:
            cls = task_class[i]
            faster, least = -1, np.inf
            for k in range(duration.shape[1]):
                if duration[cls, k] < held[i] and cost[cls, k] < least:
                    faster, least = k, cost[cls, k]
            if faster >= 0:
                added = least - cost[cls, kind[i]]
                saved = held[i] - duration[cls, faster]
                value = saved / added if added > 0.0 else np.inf
                if value > best_weight:
                    best, best_kind, best_weight = i, faster, value
            above, latest = -1, -np.inf
            for e in range(parent_ptr[i], parent_ptr[i + 1]):
                p = parents[e]
                if finish[p] > latest:
                    above, latest = p, finish[p]
            i = above
        if best < 0:
            return True
        kind[best] = best_kind
        held[best] = duration[task_class[best], best_kind]
    return False
