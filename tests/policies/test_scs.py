"""SCS step by step, against examples worked by hand and brute force."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.model.arrays import csr
from autoscale.model.billing import HOURLY
from autoscale.model.catalog import Catalog
from autoscale.model.problem import Problem
from autoscale.policies.loads import Loads, consolidate, machines, peaks, rates
from autoscale.policies.protocol import Job
from autoscale.policies.subdeadlines import kernels
from autoscale.policies.subdeadlines.dates import Dates
from autoscale.policies.work import OpenJob
from simulator.streams import run_policy
from tests.policies.clusters import SLOW_AND_FAST, chain, dag, fork_join, kind, view_of

MIN = 60.0


def dates_of(workflow: Any, deadline_min: float, catalog: Catalog = SLOW_AND_FAST) -> Dates:
    problem = Problem(workflow=workflow, catalog=catalog, boot_s=0.0, deadline_s=deadline_min * MIN)
    dates = Dates(OpenJob(view_of(Job(problem=problem))))
    dates.assign(0.0, 0.0, [])
    return dates


# -- bundling -------------------------------------------------------------------------------


def test_chains_are_bundled_where_both_tasks_like_the_same_type() -> None:
    """A fork: the chain to it and the chains from it are bundles, the fork's edges are not."""
    edges = {"b": ["a"], "c": ["b"], "d": ["b"], "e": ["c"], "f": ["d", "e"]}
    w = dag(edges, dict.fromkeys("abcdef", 10.0))
    dates = dates_of(w, 1000)
    bundle = dict(zip(w.ids.tolist(), dates.bundle.tolist(), strict=True))
    assert bundle["a"] == bundle["b"]
    assert bundle["c"] == bundle["e"]
    assert len({bundle["a"], bundle["c"], bundle["d"], bundle["f"]}) == 4


def test_a_chain_of_tasks_that_like_different_types_is_not_bundled() -> None:
    builder_memory = [1, 8, 8]
    catalog = Catalog((kind("small", 1.0, memory_gib=4.0), kind("big", 3.0, memory_gib=16.0)))
    w = chain(10, 10, 10)
    memory = np.array(builder_memory) * 2**30
    w = w.replace(memory_bytes=memory)
    assert dates_of(w, 1000, catalog).bundle.tolist() == [0, 1, 1]


# -- deadline assignment --------------------------------------------------------------------


def test_types_are_upgraded_until_in_time_the_best_value_first() -> None:
    """Tasks of 10 and 30 min beside each other, then 20 min: 50 min on slow types.

    Only the 30-minute task and the last one shorten the makespan. On the fast type the last one
    takes 10 min less for 2/3 - 1/3 dollars, the other one 15 min less for 1 - 1/2 dollars: both 30
    minutes a dollar, the first in order is taken: the 30-minute task, which gives 35 minutes. By
    40 minutes that is enough; by 30, the last is upgraded as well, which gives 25.
    """
    w = dag({"c": ["a", "b"]}, {"a": 10, "b": 30, "c": 20})
    at = {name: i for i, name in enumerate(w.ids.tolist())}

    def kinds(deadline: float) -> list[int]:
        dates = dates_of(w, deadline)
        return [int(dates.kind[dates.bundle[at[name]]]) for name in "abc"]

    assert kinds(50) == [0, 0, 0]
    assert kinds(49) == [0, 1, 0]
    assert kinds(35) == [0, 1, 0]
    assert kinds(34) == [0, 1, 1]
    assert kinds(25) == [0, 1, 1]
    assert kinds(24) == [0, 1, 1]  # nothing shortens it further: the miss is accepted


def test_the_makespan_decides_and_not_the_tasks_own_time() -> None:
    """Upgrading the long task saves 15 min of its own, but its rival of 28 min leaves only 2."""
    w = dag({"d": ["a", "b"]}, {"a": 30, "b": 28, "d": 20})
    at = {name: i for i, name in enumerate(w.ids.tolist())}
    dates = dates_of(w, 49)
    # 2 min for $0.50 are 4 min a dollar; the last task's 10 min for $0.33 are 30 min a dollar.
    assert [int(dates.kind[at[name]]) for name in "abd"] == [0, 0, 1]


def test_equal_parallel_tasks_are_upgraded_though_no_one_of_them_helps() -> None:
    dates = dates_of(dag({}, {"a": 30, "b": 30}), 20)
    assert dates.kind.tolist() == [1, 1]


