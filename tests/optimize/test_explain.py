"""What the relaxation says about a plan: later deadlines and types that just missed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow, WorkflowBuilder
from autoscale.optimize.explain import explain_plan
from autoscale.optimize.planner import solve
from autoscale.optimize.shadow_prices import shadow_prices
from autoscale.units import GIB
from tests.plans import hand_worked_plan, random_plan

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan


def machine(name: str, price: float, speed: float = 1.0, **other: float) -> InstanceType:
    figures = {"vcpus": 1, "memory_gib": 4.0} | other
    return InstanceType(name=name, price_usd_per_hour=price, speed=speed, **figures)  # type: ignore[arg-type]


SLOW, FAST, LARGE = machine("slow", 0.10), machine("fast", 0.50, 2.0), machine("mem", 0.7, 3.0)


def one_task(runtime_s: float = 600.0) -> Workflow:
    return WorkflowBuilder("one").add("t", runtime_s=runtime_s).build()


def bag(seed: int, *, memory: bool = False) -> Workflow:
    """Return a few levels of tasks, each level after all of the one before."""
    rng = np.random.default_rng(seed)
    builder, above = WorkflowBuilder("levels"), []
    for level in range(3):
        names = [f"t{level}.{i}" for i in range(int(rng.integers(1, 6)))]
        for name in names:
            need = float(rng.uniform(0.5, 4.0)) * GIB if memory else 0.0
            runtime = float(rng.uniform(200, 900))
            builder.add(name, runtime_s=runtime, parents=above, memory_bytes=need)
        above = names
    return builder.build()


def planned(workflow: Workflow, factor: float, types: tuple[InstanceType, ...]) -> Plan:
    """Return a plan on the first type alone whose problem offers all the types."""
    problem = Problem(workflow=workflow, catalog=Catalog(types[:1]), boot_s=60.0)
    deadline = factor * problem.least_makespan_s
    plan = solve(problem.replace(deadline_s=deadline), planner="list")
    return plan.replace(problem=plan.problem.replace(catalog=Catalog(types)))


def repriced(plan: Plan, position: int, usd_per_hour: float) -> Plan:
    types = list(plan.problem.catalog)
    types[position] = replace(types[position], price_usd_per_hour=usd_per_hour)
    return plan.replace(problem=plan.problem.replace(catalog=Catalog(tuple(types))))


def test_more_time_in_closed_form() -> None:
    """One task: by 500 s only the fast type does it; an hour later the slow one, for less."""
    problem = Problem(
        workflow=one_task(), catalog=Catalog((SLOW, FAST)), boot_s=60.0, deadline_s=500.0
    )
    plan = solve(problem, planner="list")
    fast, slow = 360 * 0.50 / 3600, 660 * 0.10 / 3600
    assert plan.cost_usd == pytest.approx(fast)
    prices = shadow_prices(plan)
    assert prices is not None
    assert prices.deadline_s == 500.0
    assert prices.bound_usd == pytest.approx(fast, rel=1e-3)
    tenth, hour = prices.more_time
    assert (tenth.extra_s, hour.extra_s) == (50.0, 3600.0)
    assert tenth.saves_usd == pytest.approx(0.0, abs=1e-3 * fast)
    assert hour.bound_usd == pytest.approx(slow, rel=1e-3)
    assert hour.saves_usd == pytest.approx(fast - slow, rel=1e-3)
    assert hour.saves_at_most_usd == pytest.approx(fast - slow, rel=1e-3)
    assert prices.runner_ups == ()  # the slow type is too slow at any price


def test_break_even_in_closed_form() -> None:
    """One task takes 660 s of the slow type or 360 s of the fast one: that is their price ratio."""
    plan = planned(one_task(), 3.0, (SLOW, FAST))
    prices = shadow_prices(plan)
    assert prices is not None
    (runner_up,) = prices.runner_ups
    assert runner_up.instance_type == "fast"
    assert not runner_up.in_relaxation
    assert runner_up.enters_at_usd_per_hour == pytest.approx(0.10 * 660 / 360, rel=3e-3)
    assert runner_up.fall == pytest.approx(1 - 0.10 * 660 / 360 / 0.50, rel=3e-3)


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("factor", [1.02, 1.6])
@pytest.mark.parametrize("seed", range(3))
def test_below_its_price_a_runner_up_enters_and_above_not(
    seed: int, factor: float, memory: bool
) -> None:
    """Cheaper than the stated price the bound falls; anywhere above, it does not."""
    types = (
        (SLOW, FAST, LARGE)
        if not memory
        else (SLOW, FAST, replace(LARGE, memory_gib=32.0, vcpus=2))
    )
    plan = planned(bag(seed, memory=memory), factor, types)
    prices = shadow_prices(plan)
    assert prices is not None
    assert prices.runner_ups
    for runner_up in prices.runner_ups:
        assert not runner_up.in_relaxation
        position = plan.problem.catalog.names.index(runner_up.instance_type)
        for times in (1.03, 1.3):
            dearer = repriced(plan, position, times * runner_up.enters_at_usd_per_hour)
            above = shadow_prices(dearer)
            assert above is not None
            assert above.bound_usd == pytest.approx(prices.bound_usd, rel=1e-4)
        cheaper = repriced(plan, position, 0.93 * runner_up.enters_at_usd_per_hour)
        below = shadow_prices(cheaper)
        assert below is not None
        assert below.bound_usd < prices.bound_usd * (1 - 1e-4)


def test_a_dominated_type_is_no_runner_up() -> None:
    """A type that is dearer and slower than another is counted, not listed."""
    plan = planned(one_task(), 3.0, (SLOW, FAST, machine("bad", 0.6, 1.0)))
    prices = shadow_prices(plan)
    assert prices is not None
    assert (prices.offered, prices.not_dominated) == (3, 2)
    assert [r.instance_type for r in prices.runner_ups] == ["fast"]


def test_a_huge_machine_earns_no_more_than_the_work_there_is() -> None:
    """One small task cannot take a 64th of a machine: the whole may cost what a small one does."""
    plan = planned(one_task(), 3.0, (SLOW, machine("huge", 5.0, vcpus=64, memory_gib=256.0)))
    prices = shadow_prices(plan)
    assert prices is not None
    (runner_up,) = prices.runner_ups
    assert runner_up.instance_type == "huge"
    assert runner_up.enters_at_usd_per_hour == pytest.approx(0.10, rel=5e-3)


def test_an_offer_widens_the_view() -> None:
    """A plan that knows only its own type meets others; its own figures count for its types."""
    plan = planned(one_task(), 3.0, (SLOW,))
    alone = shadow_prices(plan)
    assert alone is not None
    assert alone.runner_ups == ()
    offer = Catalog((replace(SLOW, price_usd_per_hour=0.01), FAST))
    wider = shadow_prices(plan, offer=offer)
    assert wider is not None
    assert [r.instance_type for r in wider.runner_ups] == ["fast"]
    assert wider.bound_usd == pytest.approx(alone.bound_usd, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_bounds_hold_for_plans_of_all_schedulers(seed: int) -> None:
    """No plan is cheaper than the bound for its deadline, nor saves more than is stated."""
    plan = random_plan(seed, 10)
    prices = shadow_prices(plan)
    assert prices is not None
    assert prices.bound_usd <= plan.cost_usd * (1 + 1e-9)
    for more in prices.more_time:
        assert more.bound_usd <= prices.bound_usd
        later = plan.problem.replace(deadline_s=prices.deadline_s + more.extra_s)
        cost = min(solve(later, planner=name).cost_usd for name in ("list", "fastest"))
        assert more.bound_usd <= cost * (1 + 1e-9)
        assert plan.cost_usd - cost <= more.saves_at_most_usd + 1e-9


def test_no_deadline_means_the_makespan() -> None:
    """A plan without a deadline is looked at as if it had to end when it does."""
    plan = hand_worked_plan()
    plan = plan.replace(problem=plan.problem.replace(deadline_s=None))
    prices = shadow_prices(plan)
    assert prices is not None
    assert prices.deadline_s == plan.makespan_s


def test_no_time_no_prices() -> None:
    """Without time for the relaxation there is an explanation all the same."""
    found = explain_plan(hand_worked_plan(), time_limit_s=0.0)
    assert found.prices is None
    assert found.money.total_usd == pytest.approx(3.6)


def test_an_explanation_reads_well() -> None:
    """Its short form and tables hold the figures worked by hand."""
    found = explain_plan(hand_worked_plan(), offer=Catalog((machine("uno", 0.5),)))
    assert repr(found) == (
        "Explanation('chain': $3.60, of that compute 4%, transfers 3%, boot 3%, idle 12%, "
        "rounding 78%; 13m20s over a chain of 2 tasks)"
    )
    frame = found.to_frame()
    assert list(frame.index) == ["duo", "total"]
    assert frame.loc["total", "total"] == pytest.approx(3.6)
    assert frame.loc["duo", "idle"] == pytest.approx(0.45)
    chain = found.chain_frame()
    assert chain["seconds"].tolist() == [100.0, 300.0, 200.0, 200.0]
    assert chain["task"].tolist() == ["", "first", "second", "second"]
    runners = found.runner_ups_frame()
    assert list(runners.columns[-1:]) == ["fall"]
    assert "rounding" in found._repr_html_()
