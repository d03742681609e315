"""The compiled resource profiles and placement against a plain reference on small integers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.plan import kernels

HORIZON = 60
seeds = st.integers(0, 10**6)
some = settings(max_examples=150, deadline=None)


def profile(pool: Any, lease: int) -> list[tuple[float, int, int, int]]:
    """Return the steps of a lease."""
    time, cpu, mem, gpu, where, _ = pool
    block = range(where[lease, 0], where[lease, 0] + where[lease, 1])
    return [(float(time[s]), int(cpu[s]), int(mem[s]), int(gpu[s])) for s in block]


def usage(tasks: list[tuple[int, int, Any]], moment: int) -> Any:
    """Return what is held during [moment, moment + 1)."""
    held = [need for start, end, need in tasks if start <= moment < end]
    return np.sum(held, axis=0) if held else np.zeros(3, int)


def reference_fit(
    tasks: list[tuple[int, int, Any]], ready: int, duration: int, need: Any, has: Any
) -> int:
    """Return the first whole second from which there is room throughout."""
    for start in range(ready, 10 * HORIZON):
        moments = range(start, start + duration)
        if all((usage(tasks, t) + need <= has).all() for t in moments):
            return start
    raise AssertionError("no room")


@some
@given(seeds)
def test_profiles_are_sums_of_what_tasks_hold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_leases = 30, 3
    pool = kernels.new_pool(3 * n, n_leases)
    tasks: list[list[tuple[int, int, Any]]] = [[] for _ in range(n_leases)]
    for _ in range(n):
        lease = int(rng.integers(n_leases))
        if tasks[lease] and rng.random() < 0.35:  # take one out again
            start, end, need = tasks[lease].pop(int(rng.integers(len(tasks[lease]))))
            kernels.occupy(pool, lease, float(start), float(end), *(-need))
        else:
            start, length = int(rng.integers(HORIZON)), int(rng.integers(0, 12))
            need = rng.integers(0, 4, 3)
            tasks[lease].append((start, start + length, need))
            kernels.occupy(pool, lease, float(start), float(start + length), *need)
    for lease in range(n_leases):
        steps = profile(pool, lease)
        times = [step[0] for step in steps]
        assert times == sorted(set(times))
        # Merged: no step repeats the one before it, and the last one is empty.
        values = [(0, 0, 0), *(step[1:] for step in steps)]
        assert all(a != b for a, b in itertools.pairwise(values))
        assert values[-1] == (0, 0, 0)
        for moment in range(HORIZON + 12):
            at = np.searchsorted(times, moment, side="right") - 1
            held = steps[at][1:] if at >= 0 else (0, 0, 0)
            assert tuple(usage(tasks[lease], moment)) == held


@some
@given(seeds)
def test_the_earliest_fit_is_the_earliest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    has = np.array([4, 6, 2])
    pool = kernels.new_pool(40, 1)
    tasks: list[tuple[int, int, Any]] = []
    for _ in range(12):
        need = np.minimum(rng.integers(0, [5, 7, 3]), has)
        ready, duration = int(rng.integers(HORIZON)), int(rng.integers(1, 10))
        found = kernels.earliest_fit(pool, 0, float(ready), float(duration), *need, *(has - need))
        assert found == reference_fit(tasks, ready, duration, need, has)
        kernels.occupy(pool, 0, found, found + duration, *need)
        tasks.append((int(found), int(found) + duration, need))


@some
@given(seeds, st.integers(1, 12))
def test_placement_is_the_serial_rule(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    above = np.tril(rng.random((n, n)) < 0.3, -1)
    parents = [np.flatnonzero(row) for row in above]
    ptr = np.concatenate([[0], np.cumsum([len(p) for p in parents])]).astype(np.int64)
    members = np.concatenate([*parents, np.zeros(0, int)]).astype(np.int32)
    capacity = np.array([[4, 6, 1], [2, 3, 0], [1, 9, 2]], dtype=np.int64)
    lease = rng.integers(0, 3, n)
    need = np.stack([rng.integers(0, capacity[k] + 1) for k in lease])
    duration, floor = rng.integers(1, 9, n), rng.integers(0, 20, n)
    start = kernels.place(
        np.arange(n), lease.astype(np.int32), duration.astype(float), floor.astype(float),
        ptr, members, need, capacity,
    )  # fmt: skip
    held: list[list[tuple[int, int, Any]]] = [[], [], []]
    for i in range(n):
        ready = max([int(floor[i]), *(int(start[p] + duration[p]) for p in parents[i])])
        k = int(lease[i])
        expected = reference_fit(held[k], ready, int(duration[i]), need[i], capacity[k])
        assert start[i] == expected
        held[k].append((expected, expected + int(duration[i]), need[i]))