def test_windows_are_in_proportion_along_paths() -> None:
    """10 + 30 + 20 min by 120: windows of 20, 60 and 40 min; a short branch gets all its room.

    Beside the middle there is a chain of 5 and 10 min, whose window of 60 min is shared 20 : 40.
    """
    w = dag(
        {"b": ["a"], "c": ["a"], "d": ["c"], "x": ["c"], "e": ["b", "d", "x"]},
        {"a": 10, "b": 30, "c": 5, "d": 10, "x": 4, "e": 20},
    )
    dates = dates_of(w, 120)
    assert dates.kind.tolist() == [0] * 6
    of = {
        name: (dates.begin_s[b] / MIN, dates.due_s[b] / MIN)
        for name, b in zip(w.ids.tolist(), dates.bundle.tolist(), strict=True)
    }
    expected = {
        "a": (0, 20), "b": (20, 80), "e": (80, 120), "c": (20, 40), "d": (40, 80), "x": (40, 80)
    }  # fmt: skip
    for name, window in expected.items():
        assert of[name] == pytest.approx(window), name


def test_a_bundle_is_dated_as_one_task() -> None:
    dates = dates_of(chain(10, 20, 10), 80)
    assert dates.begin_s.tolist() == [0.0]
    assert dates.due_s.tolist() == [80 * MIN]
    assert dates.work_s.tolist() == [40 * MIN]


def test_what_runs_is_left_where_it_is_and_the_rest_shares_what_is_left() -> None:
    """10 then two of 20 min by 70: at minute 5 the first runs till 10, the rest has 60 for 20."""
    w = dag({"b": ["a"], "c": ["a"]}, {"a": 10, "b": 20, "c": 20})
    job = Job(problem=Problem(workflow=w, catalog=SLOW_AND_FAST, deadline_s=70 * MIN))
    view = view_of(job)
    view.status[0], view.lease[0], view.start_s[0] = 3, 0, 0.0
    dates = Dates(OpenJob(view))
    dates.assign(5 * MIN, 5 * MIN, [0])
    assert dates.some.tolist() == [False, True, True]
    assert dates.begin_s[1:].tolist() == [10 * MIN] * 2
    assert dates.due_s[1:].tolist() == [70 * MIN] * 2


@settings(max_examples=150, deadline=None)
@given(hs.integers(0, 10**6), hs.integers(1, 14), hs.floats(0.3, 4.0))
def test_windows_hold_every_task_and_keep_precedence(seed: int, n: int, stretch: float) -> None:
    """Also: the longest chains that avoid a task equal those of the graph without it."""
    rng = np.random.default_rng(seed)
    parent, child = np.triu_indices(n, 1)
    kept = rng.random(parent.size) < 0.35
    parent, child = parent[kept], child[kept]
    up, down = csr(child, parent, n), csr(parent, child, n)
    held = rng.integers(0, 30, n).astype(float)
    begin = rng.integers(0, 20, n) * (rng.random() < 0.5) * 1.0
    some = np.ones(n, dtype=np.bool_)
    finish = kernels.finishes(*up, begin, held)
    limit = float(stretch * finish.max())
    t0, t1 = kernels.windows(*up, *down, begin, held, some, limit, np.argsort(-finish))
    assert (t1 - t0 >= held - 1e-6).all()
    assert (t0 >= begin - 1e-6).all()
    assert (t1 <= max(limit, finish.max()) + 1e-6).all()
    assert (t1[parent] <= t0[child] + 1e-6).all()

    apart = kernels.makespans_without(*up, *down, begin, finish, kernels.tails(*down, held))
    for b in range(n):
        others = [i for i in range(n) if i != b]
        alone = np.full(n, -np.inf)
        for i in others:  # chains of the graph from which b is taken out
            before = [alone[p] for p in up[1][up[0][i] : up[0][i + 1]] if p != b]
            alone[i] = max([begin[i], *before]) + held[i]
        # A chain may begin behind b only with what it would not have begun before anyway.
        through = np.full(n, -np.inf)
        for i in others:
            heads = [finish[p] for p in up[1][up[0][i] : up[0][i + 1]] if p != b and p < b]
            inner = [through[p] for p in up[1][up[0][i] : up[0][i + 1]] if p != b and p > b]
            through[i] = max([begin[i], *heads, *inner]) + held[i]
            if i < b:
                through[i] = finish[i]
        assert apart[b] == pytest.approx(through[others].max() if others else -np.inf)


