"""The parts of the rolling-horizon policies against plain counterparts and brute force."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from scipy.special import ndtri

from autoscale.policies.rolling.cover import least_fleet
from autoscale.policies.rolling.learning import BootTimes, RuntimeRatios
from autoscale.policies.rolling.work import spread


def plain_play(
    dur: Any, need: Any, key: Any, edges: list[tuple[int, int]], ready_s: Any, room: Any
) -> list[float]:
    """Return when tasks end: by time, each ready task in the order of keys on the fullest lease."""
    n = len(key)
    end = [math.inf] * n
    where: dict[int, int] = {}
    times = sorted({0.0, *ready_s})
    while times:
        now = times.pop(0)
        runs = [i for i in where if end[i] > now + 1e-6]
        free = [room[m] - sum(need[i] for i in runs if where[i] == m) for m in range(len(room))]
        done = {i for i in where if end[i] <= now + 1e-6}
        ready = [i for i in range(n) if i not in where and {a for a, b in edges if b == i} <= done]
        for i in sorted(ready, key=lambda i: (key[i], i)):
            fits = [m for m in range(len(room)) if ready_s[m] <= now and need[i] <= free[m]]
            if fits:
                m = min(fits, key=lambda m: (free[m], m))
                free[m] -= need[i]
                where[i], end[i] = m, now + dur[i]
                times = sorted({*times, end[i]})
    return end


@settings(max_examples=40, deadline=None)
@given(hs.integers(0, 10**6))
def test_the_compiled_play_equals_plain_list_scheduling(seed: int) -> None:
    from autoscale.policies.rolling import kernels

    rng = np.random.default_rng(seed)
    n, n_leases = int(rng.integers(1, 9)), int(rng.integers(1, 4))
    dur, need = np.round(rng.uniform(1, 100, n)), rng.integers(1, 3, n).astype(float)
    key = rng.permutation(n).astype(float)
    edges = [(a, b) for a, b in itertools.combinations(range(n), 2) if rng.random() < 0.25]
    ready_s = np.round(rng.uniform(0, 50, n_leases))
    room = rng.integers(2, 5, n_leases).astype(float)
    children = [[b for a, b in edges if a == i] for i in range(n)]
    ptr = np.cumsum([0, *(len(c) for c in children)]).astype(np.int64)
    flat = np.array([c for part in children for c in part], dtype=np.int64)
    pending = np.bincount([b for _, b in edges], minlength=n).astype(np.int64)
    finish, start = np.zeros(n), np.zeros(n)
    wants = np.stack([need, np.zeros(n), np.zeros(n)], axis=1)
    free = np.stack([room, np.zeros(n_leases), np.zeros(n_leases)], axis=1)
    kernels.play(
        *(0.0, dur[:, None].copy(), wants, np.ones((n, 1)), np.full(n, np.inf), 0.0, key),
        *(
            *kernels.in_order(key),
            np.full(n, np.inf),
            np.zeros(n, dtype=np.int64),
            pending,
            ptr,
            flat,
        ),
        *(np.full(n, -1, dtype=np.int64), np.full(n, np.nan), np.zeros(n_leases, dtype=np.int64)),
        *(ready_s, np.full(n_leases, np.inf), free, finish, start),
    )
    assert finish.tolist() == pytest.approx(plain_play(dur, need, key, edges, ready_s, room))


def choose(t: float, i: int, free: list[int], on: list[int], given: dict[str, Any]) -> int | None:
    """Return the lease that a task starts on at a time, looking at every ready one."""
    dur, column, due = given["dur"][i], given["column"], given["due"][i]
    fastest = min(dur[c] for c in column)
    ranks = []
    for m in on:
        c, end_s = column[m], t + dur[column[m]]
        dear = given["cost"][i][c] > given["limit"][i] and t < given["key"][i] - given["urgent"]
        content = end_s > due and dur[c] > 1.01 * fastest and t + fastest <= due
        if given["need"][i] <= free[m] and end_s <= given["until"][m] and not dear and not content:
            ranks.append((max(0.0, end_s - due), given["cost"][i][c], free[m], m))
    return min(ranks)[3] if ranks else None


def looks_at_all(given: dict[str, Any]) -> list[float]:
    """Return when tasks end if every task is tried on every ready lease at every event."""
    n, ready_s = len(given["key"]), given["ready"]
    start, where = [math.inf] * n, [-1] * n
    times = sorted({0.0, *ready_s})
    while times:
        t = times.pop(0)
        end = [s + given["dur"][i][given["column"][where[i]]] for i, s in enumerate(start)]
        runs = [i for i in range(n) if start[i] <= t < end[i]]
        free = [r - sum(given["need"][i] for i in runs if where[i] == m)
                for m, r in enumerate(given["room"])]  # fmt: skip
        for i in sorted((i for i in range(n) if where[i] < 0), key=lambda i: given["key"][i]):
            on = [m for m in range(len(free)) if ready_s[m] <= t and free[m] > 0]
            m = choose(t, i, free, on, given)
            if m is not None:
                start[i], where[i] = t, m
                free[m] -= given["need"][i]
                times = sorted({*times, t + given["dur"][i][given["column"][m]]})
    return [s + given["dur"][i][given["column"][where[i]]] for i, s in enumerate(start)]


@settings(max_examples=150, deadline=None)
@given(hs.integers(0, 10**6))
def test_tasks_that_were_refused_are_tried_again_whenever_it_may_help(seed: int) -> None:
    """Dear, late and leaving leases refuse tasks for a while: as if all were tried every time."""
    from autoscale.policies.rolling import kernels

    rng = np.random.default_rng(seed)
    n, kinds = int(rng.integers(2, 13)), int(rng.integers(1, 6))
    alike = np.repeat(np.arange(kinds), rng.integers(1, 4, kinds))  # which the first stands for
    dur = rng.integers(1, 60, (n, 2)).astype(float)
    key, due = rng.permutation(120)[:n].astype(float), rng.integers(20, 200, n).astype(float)
    cost, limit = dur * [1.0, 3.0], rng.choice([30.0, 90.0, np.inf], n)
    need, room = rng.integers(1, 3, n).astype(float), rng.integers(2, 4, kinds).astype(float)
    column, ready = rng.integers(0, 2, kinds), rng.integers(0, 3, kinds) * 15.0
    until = rng.choice([50.0, 150.0, np.inf], kinds)
    room, column, ready, until = (part[alike] for part in (room, column, ready, until))
    none, zeros = np.zeros((n, 1)), np.zeros(n, dtype=np.int64)
    finish, start = np.zeros(n), np.zeros(n)
    kernels.play(
        *(0.0, dur, np.concatenate([need[:, None], none, none], axis=1), cost, limit, 10.0, key),
        *(*kernels.in_order(key), due, zeros.copy(), zeros.copy(), np.zeros(n + 1, dtype=np.int64)),
        *(np.zeros(0, dtype=np.int64), zeros - 1, np.full(n, np.nan), column, ready, until),
        *(np.stack([room, room * 0, room * 0], axis=1), finish, start),
    )
    told = {"dur": dur, "key": key, "due": due, "cost": cost, "limit": limit, "need": need}
    told |= {"room": room, "column": column, "ready": ready, "until": until, "urgent": 10.0}
    assert finish.tolist() == looks_at_all(told)


def test_a_lease_that_works_stands_for_no_other() -> None:
    """Two leases with a vCPU free each: when one has two free, a small task goes to the fuller."""
    from autoscale.policies.rolling import kernels

    # Tasks 0 and 1 run, on a lease each, until 5 and 50; then 2 (one vCPU) and 3 (two) come.
    n, n_leases, one = 4, 2, np.ones((4, 1))
    dur, need = np.array([[5.0], [50.0], [10.0], [10.0]]), np.array([1.0, 1.0, 1.0, 2.0])
    finish, start, key = np.zeros(n), np.zeros(n), np.arange(4.0)
    place, end = np.array([0, 1, -1, -1]), np.array([5.0, 50.0, np.nan, np.nan])
    state, pending = np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1])
    children = np.array([0, 2, 2, 2, 2]), np.array([2, 3])
    kernels.play(
        *(0.0, dur, np.concatenate([need[:, None], one * 0, one * 0], axis=1), one, one[:, 0], 0.0),
        *(key, *kernels.in_order(key), np.full(n, np.inf), state, pending, *children, place, end),
        *(np.zeros(n_leases, dtype=np.int64), np.zeros(n_leases), np.full(n_leases, np.inf)),
        *(np.array([[1.0, 0.0, 0.0]] * n_leases), finish, start),
    )
    assert place.tolist() == [0, 1, 1, 0]
    assert finish.tolist() == [5.0, 50.0, 15.0, 15.0]


def test_a_job_that_ends_at_its_deadline_misses_it_half_the_time() -> None:
    from autoscale.policies.rolling import kernels

    none = np.zeros(1, dtype=np.int64)
    args = (none.copy(), none, none - 1, np.array([100.0]), np.array([10.0]), np.array([4.0]))
    last = np.zeros(1)
    for end_s, misses in ((100.0, 0.5), (100.0 - 16.4485, 0.05), (0.0, 0.0)):
        total = kernels.judge(np.array([end_s]), *args, last, np.zeros(0))
        assert total == pytest.approx(4 * misses, abs=1e-4)
        assert last[0] == end_s


def test_the_linear_program_launches_what_the_tightest_deadline_needs() -> None:
    """900 s of work by 300 s, 1,200 s by 600 s: three leases, or one more hour of a held one."""
    load = np.array([[[900.0], [300.0]]])
    ends, price = np.array([300.0, 600.0]), np.array([0.1])
    least = least_fleet(load, np.zeros((1, 2)), ends, price, price, np.array([np.inf]))
    assert least == pytest.approx([3.0])
    held = np.array([[300.0, 600.0]])
    assert least_fleet(load, held, ends, price, price, np.array([np.inf])) == pytest.approx([2.0])


def test_the_linear_program_takes_the_type_that_fits_and_the_cheaper_one_else() -> None:
    load = np.array([[[600.0, 300.0]], [[math.inf, 300.0]]])
    price = np.array([0.1, 0.4])
    found = least_fleet(load, np.zeros((2, 1)), np.array([600.0]), price, price, np.full(2, np.inf))
    assert found == pytest.approx([1.0, 0.5])


@settings(max_examples=15, deadline=None)
@given(hs.integers(0, 10**6))
def test_the_best_mix_is_that_of_all_fleets(seed: int) -> None:
    """One group without packing: the most speed that the budget buys, by enumeration."""
    from autoscale.policies.rolling.mix import Mix

    rng = np.random.default_rng(seed)
    room = np.stack([rng.integers(1, 5, 3), np.full(3, 1e9), np.zeros(3)], axis=1).astype(float)
    price, speed = np.round(rng.uniform(0.1, 0.5, 3), 2), np.round(rng.uniform(0.3, 1, 3), 2)
    mix = Mix()
    mix._work = {(1.0, 0.0, 0.0): 100.0}
    mix._speed = {(1.0, 0.0, 0.0): speed}
    _, share = mix.best(room, price, 1.0, np.ones(3))
    fleets = itertools.product(*(range(int(1 / p) + 1) for p in price))
    best = max(
        float(np.array(f) @ (room[:, 0] * speed)) for f in fleets if np.array(f) @ price <= 1 + 1e-9
    )
    assert share * 100 <= best * (1 + 1e-6)
    assert share * 100 >= best * (1 - 0.011)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_mix_is_the_same_in_bytes_and_in_gibibytes(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metamorphic: what memory is counted in changes neither the fleet's value nor its price."""
    from autoscale.lp import backend
    from autoscale.policies.rolling.mix import Mix

    honest, largest = backend.solve_model, []

    def watched(model: Any, **options: Any) -> Any:
        largest.append(abs(model.matrix().data).max())
        return honest(model, **options)

    monkeypatch.setattr(backend, "solve_model", watched)

    def share(gib: float) -> float:
        rng = np.random.default_rng(seed)
        vcpus = np.array([1.0, 2, 4, 8])
        memory = vcpus * rng.choice([1.875, 2, 4, 8], 4) * gib
        room = np.stack([vcpus, memory, np.zeros(4)], axis=1)
        mix = Mix()
        for _ in range(20):
            key = (float(rng.integers(1, 3)), rng.uniform(0.1, 3) * gib, 0.0)
            mix._work[key] = rng.uniform(10, 5000)
            mix._speed[key] = rng.uniform(0.3, 1, 4)
        price = vcpus * rng.uniform(0.03, 0.09, 4)
        counts, done = mix.best(room, price, budget := rng.uniform(0.3, 6), np.ones(4))
        assert counts @ price <= budget * (1 + 1e-9)
        return done

    assert share(2.0**30) == pytest.approx(share(1.0), rel=0.011)
    assert share(1.0) > 0
    assert max(largest) < 1e6  # with bytes as they are, 1e10 and more, HiGHS failed now and then


