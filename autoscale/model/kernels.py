"""Compiled loops over the workflow graph. Imported lazily: numba is slow to import."""

from __future__ import annotations

import numba
import numpy as np

from autoscale.model.billing import billed_seconds

billed = numba.njit(cache=True)(billed_seconds)


@numba.njit(cache=True)
def levels(parent_ptr, parents, child_ptr, children):
    """Return each task's level (longest edge count from an entry), -1 on or behind a cycle."""
    n = parent_ptr.size - 1
    level = np.full(n, -1, dtype=np.int32)
    missing = np.empty(n, dtype=np.int64)
    queue = np.empty(n, dtype=np.int64)
    depth = np.zeros(n, dtype=np.int32)
    tail = 0
    for i in range(n):
        missing[i] = parent_ptr[i + 1] - parent_ptr[i]
        if missing[i] == 0:
            queue[tail] = i
            tail += 1
    head = 0
    while head < tail:
        i = queue[head]
        head += 1
        level[i] = depth[i]
        for e in range(child_ptr[i], child_ptr[i + 1]):
            c = children[e]
            depth[c] = max(depth[c], depth[i] + 1)
            missing[c] -= 1
            if missing[c] == 0:
                queue[tail] = c
                tail += 1
    return level


@numba.njit(cache=True)
def earliest_finish(parent_ptr, parents, duration, entry_s):
    """Return earliest finish times when nothing but precedence binds."""
    n = duration.size
    finish = np.empty(n, dtype=np.float64)
    for i in range(n):
        ready = entry_s
        for e in range(parent_ptr[i], parent_ptr[i + 1]):
            ready = max(ready, finish[parents[e]])
        finish[i] = ready + duration[i]
    return finish


@numba.njit(cache=True)
def tail_lengths(child_ptr, children, duration):
    """Return the longest chain that follows each task, the task itself left out."""
    n = duration.size
    tail = np.zeros(n, dtype=np.float64)
    for i in range(n - 1, -1, -1):
        longest = 0.0
        for e in range(child_ptr[i], child_ptr[i + 1]):
            c = children[e]
            longest = max(longest, duration[c] + tail[c])
        tail[i] = longest
    return tail


@numba.njit(cache=True)
def group_sums(ptr, members, values):
    """Return, for each owner of a CSR table, the sum of its members' values."""
    n = ptr.size - 1
    out = np.zeros(n, dtype=np.float64)
    for i in range(n):
        for e in range(ptr[i], ptr[i + 1]):
            out[i] += values[members[e]]
    return out


@numba.njit(cache=True)
def number_rows(rows):
    """Return the number of each row, equal rows alike, and the first row of each number.

    ``rows`` holds bit patterns, int64, shape (rows, columns); numbers follow first appearance. An
    open-addressing hash table: linear in the rows, where sorting millions takes seconds.
    """
    n, width = rows.shape
    size = 16
    while size < 2 * n:
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    number = np.empty(n, dtype=np.int32)
    first = np.empty(n, dtype=np.int64)
    count = 0
    mask = np.uint64(size - 1)
    for i in range(n):
        h = np.uint64(1469598103934665603)
        for j in range(width):
            h = (h ^ np.uint64(rows[i, j])) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        at = np.int64(h & mask)
        while True:
            known = table[at]
            if known < 0:
                table[at] = count
                first[count] = i
                number[i] = count
                count += 1
                break
            like = first[known]
            equal = True
            for j in range(width):
                if rows[i, j] != rows[like, j]:
                    equal = False
                    break
            if equal:
                number[i] = known
                break
            at = np.int64((at + 1) % size)
    return number, first[:count].copy()


@numba.njit(cache=True)
def shortest(runtime, moved, vcpus, memory, gpus, has_vcpus, has_memory, has_gpus, speed, per_byte):
    """Return each task's least duration over the types that it fits.

    ``moved`` is bytes per vCPU held, ``per_byte`` seconds per such byte on each type.
    """
    n = runtime.size
    out = np.full(n, np.inf)
    for i in range(n):
        best = np.inf
        for k in range(speed.size):
            d = runtime[i] / speed[k] + moved[i] * per_byte[k]
            if d < best and (
                vcpus[i] <= has_vcpus[k] and memory[i] <= has_memory[k] and gpus[i] <= has_gpus[k]
            ):
                best = d
        out[i] = best
    return out
