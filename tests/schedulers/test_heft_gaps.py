"""Placing tasks by the gaps of leases against asking every lease."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.schedulers.heft.gaps.kernels import CHUNK, place_alone, runs_alone
from autoscale.schedulers.heft.kernels import place_shared
from autoscale.schedulers.leasing.instance import Instance, Leases

DURATIONS = (
    (1.0, 2.0, 3.0),
    (0.0, 1.0, 2.0, 5.0),
    (0.1, 0.2, 0.3, 0.7, 1.0, 1.1, 2.9),  # whose sums differ by rounding alone
    (0.01, 0.1, 1.0, 30.0, 1000.0),
)


def random_instance(rng: np.random.Generator, n: int, kinds: int) -> Instance:
    """Return tasks that need more than half of every type in one dimension or another."""
    lengths = np.array(DURATIONS[rng.integers(len(DURATIONS))])
    classes = max(1, n // int(rng.integers(1, 9)))
    duration = rng.choice(lengths, (classes, kinds))
    if rng.random() < 0.3:
        duration = np.where(duration > 0.0, rng.uniform(0.1, 9.0, (classes, kinds)), 0.0)
    unfit = rng.random((classes, kinds)) < 0.3
    unfit[:, 0] = False
    task_class = rng.integers(0, classes, n)
    need = np.stack([rng.integers(3, 5, n), rng.integers(0, 9, n), np.zeros(n, int)], axis=1)
    capacity = np.stack([rng.integers(4, 6, kinds), np.full(kinds, 8), np.zeros(kinds, int)], 1)
    parents = [
        rng.choice(i, min(i, int(rng.integers(0, 4))), replace=False) if i else np.empty(0, int)
        for i in range(n)
    ]
    if rng.random() < 0.4:  # wide: only the last tasks have parents
        parents = [p if i > 0.8 * n else p[:0] for i, p in enumerate(parents)]
    flat = np.concatenate(parents).astype(np.int32)
    nobody = np.empty(0, dtype=np.int32)
    return Instance(
        parent_ptr=np.cumsum([0, *map(len, parents)]),
        parents=flat,
        edge_s=np.zeros(flat.size),
        child_ptr=np.zeros(n + 1, dtype=np.int64),
        children=nobody,
        child_edge_s=np.empty(0),
        task_class=task_class.astype(np.int32),
        duration=np.where(unfit, np.inf, duration),
        need=need.astype(np.int64),
        capacity=np.maximum(capacity, [0, 8, 0]).astype(np.int64),
        price=np.ones(kinds),
        boot=float(rng.choice([0.0, 30.0])),
        quantum=1.0,
        minimum=60.0,
        deadline=np.inf,
        budget=np.inf,
    )


def both(seed: int, n: int, leases: int, kinds: int) -> tuple[Leases, Leases]:
    rng = np.random.default_rng(seed)
    x = random_instance(rng, n, kinds)
    fleet = rng.integers(0, kinds, leases)
    fleet[rng.integers(leases)] = 0  # the type that fits every task
    pinned = np.full(n, -1, dtype=np.int64)
    if rng.random() < 0.5:
        pinned[rng.random(n) < rng.choice([0.02, 0.3])] = rng.choice(np.flatnonzero(fleet == 0))
    order = _topological(rng, x)
    assert runs_alone(x, np.unique(fleet))
    return place_alone(x, order, fleet, pinned), place_shared(x, order, fleet, pinned)


def _topological(rng: np.random.Generator, x: Instance) -> np.ndarray:
    """Return tasks by level, or the longest chains first, so that later ones fill gaps."""
    n = x.task_class.size
    if rng.random() < 0.3:
        return np.arange(n)
    level = np.zeros(n)
    for i in range(n):
        above = x.parents[x.parent_ptr[i] : x.parent_ptr[i + 1]]
        level[i] = 1 + max(level[above], default=0)
    return np.lexsort((rng.random(n), level))


def assert_same(found: Leases, expected: Leases) -> None:
    np.testing.assert_array_equal(found.lease, expected.lease)
    np.testing.assert_array_equal(found.start, expected.start)
    np.testing.assert_array_equal(found.finish, expected.finish)
    np.testing.assert_array_equal(found.paid, expected.paid)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 120), st.integers(1, 70), st.integers(1, 4))
def test_every_task_is_where_asking_every_lease_puts_it(
    seed: int, n: int, leases: int, kinds: int
) -> None:
    assert_same(*both(seed, n, leases, kinds))


@pytest.mark.parametrize("seed", [0, 1, 4, 5, 6, 8, 9, 10])
def test_also_where_chunks_of_gaps_are_split(seed: int) -> None:
    found, expected = both(seed, 3000, 40 + 60 * seed, 1 + seed % 3)
    assert_same(found, expected)
    order = np.lexsort((found.finish, found.start, found.lease))
    lease, start, finish = found.lease[order], found.start[order], found.finish[order]
    idle = (lease[1:] == lease[:-1]) & (start[1:] > finish[:-1])
    assert np.bincount(found.kind[lease[1:][idle]]).max() > CHUNK


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9))
def test_leases_that_two_tasks_could_share_are_not_taken_for_gaps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_instance(rng, 12, 2)
    roomy = x._replace(capacity=2 * x.need.max(axis=0) * np.ones((2, 1), dtype=np.int64))
    assert not runs_alone(roomy, np.arange(2))
    if x.edge_s.size:
        assert not runs_alone(x._replace(edge_s=x.edge_s + 1.0), np.arange(2))