@settings(max_examples=60, deadline=None)
@given(hs.integers(0, 10**6), hs.integers(1, 5), hs.floats(0.4, 1.2))
def test_upgrades_meet_every_deadline_that_the_fastest_types_meet(
    seed: int, n: int, stretch: float
) -> None:
    rng = np.random.default_rng(seed)
    w = fork_join(rng.integers(1, 60, n + 2))
    catalog = Catalog((kind("a", 1.0), kind("b", 2.5, speed=2.0), kind("c", 7.0, speed=3.0)))
    problem = Problem(workflow=w, catalog=catalog, boot_s=0.0)
    dates = dates_of(w, stretch * problem.least_makespan_s / MIN / 0.6, catalog)
    if dates.job.due_s >= problem.least_makespan_s:
        assert dates.makespan_s <= dates.job.due_s + 1e-6
    else:
        assert dates.makespan_s == pytest.approx(problem.least_makespan_s)


# -- load vectors ---------------------------------------------------------------------------


def loads_of(rows: list[tuple[int, float, float, float]], n_types: int = 2) -> Loads:
    """Return loads from (type, machines, from, until); every type would serve as well."""
    kind_, rate, begin, due = (np.array(c) for c in zip(*rows, strict=True))
    return Loads(
        kind=kind_.astype(np.int64),
        rate=rate.astype(float),
        begin_s=begin.astype(float),
        due_s=due.astype(float),
        owner=np.stack([np.zeros(len(rows), np.int64), np.arange(len(rows))], axis=1),
        other=np.repeat(rate.astype(float)[:, None], n_types, axis=1),
    )


def test_ten_minutes_in_a_window_of_thirty_are_a_third_of_a_machine() -> None:
    third = rates(np.array([600.0]), np.array([1.0]), np.array([1800.0]))
    assert third.tolist() == pytest.approx([1 / 3])
    # Two vCPUs of eight: a quarter of that.
    assert float(rates(np.array(600.0), np.array(0.25), np.array(1800.0))) == pytest.approx(1 / 12)
    # No task asks for more than it can hold, not even when it is late.
    assert rates(np.array([600.0, 600.0]), np.array([1.0]), np.array([300.0, 0.0])).tolist() == [
        1.0, 1.0,
    ]  # fmt: skip


def test_loads_add_up_over_time() -> None:
    loads = loads_of([(0, 0.5, 0, 100), (0, 0.5, 50, 150), (0, 0.4, 100, 200), (1, 0.2, 0, 10)])
    assert peaks(loads, 3, 0.0, 1000.0).tolist() == pytest.approx([1.0, 0.2, 0.0])
    assert machines(peaks(loads, 3, 0.0, 1000.0)).tolist() == [1, 1, 0]
    assert peaks(loads, 3, 0.0, 50.0).tolist() == pytest.approx([0.5, 0.2, 0.0])
    assert peaks(loads, 3, 120.0, 1000.0).tolist() == pytest.approx([0.9, 0.0, 0.0])


