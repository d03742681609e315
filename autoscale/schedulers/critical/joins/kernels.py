"""Compiled maxima over the parents, or children, of tasks that have very many.

A task with thousands of parents would be read whole whenever one of them changes. Here each such
task, an owner, has a tree of maxima over its members, to which a member's change is brought.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

WIDE = 32
"""Members that are read one by one at most."""


class Fan(NamedTuple):
    """Trees of maxima: of a value of each member, plus what its edge to the owner takes.

    ``roots[i]`` says where the tree of owner ``i`` begins, -1 if it has none, and how many leaves
    it has; ``tree`` has shape (2, nodes), for two values of each member. The leaves of a member are
    ``leaf, edge_s`` from ``at[member]`` to ``at[member + 1]``: the beginning of a tree, the node
    in it, and seconds.
    """

    roots: Any
    tree: Any
    at: Any
    leaf: Any
    edge_s: Any


@numba.njit(cache=True)
def new_fan(ptr, members, edge_s, n_members):
    """Return trees, all -inf, of the owners ``i`` with ``members[ptr[i]:ptr[i + 1]]``."""
    owners = ptr.size - 1
    roots = np.full((owners, 2), -1, dtype=np.int64)
    at = np.zeros(n_members + 1, dtype=np.int64)
    size = 0
    for i in range(owners):
        if ptr[i + 1] - ptr[i] > WIDE:
            leaves = 1
            while leaves < ptr[i + 1] - ptr[i]:
                leaves *= 2
            roots[i, 0], roots[i, 1] = size, leaves
            size += 2 * leaves
            for e in range(ptr[i], ptr[i + 1]):
                at[members[e] + 1] += 1
    at = np.cumsum(at)
    filled = at.copy()
    leaf = np.empty((at[n_members], 2), dtype=np.int64)
    edges = np.empty(at[n_members])
    for i in range(owners):
        if roots[i, 0] >= 0:
            for e in range(ptr[i], ptr[i + 1]):
                slot = filled[members[e]]
                filled[members[e]] += 1
                leaf[slot, 0], leaf[slot, 1] = roots[i, 0], roots[i, 1] + e - ptr[i]
                edges[slot] = edge_s[e]
    return Fan(roots, np.full((2, size), -np.inf), at, leaf, edges)


@numba.njit(cache=True)
def set_value(fan, row, member, value):
    """Give a member another value."""
    tree = fan.tree[row]
    for slot in range(fan.at[member], fan.at[member + 1]):
        base, node = fan.leaf[slot, 0], fan.leaf[slot, 1]
        tree[base + node] = value + fan.edge_s[slot]
        node //= 2
        while node > 0:
            best = max(tree[base + 2 * node], tree[base + 2 * node + 1])
            if tree[base + node] == best:
                break
            tree[base + node] = best
            node //= 2


@numba.njit(cache=True)
def most(fan, row, i):
    """Return the greatest value of an owner that has a tree."""
    return fan.tree[row, fan.roots[i, 0] + 1]


@numba.njit(cache=True)
def first_of_most(fan, row, i):
    """Return the first member with the greatest value, counted from 0; -1 if that is -inf."""
    if most(fan, row, i) == -np.inf:
        return -1
    tree, base, node = fan.tree[row], fan.roots[i, 0], 1
    while node < fan.roots[i, 1]:
        node *= 2
        if tree[base + node] < tree[base + node + 1]:
            node += 1
    return node - fan.roots[i, 1]
