"""SimGrid, another simulator, finds the same times for the same plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simulator import simulate
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


def assert_agreement(plan: Plan, network: str, tol: float) -> None:
    """Every start and end is SimGrid's, to within a share of the makespan."""
    result = simulate(plan)
    start_s, end_s = ask(described(plan, network))
    near = tol * max(result.makespan_s, 1.0)
    np.testing.assert_allclose(result.tasks.start_s, start_s, rtol=0, atol=near)
    np.testing.assert_allclose(result.tasks.end_s, end_s, rtol=0, atol=near)


@pytest.mark.parametrize("number", range(len(NAMES)), ids=[Path(n).name for n in NAMES])
def test_plans_take_as_long_when_runtimes_are_as_planned_and_when_not(number: int) -> None:
    plan = cases.planned(NAMES[number], number)
    assert_agreement(computing_only(plan), "off", 1e-6)
    late = cases.drifted(plan, number)
    assert_agreement(computing_only(late), "off", 1e-6)
    assert_agreement(late, "caps", 1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_random_clouds_and_plans_that_are_wrong(seed: int) -> None:
    for plan in (right_plan(seed, 20), wrong_plan(seed, 20)):
        if plan.problem.durations_s is None:  # SimGrid has no durations, only work and speeds
            assert_agreement(computing_only(plan), "off", 1e-6)
            assert_agreement(plan, "caps" if plan.problem.transfers else "off", 1e-6)