@settings(max_examples=100, deadline=None)
@given(hs.integers(0, 10**6), hs.integers(1, 12))
def test_peaks_equal_those_of_a_fine_clock(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    begin = rng.integers(0, 20, n)
    rows = [
        (int(rng.integers(2)), float(rng.random()), int(b), int(b + rng.integers(1, 15)))
        for b in begin
    ]
    now, until = 5.0, float(rng.integers(6, 30))
    expected = [
        max(
            sum(r for k, r, b, e in rows if k == which and b <= t < e)
            for t in np.arange(now, until, 0.5)
        )
        for which in (0, 1)
    ]
    assert peaks(loads_of(rows), 2, now, until).tolist() == pytest.approx(expected)


# -- consolidation --------------------------------------------------------------------------


def test_a_fraction_moves_to_a_spare_machine_of_another_type() -> None:
    """1.3 machines of type 0 and 0.5 of type 1, one of each held: the 0.3 goes to type 1."""
    loads = loads_of([(0, 1.0, 0, 100), (0, 0.3, 0, 200), (1, 0.5, 0, 100)])
    asked = consolidate(loads, [1, 1], np.array([1.0, 1.0]), 0.0, 50.0)
    assert asked.tolist() == [1, 1]
    assert loads.kind.tolist() == [0, 1, 1]


def test_the_least_urgent_tasks_behind_the_fraction_are_moved() -> None:
    loads = loads_of([(0, 0.3, 0, 300), (0, 1.0, 0, 100), (1, 0.5, 0, 100)])
    consolidate(loads, [1, 1], np.array([1.0, 1.0]), 0.0, 50.0)
    assert loads.kind.tolist() == [1, 0, 1]


def test_nothing_moves_where_there_is_no_room_or_no_window() -> None:
    loads = loads_of([(0, 1.0, 0, 100), (0, 0.3, 0, 200), (1, 0.8, 0, 100)])
    asked = consolidate(loads, [1, 1], np.array([1.0, 1.0]), 0.0, 50.0)
    assert asked.tolist() == [2, 1]
    loads = loads_of([(0, 1.0, 0, 100), (0, 0.3, 0, 200), (1, 0.5, 0, 100)])
    loads.other[:, 1] = np.inf
    assert consolidate(loads, [1, 1], np.array([1.0, 1.0]), 0.0, 50.0).tolist() == [2, 1]


def test_machines_that_are_held_anyway_are_not_saved() -> None:
    loads = loads_of([(0, 1.0, 0, 100), (0, 0.3, 0, 200), (1, 0.5, 0, 100)])
    consolidate(loads, [2, 1], np.array([1.0, 1.0]), 0.0, 50.0)
    assert loads.kind.tolist() == [0, 0, 1]


def test_a_fraction_moves_to_a_new_machine_of_a_cheaper_type() -> None:
    loads = loads_of([(0, 0.3, 0, 100)])
    assert consolidate(loads, [0, 0], np.array([4.0, 1.0]), 0.0, 50.0).tolist() == [0, 1]


@settings(max_examples=80, deadline=None)
@given(hs.integers(0, 10**6), hs.integers(1, 8))
def test_consolidation_never_costs_more_nor_less_than_the_best_split(seed: int, n: int) -> None:
    """Between what it started from and the cheapest of all assignments of rows to types."""
    rng = np.random.default_rng(seed)
    rows = [(int(rng.integers(2)), float(rng.uniform(0.1, 1)), 0, 100) for _ in range(n)]
    loads = loads_of(rows)
    factor = rng.uniform(0.5, 2, n)
    loads.other[np.arange(n), 1 - loads.kind] = loads.rate * factor
    loads.other[rng.random((n, 2)) < 0.2] = np.inf
    loads.other[np.arange(n), loads.kind] = loads.rate
    held, price = rng.integers(0, 3, 2).tolist(), rng.uniform(1, 5, 2)

    def usd(kinds: Any) -> float:
        load = np.zeros(2)
        np.add.at(load, np.asarray(kinds), loads.other[np.arange(n), np.asarray(kinds)])
        if not np.isfinite(load).all():
            return np.inf
        return float(np.maximum(machines(load), held) @ price)

    before = usd(loads.kind)
    least = min(usd(kinds) for kinds in product((0, 1), repeat=n))
    asked = consolidate(loads, held, price, 0.0, 50.0)
    after = float(np.maximum(asked, held) @ price)
    assert after == pytest.approx(usd(loads.kind))
    assert least - 1e-9 <= after <= before + 1e-9


# -- scheduling -----------------------------------------------------------------------------


def test_the_earliest_due_date_goes_first_and_the_lease_serves_both() -> None:
    """Two jobs of 20 min arrive together, due after 60 and 45: one machine, the urgent one first.

    Loads are 1/3 and 20/45; together less than one machine. Boot takes nothing.
    """
    from autoscale.policies import make_policy
    from autoscale.policies.about import Terms

    slow = Catalog((kind("slow", 1.0),))
    problem = Problem(workflow=chain(20), catalog=slow, boot_s=0.0, billing=HOURLY)
    jobs = [Job(problem=problem.replace(deadline_s=m * MIN)) for m in (60, 45)]
    result = run_policy(jobs, make_policy("scs", Terms()))
    assert result.reason is None
    assert result.n_leases == 1
    assert (result.tasks.end_s / MIN).tolist() == [40.0, 20.0]
    assert result.cost_usd == 1.0


def test_a_bundle_stays_on_its_lease() -> None:
    from autoscale.policies import make_policy
    from autoscale.policies.about import Terms

    slow = Catalog((kind("slow", 1.0),))
    problem = Problem(workflow=chain(10, 10, 10), catalog=slow, boot_s=0.0, billing=HOURLY)
    jobs = [Job(problem=problem.replace(deadline_s=33 * MIN), arrival_s=5.0 * n) for n in range(4)]
    result = run_policy(jobs, make_policy("scs", Terms()))
    lease = result.tasks.lease.reshape(4, 3)
    assert (lease == lease[:, :1]).all()
    assert result.n_leases == 4
