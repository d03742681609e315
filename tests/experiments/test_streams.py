"""Scenarios and policies in experiments: the figures of a plain run of each stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.errors import InputError
from simulator.experiments.cases import count_runs, resolve
from simulator.experiments.reading import experiment_of
from simulator.experiments.running import run_experiment
from simulator.experiments.spec import Experiment, Grid
from simulator.streaming import run_stream
from simulator.streams import run_policy
from tests.experiments import makers
from tests.experiments.small import NOISE, chain_and_fan
from tests.streaming.small import small

if TYPE_CHECKING:
    from pathlib import Path

POLICIES = {"slow": makers.slow, "fast": makers.fast}


def streams(**changes: object) -> Experiment:
    """Return an experiment of one scenario, two policies and two chances."""
    grid = {
        "scenarios": "ten", "policies": tuple(POLICIES), "chances": ("own", "noise"),
        "seeds": (3, 1), "replications": 2, **changes,
    }  # fmt: skip
    return Experiment(
        name="streams",
        grids=Grid(**grid),  # type: ignore[arg-type]
        scenarios={"ten": small()},
        policies={**POLICIES, "wrong": makers.wrong},
        chances={"noise": NOISE.replace(task_failure=None)},
    )


def test_the_table_is_that_of_plain_runs(tmp_path: Path) -> None:
    """Costs, misses and turnaround are those of ``run_stream``; replications have other luck."""
    result = run_experiment(streams(), tmp_path, workers=1)
    frame = result.to_frame()
    assert len(frame) == count_runs(streams()) == 16
    assert frame["run"].tolist() == list(range(16))
    assert set(frame["status"]) == {"done"}
    report = run_stream(small(), POLICIES, seeds=(3, 1), bound=False).to_frame()
    for _, row in report.iterrows():
        same = frame.query(f"chance == 'own' and policy == '{row['policy']}'")
        for _, found in same[same["seed"] == row["seed"]].iterrows():  # no chance: no luck
            assert found["scenario"] == "ten"
            assert found["cost_usd"] == row["cost_usd"]
            assert found["misses"] == row["missed_share"]
            assert found["turnaround_s"] == row["turnaround_mean_s"]
            assert found["tardiness_s"] == row["tardiness_mean_s"]
            assert found["utilisation"] == pytest.approx(row["utilisation"])
            assert found["leases"] == row["launches"]
            assert found["met"] == (row["missed"] == 0)
    noisy = small(chance=streams().chances["noise"])
    stream = noisy.stream(1)
    for replication in (0, 1):
        played = run_policy(stream.jobs, makers.Each(1), noisy.luck, seed=1, run=replication)
        [cost] = frame.query(
            f"chance == 'noise' and policy == 'fast' and seed == 1 and replication == {replication}"
        )["cost_usd"]
        assert cost == played.cost_usd
    lucks = frame.groupby(["scenario", "chance", "seed", "replication"])["cost_usd"]
    np.testing.assert_allclose(frame["regret"], frame["cost_usd"] / lucks.transform("min") - 1)


def test_two_workers_give_the_same_bytes(tmp_path: Path) -> None:
    """Policies of one's own travel to the workers."""
    for workers in (1, 2):
        run_experiment(streams(), tmp_path / str(workers), workers=workers)
    one, two = ((tmp_path / w / "runs.parquet").read_bytes() for w in ("1", "2"))
    assert one == two


def test_a_policy_that_misbehaves_has_failed(tmp_path: Path) -> None:
    """Its runs name the policy's mistake; the others are done."""
    some = streams(policies=("slow", "wrong"), chances="own", seeds=1, replications=1)
    result = run_experiment(some, tmp_path, workers=1)
    assert (result.recorded, result.failed) == (2, 1)
    [error] = result.errors
    assert "launches type 9, which the catalogue does not have" in error


def test_plans_and_streams_in_one_experiment(tmp_path: Path) -> None:
    """Grids of both kinds follow one another in one table."""
    base = streams(chances="own", seeds=1, replications=1)
    both = Experiment(
        name="both",
        grids=(Grid(workflows="fan", planners="list", deadlines=3600), *base.grids),  # type: ignore[misc]
        workflows={"fan": chain_and_fan(3)},
        scenarios=base.scenarios,
        policies=base.policies,
    )
    frame = run_experiment(both, tmp_path, workers=1).to_frame()
    assert frame["planner"].tolist() == ["list", "", ""]
    assert frame["policy"].tolist() == ["", "slow", "fast"]
    assert frame["regret"].isna().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"scenarios": "stable"}, "policies: expected at least one name"),
        ({"workflows": "a", "policies": "scs"}, "policies: go with scenarios"),
        ({"workflows": "a", "scenarios": "b"}, "expected either workflows or scenarios"),
        ({}, "expected either workflows or scenarios"),
        (
            {"scenarios": "stable", "policies": "scs", "deadlines": 3600},
            "deadlines: go with workflows; a scenario states its own",
        ),
    ],
)
def test_axes_of_the_other_kind_are_refused(
    grid: dict[str, object], said: str, tmp_path: Path
) -> None:
    """The key is named."""
    with pytest.raises(InputError, match=said):
        experiment_of({"grid": grid}, where="file.toml", folder=tmp_path)


def test_unknown_scenarios_and_policies_are_named(tmp_path: Path) -> None:
    """With the nearest known names."""
    for grid, said in (
        ({"scenarios": "stabel", "policies": "slow"}, "unknown scenario 'stabel'; did you mean"),
        ({"scenarios": "ten", "policies": "slwo"}, "unknown policy 'slwo'; did you mean 'slow'"),
    ):
        base = streams()
        wrong = Experiment(
            name="wrong", grids=Grid(**grid), scenarios=base.scenarios, policies=base.policies
        )  # type: ignore[arg-type]
        with pytest.raises(InputError, match=said):
            resolve(wrong)
