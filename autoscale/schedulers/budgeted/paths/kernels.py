"""Compiled longest paths, kept while tasks get other durations a few at a time.

A change is brought only to the tasks whose paths it changes; every number is the sum, in the same
order, that a pass over the whole workflow would give. Greatest values of all are read off trees.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from autoscale.schedulers.leasing.kernels import _pop, _push

DEPTH = 128
"""Nodes that wait while a tree is read from its root: two a level."""


class Paths(NamedTuple):
    """Longest paths of a workflow, in seconds.

    ``d`` are the tasks' durations, ``before`` and ``after`` the longest paths up to and behind
    each, ``rank`` the one that begins with it. Task ``n`` takes no time: it is the child of the
    exits, and as number -1 the parent of the entries, so that every path is cut by an edge.

    Edge ``y`` leads from ``tail[y]`` to ``head[y]``. Those from task ``i`` begin at ``out[i]``,
    those of the entries are the first; those to it are ``into[into_ptr[i]:into_ptr[i + 1]]``.
    Trees of maxima are over the tasks' ranks, the paths through them, and the paths through edges;
    ``first`` and ``last`` are the least tail and the greatest head of each node of ``by_edge``.
    """

    d: Any
    before: Any
    after: Any
    rank: Any
    tail: Any
    head: Any
    edge_s: Any
    out: Any
    into: Any
    into_ptr: Any
    by_rank: Any
    by_task: Any
    by_edge: Any
    first: Any
    last: Any


@numba.njit(cache=True)
def _new_tree(size):
    leaves = 1
    while leaves < size:
        leaves *= 2
    return np.full(2 * leaves, -np.inf)


@numba.njit(cache=True)
def _set(tree, at, value):
    """Give a leaf of a tree of maxima another value."""
    node = tree.size // 2 + at
    tree[node] = value
    node //= 2
    while node > 0:
        best = max(tree[2 * node], tree[2 * node + 1])
        if tree[node] == best:
            break
        tree[node] = best
        node //= 2


@numba.njit(cache=True)
def new_paths(x, d):
    """Return the longest paths where tasks take ``d`` seconds."""
    n = d.size
    parents, children = np.diff(x.parent_ptr), np.diff(x.child_ptr)
    entries = np.flatnonzero(parents == 0)
    out = np.empty(n + 1, dtype=np.int64)
    out[0] = entries.size
    out[1:] = entries.size + np.cumsum(np.maximum(children, 1))
    into_ptr = np.zeros(n + 1, dtype=np.int64)
    into_ptr[1:] = np.cumsum(np.maximum(parents, 1))
    size = out[n]
    tail, head = np.full(size, -1, dtype=np.int64), np.full(size, n, dtype=np.int64)
    edge_s = np.zeros(size)
    head[: entries.size] = entries
    for i in range(n):
        for e in range(children[i]):
            head[out[i] + e] = x.children[x.child_ptr[i] + e]
            edge_s[out[i] + e] = x.child_edge_s[x.child_ptr[i] + e]
        tail[out[i] : out[i + 1]] = i
    into = np.empty(into_ptr[n], dtype=np.int64)
    filled = into_ptr.copy()
    for y in range(size):
        if head[y] < n:
            into[filled[head[y]]] = y
            filled[head[y]] += 1
    by_edge = _new_tree(size)
    leaves = by_edge.size // 2
    first, last = np.full(2 * leaves, n), np.full(2 * leaves, -1)
    first[leaves : leaves + size], last[leaves : leaves + size] = tail, head
    for node in range(leaves - 1, 0, -1):
        first[node] = min(first[2 * node], first[2 * node + 1])
        last[node] = max(last[2 * node], last[2 * node + 1])
    p = Paths(
        np.append(d, 0.0),
        np.zeros(n + 1),
        np.zeros(n + 1),
        np.zeros(n + 1),
        tail, head, edge_s, out, into, into_ptr,
        _new_tree(n), _new_tree(n), by_edge, first, last,
    )  # fmt: skip
    for i in range(n):
        p.before[i] = _longest_before(p, i)
    for i in range(n - 1, -1, -1):
        p.rank[i] = p.d[i] + _longest_after(p, i)
        p.after[i] = p.rank[i] - p.d[i]
    for i in range(n):
        _note_task(p, i)
    for y in range(size):
        _note_edge(p, y)
    return p


@numba.njit(cache=True)
def _longest_before(p, i):
    longest = 0.0
    for at in range(p.into_ptr[i], p.into_ptr[i + 1]):
        y = p.into[at]
        u = p.tail[y]
        longest = max(longest, p.before[u] + p.d[u] + p.edge_s[y])
    return longest


@numba.njit(cache=True)
def _longest_after(p, i):
    longest = 0.0
    for y in range(p.out[i], p.out[i + 1]):
        longest = max(longest, p.edge_s[y] + p.rank[p.head[y]])
    return longest


@numba.njit(cache=True)
def _note_task(p, i):
    _set(p.by_rank, i, p.rank[i])
    _set(p.by_task, i, p.before[i] + p.d[i] + p.after[i])


@numba.njit(cache=True)
def _note_edge(p, y):
    u, v = p.tail[y], p.head[y]
    _set(p.by_edge, y, p.before[u] + p.d[u] + p.edge_s[y] + p.d[v] + p.after[v])


@numba.njit(cache=True)
def renew(p, changed, key, waiting, heap):
    """Bring the paths up to date after ``p.d`` of some tasks was changed.

    ``key`` is 0, 1, 2, ..., ``waiting`` all false, ``heap`` as long as there are tasks.
    """
    n, size = heap.size, 0
    for i in changed:
        for y in range(p.out[i], p.out[i + 1]):
            size = _wait(p.head[y], n, waiting, heap, size, key)
        _note_around(p, i, True, True)
    while size > 0:
        i, size = _pop(heap, size, key)
        waiting[i] = False
        longest = _longest_before(p, i)
        if longest != p.before[i]:
            p.before[i] = longest
            _note_around(p, i, True, False)
            for y in range(p.out[i], p.out[i + 1]):
                size = _wait(p.head[y], n, waiting, heap, size, key)
    for i in changed:  # children come before parents: tasks wait by their number from the end
        size = _wait(n - 1 - i, n, waiting, heap, size, key)
    while size > 0:
        back, size = _pop(heap, size, key)
        waiting[back] = False
        i = n - 1 - back
        rank = p.d[i] + _longest_after(p, i)
        after = rank - p.d[i]
        if rank != p.rank[i] or after != p.after[i]:
            p.rank[i], p.after[i] = rank, after
            _note_around(p, i, False, True)
            for at in range(p.into_ptr[i], p.into_ptr[i + 1]):
                size = _wait(n - 1 - p.tail[p.into[at]], n, waiting, heap, size, key)


@numba.njit(cache=True)
def _wait(number, n, waiting, heap, size, key):
    """Let a task wait, unless it waits or is no real one; return how many wait."""
    if number < n and not waiting[number]:
        waiting[number] = True
        size = _push(heap, size, key, number)
    return size


@numba.njit(cache=True)
def _note_around(p, i, onward, back):
    """Bring a task's paths to the trees, with those of the edges onward from it, or back."""
    _note_task(p, i)
    if onward:
        for y in range(p.out[i], p.out[i + 1]):
            _note_edge(p, y)
    if back:
        for at in range(p.into_ptr[i], p.into_ptr[i + 1]):
            _note_edge(p, p.into[at])


