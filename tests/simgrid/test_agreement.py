"""SimGrid, another simulator, finds the same times for the same plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simulator import simulate
from simulator.chance import Chance, Network
from tests.conftest import SHARED
from tests.simgrid import cases
from tests.simgrid.outside import ask, described, python_with_simgrid
from tests.simulator.clouds import right_plan, wrong_plan

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan

pytestmark = pytest.mark.skipif(
    python_with_simgrid() is None, reason="SimGrid is not here; Debian has it as python3-simgrid"
)

NAMES = cases.names(SHARED)


def computing_only(plan: Plan) -> Plan:
    return plan.replace(problem=plan.problem.replace(transfers=False))


def assert_agreement(plan: Plan, kind: str, chance: Network | None = None) -> None:
    """Every start and end is SimGrid's, to within a millionth of the makespan."""
    result = simulate(plan, chance and Chance(network=chance))
    start_s, end_s = ask(described(plan, kind, chance=chance))
    near = 1e-6 * max(result.makespan_s, 1.0)
    np.testing.assert_allclose(result.tasks.start_s, start_s, rtol=0, atol=near)
    np.testing.assert_allclose(result.tasks.end_s, end_s, rtol=0, atol=near)


@pytest.mark.parametrize("number", range(len(NAMES)), ids=[Path(n).name for n in NAMES])
def test_plans_go_as_in_simgrid_when_runtimes_are_not_as_planned(number: int) -> None:
    plan = cases.drifted(cases.planned(NAMES[number], number), number)
    assert_agreement(computing_only(plan), "off")
    assert_agreement(plan, "caps")
    assert_agreement(plan, "max-min", cases.contended(plan, "equal"))


@pytest.mark.parametrize("seed", range(12))
def test_random_clouds_and_plans_that_are_wrong(seed: int) -> None:
    for plan in (right_plan(seed, 20), wrong_plan(seed, 20)):
        if plan.problem.durations_s is not None:
            continue  # SimGrid has no durations, only work and speeds
        assert_agreement(computing_only(plan), "off")
        if plan.problem.transfers:
            assert_agreement(plan, "caps")
            assert_agreement(plan, "max-min", cases.contended(plan, "equal"))
            assert_agreement(plan, "max-min", cases.contended(plan, "vcpus"))
            assert_agreement(plan, "max-min", Network(sharing="max-min"))


@pytest.mark.parametrize("changed", ["vcpus", "order", "speed", "bandwidth"])
def test_the_comparison_notices_other_rules(changed: str) -> None:
    asked = described(wrong_plan(1, 25), "caps")
    end_s = ask(asked)[1]
    for lease in asked["leases"]:
        other = {
            "vcpus": 10 * lease["vcpus"],
            "order": sorted(lease["order"]),
            "speed": 1.01 * lease["speed"],
            "bandwidth": None,
        }
        lease[changed] = other[changed]
    assert abs(ask(asked)[1] - end_s).max() > 1e-3
