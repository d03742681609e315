"""Fleets over time, and the tables of streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.api import make_problem, read_workflow
from autoscale.optimize.planner import solve
from simulator.study import Study, rank
from simulator.study.charts import Look, fleet_charts
from simulator.study.fleets import read_fleets, steps

if TYPE_CHECKING:
    from pathlib import Path


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 50), st.integers(1, 64)), min_size=1))
def test_the_area_under_the_steps_is_what_is_held(leases: list[tuple[float, float, int]]) -> None:
    start, length, amount = np.array(leases, dtype=float).T
    time_s, level = steps(start, start + length, amount)
    assert (np.diff(time_s) > 0).all()
    assert (level > -1e-9).all()
    assert level[-1] == pytest.approx(0, abs=1e-9)
    assert (np.diff(time_s) * level[:-1]).sum() == pytest.approx((length * amount).sum())


def test_many_steps_are_thinned_to_levels_that_were_there() -> None:
    start = np.arange(5000.0)
    time_s, level = steps(start, start + 10.5, np.ones(5000))
    assert time_s.size < 1000
    assert set(level.tolist()) <= set(range(12))
    assert np.median(level) in (10, 11)


def test_the_fleets_of_an_experiment_are_its_plans(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from simulator.experiments.running import run_experiment
    from simulator.experiments.spec import Experiment, Grid, Offer

    grid = Grid(
        workflows="example:sipht", catalogs="few", deadline_factors=(1.5, 3.0),
        planners=("list", "cheapest"), seeds=2,
    )  # fmt: skip
    offers = {"few": Offer(catalog="aws", types="c7i*")}
    run_experiment(Experiment(name="e", grids=grid, catalogs=offers), tmp_path / "r", workers=1)
    before = sorted(p.name for p in (tmp_path / "r").iterdir())
    fleets = read_fleets(tmp_path / "r")
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == before
    assert [(f.deadline, f.entrant) for f in fleets if f.entrant == "list"] == [
        ("x1.5", "list"), ("x3", "list"),
    ]  # fmt: skip
    one = fleets[0]
    problem = make_problem(read_workflow("example:sipht"), deadline=one.deadline_s, types="c7i*")
    plan = solve(problem, planner="list")
    vcpus = plan.problem.catalog.vcpus[plan.lease_type]
    held = (plan.lease_end_s - plan.lease_start_s) @ vcpus
    assert np.diff(one.time_s) @ one.vcpus[:-1] == pytest.approx(held)
    assert one.leases == plan.n_leases
    drawn = fleet_charts(fleets, Look(entrants=("list", "cheapest")))
    assert "sipht, x1.5" in drawn or "x1.5" in next(iter(drawn))


def test_folders_without_plans_have_no_fleets(tmp_path: Path) -> None:
    assert read_fleets(tmp_path) == []
    (tmp_path / "plans.parquet").write_bytes(b"x")
    (tmp_path / "results.sqlite").write_bytes(b"x")
    assert read_fleets(tmp_path) == []


def test_the_table_of_a_streams_runs_is_understood() -> None:
    rows = [
        {
            "policy": policy, "seed": seed, "stopped": why, "cost_usd": cost,
            "missed_share": 0.1, "turnaround_mean_s": 60.0, "launches": 3, "bound_usd": 1.0,
        }
        for seed in range(3)
        for policy, cost, why in (("a", 2.0, ""), ("b", 3.0, ""), ("c", 1.0, "c raised at 5 s"))
    ]  # fmt: skip
    study = Study.of(pd.DataFrame(rows))
    assert study.streams
    assert rank(study.table()).entrants == ("a", "b", "c")
    runs = study.runs.set_index("entrant")
    assert set(runs.loc["c", "status"]) == {"failed"}
    assert set(runs.loc["c", "error"]) == {"c raised at 5 s"}
    assert set(runs.loc["a", "misses"]) == {0.1}
    assert set(runs.loc["a", "turnaround_s"]) == {60.0}