@numba.njit(cache=True)
def longest(p):
    """Return the length of the longest path."""
    return max(0.0, p.by_rank[1])


@numba.njit(cache=True)
def tasks_from(p, least, out):
    """Write the tasks on paths of ``least`` seconds or more to ``out``, ascending; return how many.

    That is, those through which the longest path is no shorter.
    """
    tree, leaves, count = p.by_task, p.by_task.size // 2, 0
    stack = np.empty(DEPTH, dtype=np.int64)
    stack[0], depth = 1, 1
    while depth > 0:
        depth -= 1
        node = stack[depth]
        if tree[node] < least:
            continue
        if node >= leaves:
            out[count] = node - leaves
            count += 1
            continue
        stack[depth], stack[depth + 1] = 2 * node + 1, 2 * node
        depth += 2
    return count


@numba.njit(cache=True)
def longest_without(p, i):
    """Return the length of the longest path that does not lead through a task.

    Such a path has an edge that passes over the task in topological order. The tree of edges is
    read the greatest first, where there can be such edges.
    """
    tree, first, last, leaves = p.by_edge, p.first, p.last, p.by_edge.size // 2
    best = 0.0
    stack = np.empty(DEPTH, dtype=np.int64)
    stack[0], depth = 1, 1
    while depth > 0:
        depth -= 1
        node = stack[depth]
        if tree[node] <= best or first[node] >= i or last[node] <= i:
            continue
        if node >= leaves:
            best = tree[node]
            continue
        low, high = 2 * node, 2 * node + 1
        if tree[low] > tree[high]:
            low, high = high, low
        stack[depth], stack[depth + 1] = low, high
        depth += 2
    return best
