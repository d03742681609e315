"""Shared links against progressive filling by the book; disks and markets against hand examples."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from simulator import simulate
from simulator.chance import Chance, Network, Spot
from simulator.cloud import OUTCOMES
from simulator.market import Market, Trace
from simulator.network import Link
from simulator.network import Network as Links
from simulator.spot import Replay
from tests.simulator.clouds import plan_of, right_plan

Flow = tuple[int, float, float, float]  # link, size, weight, start


def fair_rates(flows: list[Flow], capacity: list[float], service: float) -> list[float]:
    """Return max-min fair rates: fill all alike until a resource is full, freeze, go on."""
    rate = [0.0] * len(flows)
    free = set(range(len(flows)))
    left = [*capacity, service]
    while free:
        users = {
            r: [f for f in sorted(free) if r in (flows[f][0], len(capacity))]
            for r in range(len(left))
        }
        step, full = min(
            (left[r] / sum(flows[f][2] for f in fs), r) for r, fs in users.items() if fs
        )
        if math.isinf(step):
            return [math.inf if f in free else rate[f] for f in range(len(flows))]
        for r, fs in users.items():
            left[r] -= step * sum(flows[f][2] for f in fs)
        for f in free:
            rate[f] += step * flows[f][2]
        free -= set(users[full])
    return rate


def ends_by_filling(flows: list[Flow], capacity: list[float], service: float) -> list[float]:
    """Return when each flow ends, by steps from one arrival or end to the next."""
    left = [size for _, size, _, _ in flows]
    end = [math.nan] * len(flows)
    now = 0.0
    while any(math.isnan(e) for e in end):
        active = [f for f in range(len(flows)) if flows[f][3] <= now and math.isnan(end[f])]
        coming = [flows[f][3] for f in range(len(flows)) if flows[f][3] > now]
        rates = dict(
            zip(active, fair_rates([flows[f] for f in active], capacity, service), strict=True)
        )
        ends = {f: now + left[f] / rates[f] for f in active}
        until = min([*coming, *ends.values()])
        for f in active:
            left[f] -= rates[f] * (until - now) if math.isfinite(rates[f]) else left[f]
            if ends[f] <= until * (1 + 1e-13):
                end[f] = until
        now = until
    return end


@settings(max_examples=150, deadline=None)
@given(hs.integers(0, 10**6))
def test_transfers_share_links_and_service_max_min_fairly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_links = int(rng.integers(1, 5))
    capacity = rng.choice([1.0, 2.0, 5.0, 20.0], n_links).tolist()
    if rng.random() < 0.2:
        capacity[0] = math.inf
    service = float(rng.choice([3.0, 8.0, 100.0, np.inf]))
    flows = [
        (
            int(rng.integers(n_links)),
            float(rng.integers(1, 100)) / 4,
            float(rng.integers(1, 4)),
            float(rng.integers(0, 60)) / 4,
        )
        for _ in range(int(rng.integers(1, 15)))
    ]
    flows = [f for f in flows if math.isfinite(capacity[f[0]]) or math.isfinite(service)]
    env = simpy.Environment()
    links = [SimpleNamespace(link=Link(c)) for c in capacity]
    net, found = Links(env, service), [math.nan] * len(flows)

    def begin(f: int) -> None:
        link, size, weight, _ = flows[f]

        def ended() -> None:
            found[f] = env.now

        net.transfer(links[link], size, weight, ended)  # type: ignore[arg-type]

    for f, flow in enumerate(flows):
        env.timeout(flow[3]).callbacks.append(lambda _, f=f: begin(f))
    env.run()
    np.testing.assert_allclose(found, ends_by_filling(flows, capacity, service), rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(hs.integers(0, 10**6), hs.integers(1, 25))
def test_weighted_contention_on_the_link_makes_no_phase_longer(seed: int, n: int) -> None:
    """The fixed share is what contention leaves at worst, so no task runs longer than planned."""
    plan = right_plan(seed, n)
    result = simulate(plan, Chance(network=Network(sharing="max-min")))
    planned_s = plan.task_end_s - plan.task_start_s
    assert (result.tasks.end_s - result.tasks.start_s <= planned_s * (1 + 1e-9) + 1e-9).all()
    assert result.makespan_s <= plan.makespan_s * (1 + 1e-9)
    assert (result.tasks.compute_s >= 0).all()


def shared_file(n: int, **types: Any) -> Any:
    """Return a plan of ``n`` tasks in a row that read one file of 1e9 bytes each 1 Gbit/s."""
    builder = WorkflowBuilder("readers")
    for i in range(n):
        parents = [f"t{i - 1}"] if i else []
        builder.add(f"t{i}", runtime_s=10, parents=parents, inputs={"big": 1e9, f"own{i}": 1.25e8})
    kind = InstanceType(
        name="m", vcpus=1, memory_gib=2, price_usd_per_hour=3.6, network_gbps=1.0, **types
    )
    problem = Problem(workflow=builder.build(), catalog=Catalog((kind,)), boot_s=0.0)
    start = [19.0 * i for i in range(n)]
    return plan_of(
        problem,
        lease_type=[0],
        lease_start_s=[0.0],
        lease_end_s=[19.0 * n],
        task_lease=[0] * n,
        task_start_s=start,
        task_end_s=[s + 19 for s in start],
    )


@pytest.mark.parametrize("sharing", ["fixed", "max-min"])
def test_a_file_on_the_disk_is_not_fetched_again(sharing: Any) -> None:
    plan = shared_file(3)
    cached = simulate(plan, Chance(network=Network(sharing=sharing, cache=True)), early=True)
    assert cached.tasks.fetch_s.tolist() == pytest.approx([9, 1, 1])
    assert cached.makespan_s == pytest.approx(19 + 11 + 11)
    plain = simulate(plan, Chance(network=Network(sharing=sharing)), early=True)
    assert plain.tasks.fetch_s.tolist() == pytest.approx([9, 9, 9])


def market(**given: Any) -> Market:
    trace = Trace(
        kind="price",
        time_s=np.array([0.0, 100.0, 160.0]),
        value=np.array([1.0, 5.0, 2.0]),
        length_s=200.0,
    )
    return Market(trace=trace, **{"bid_usd_per_hour": 3.0, **given})


def test_a_trace_is_replayed_and_begins_again() -> None:
    replay = Replay(market(), 30.0)
    assert replay.next_s(0.0, is_open=True) == 0
    assert replay.next_s(0.0, is_open=False) == 70
    assert replay.next_s(75.0, is_open=True) == 130
    assert replay.next_s(131.0, is_open=False) == 270  # 40 s of 2.0, then 100 s of 1.0
    assert replay.mean_price(0.0, 70.0) == pytest.approx(1.0)
    assert replay.mean_price(60.0, 80.0) == pytest.approx(3.0)
    assert replay.mean_price(0.0, 2000.0) == pytest.approx((100 + 300 + 80) / 200)
    assert replay.mean_price(75.0, 75.0) == 5.0
    assert Replay(market(bid_usd_per_hour=0.5), 0).next_s(5.0, is_open=True) == math.inf


def one_task(runtime_s: float) -> Any:
    workflow = WorkflowBuilder("one").add("a", runtime_s=runtime_s).build()
    kind = InstanceType(name="m", vcpus=1, memory_gib=2, price_usd_per_hour=9.0, purchase="spot")
    problem = Problem(workflow=workflow, catalog=Catalog((kind,)), boot_s=10.0)
    return plan_of(
        problem,
        lease_type=[0],
        lease_start_s=[0.0],
        lease_end_s=[10.0 + runtime_s],
        task_lease=[0],
        task_start_s=[10.0],
        task_end_s=[10.0 + runtime_s],
    )


def test_a_market_takes_machines_back_and_lets_requests_wait() -> None:
    """Begun at 0, 60 s of work do not fit before 100 s; closed until 160, then done at 230."""
    chance = Chance(spot=Spot(notice_s=0, markets=(market(start_s=40.0),)))
    result = simulate(one_task(60), chance)
    # The trace is 40 s in: open until 60, closed until 120, open (2.0 then 1.0) from there.
    assert result.leases.requested_s.tolist() == [0, 120]
    assert result.leases.released_s.tolist() == [60, 190]
    assert result.makespan_s == 190
    prices = [1.0, (40 * 2.0 + 30 * 1.0) / 70]
    np.testing.assert_allclose(result.leases.cost_usd, np.array(prices) / 3600 * [60, 70])


def test_notice_lets_running_tasks_end_and_orders_a_replacement() -> None:
    chance = Chance(spot=Spot(notice_s=30, markets=(market(start_s=40.0, types="m*"),)))
    result = simulate(one_task(45), chance)  # it would end at 55, before the interruption at 60
    assert result.makespan_s == 55
    # The replacement was asked for at 30 and would have been granted when the market opened.
    assert result.leases.requested_s.tolist() == [0, 30]
    assert result.leases.released_s.tolist() == [55, 55]
    assert [OUTCOMES[code] for code in result.leases.outcome] == ["released", "never granted"]
    assert result.leases.cost_usd[1] == 0
    assert simulate(one_task(45), chance.replace(spot=Spot())).n_leases == 1


def test_a_market_that_never_opens_ends_the_run_with_a_reason() -> None:
    chance = Chance(spot=Spot(markets=(market(bid_usd_per_hour=0.5),)))
    result = simulate(one_task(45), chance)
    assert result.reason is not None
    assert result.reason.startswith("nothing can happen any more at 0 s")
    assert result.cost_usd == 0
