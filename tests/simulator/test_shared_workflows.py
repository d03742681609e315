"""Real workflows: plans of several planners are reproduced with all chance off, by both players."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.api import make_problem, read_workflow
from autoscale.schedulers import get_scheduler
from simulator import simulate
from simulator.replay import replicate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("planner", ["cheapest", "fastest", "list"])
def test_plans_of_real_workflows_are_reproduced(shared: Path, planner: str) -> None:
    folders = (shared / "data" / "workflows", shared / "data" / "dax")
    paths = sorted(
        p for f in folders for p in f.rglob("*") if p.is_file() and p.stat().st_size < 3e4
    )
    played = 0
    for path in paths:
        workflow = read_workflow(path, default_runtime_s=1.0)
        if workflow.vcpus.max() > 100:
            continue  # no type of these families is so wide
        for billing in ("second", "hour"):
            problem = make_problem(workflow, types="c7i*,m7i*,r7i*,p3*", billing=billing)
            found = get_scheduler(planner)(problem, rng=np.random.default_rng(0))
            assert simulate(found).reproduces(found, tol=1e-6), path
            runs = replicate(found, runs=1)
            np.testing.assert_allclose(runs["cost_usd"], found.cost_usd, atol=1e-6)
            np.testing.assert_allclose(runs["makespan_s"], found.makespan_s, atol=1e-6)
            played += 1
    assert played >= 60, played