def test_ratios_are_learnt_by_category_and_noise_over_all() -> None:
    rng = np.random.default_rng(0)
    ratios = RuntimeRatios()
    for _ in range(300):
        ratios.observe("long", float(rng.normal(1.3, 0.2)))
        ratios.observe("short", float(rng.normal(0.8, 0.2)))
    assert ratios.mean("long") == pytest.approx(1.3, abs=0.04)
    assert ratios.mean("short") == pytest.approx(0.8, abs=0.04)
    assert ratios.mean("never seen") == 1.0
    assert ratios.sd == pytest.approx(0.2, abs=0.02)
    assert ratios.doubt("long") < 0.02 < ratios.doubt("never seen")


def test_boots_are_expected_by_their_quantile_and_late_ones_later() -> None:
    boots = BootTimes(100.0)
    for boot_s in range(1, 98):
        boots.observe(float(boot_s))
    assert boots.quantile(0.5) == 50.0
    assert boots.ready_s(0.0, 10.0, 0.5) == 50.0
    assert boots.ready_s(0.0, 200.0, 0.5) == 300.0


def test_spread_runtimes_have_mean_one_and_the_noise_asked_for() -> None:
    factors = spread(ndtri((0.5 + np.arange(20_000)) / 20_000), 0.2)
    assert factors.mean() == pytest.approx(1, abs=1e-3)
    assert factors.std() == pytest.approx(0.2, abs=2e-3)
