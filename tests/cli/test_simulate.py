"""The command simulate against chance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from simulator.cloud import OUTCOMES
from tests.cli.test_process import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Run = Callable[..., Outcome]

FLOW = "example:montage"


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a plan of 300 tasks, with a deadline."""
    from autoscale.cli import main

    path = tmp_path_factory.mktemp("plans") / "plan.json"
    goal = ("--deadline", "10m", "--types", "c7i*,m7i*", "--planner", "list")
    assert main(["plan", FLOW, *goal, "-o", str(path)]) == 0
    return path


def test_a_plan_against_noise(run: Run, plan_file: Path) -> None:
    """Spreads, the deadline's probability with its interval, and losses, as JSON and in words."""
    options = ("--runs", "200", "--noise", "0.2", "--boot-noise", "0.3", "--seed", "4")
    facts = run("simulate", FLOW, plan_file, *options, "--json").facts
    assert (facts["runs"], facts["seed"], facts["sources"]) == (200, 4, ["boot", "runtime"])
    for key in ("cost_usd", "makespan_seconds"):
        found = facts[key]
        assert found["p5"] <= found["p50"] <= found["p95"] <= found["worst"]
        assert found["low"] < found["mean"] < found["high"]
    met = facts["deadline"]
    assert met["seconds"] == 600
    assert met["low"] <= met["probability"] == met["met"] / 200 <= met["high"]
    assert facts["lost_task_seconds"]["boot"] > 0
    assert run("simulate", FLOW, plan_file, *options, "--json").facts == facts
    words = run("simulate", FLOW, plan_file, *options)
    assert words.code == 0
    for word in ("P95", "worst", "ends by 10m00s", "waiting for a machine to boot"):
        assert word in words.out


def test_another_deadline_and_a_stop_rule(run: Run, plan_file: Path) -> None:
    """The deadline can be asked for; enough runs for a wanted width are fewer than the most."""
    options = ("--noise", "0.3", "--deadline", "1s", "--precision", "5%", "--json")
    facts = run("simulate", FLOW, plan_file, *options).facts
    assert facts["deadline"]["probability"] == 0
    assert facts["runs"] < facts["wanted_runs"] == 1000


def test_every_option_switches_its_source_on(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """Each option names one source; a file of chance gives several, options add to it."""
    (tmp_path / "market.csv").write_text("time_s,available\n0,1\n5000,0\n5100,1\n90000,1\n")
    sources = {
        "runtime": ("--lease-noise", "0.1"),
        "estimate_error": ("--estimate-error", "0.1"),
        "boot_failure": ("--boot-failure", "0.01"),
        "task_failure": ("--task-failure", "0.01", "--retries", "9"),
        "instance_failure": ("--instance-failure", "0.1"),
        "spot": ("--spot-rate", "0.1", "--notice", "30s"),
        "network": ("--contention", "--cache", "--service-bandwidth", "10Gbit/s"),
    }
    for name, options in sources.items():
        facts = run("simulate", FLOW, plan_file, "--runs", "2", *options, "--json").facts
        assert facts["sources"] == [name]
    traced = ("--spot-trace", tmp_path / "market.csv")
    assert run("simulate", FLOW, plan_file, "--runs", "2", *traced, "--json").code == 0
    (tmp_path / "c.toml").write_text("[boot]\ntime_s = 100\n[spot]\nrate_per_hour = 1\n")
    given = ("--chance", tmp_path / "c.toml", "--noise", "0.1", "--runs", "2", "--json")
    assert run("simulate", FLOW, plan_file, *given).facts["sources"] == ["boot", "runtime", "spot"]


def test_pictures_traces_and_records(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """All that is asked for is written, and belongs to the run that is named."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    outcome = run(
        "simulate", FLOW, plan_file, "--runs", "5", "--noise", "0.2", "--instance-failure", "2",
        "--plot", tmp_path / "a.png", "--run-plot", tmp_path / "b.svg", "--run", "3",
        "--trace", tmp_path / "t.json", "--records", tmp_path / "r",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.svg", "r", "t.json"]
    runs = pd.read_parquet(tmp_path / "r" / "runs.parquet")
    machines = pd.read_parquet(tmp_path / "r" / "machines.parquet")
    assert runs["machines"][3] == len(machines)
    assert runs["cost_usd"][3] == pytest.approx(machines["cost_usd"].sum())
    assert set(machines["outcome"]) <= set(OUTCOMES)
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    once = run("simulate", FLOW, plan_file, "--trace", tmp_path / "u.json")
    assert "reproduces" in once.out
    assert (tmp_path / "u.json").exists()


def test_starting_early_is_never_later_without_chance(run: Run, plan_file: Path) -> None:
    """With --start early and no chance a plan ends no later than planned."""
    facts = run("simulate", FLOW, plan_file, "--start", "early", "--runs", "1", "--json").facts
    assert facts["makespan_seconds"]["mean"] <= facts["planned"]["makespan_seconds"] + 1e-6


def test_runs_that_can_never_end_are_reported(run: Run, plan_file: Path) -> None:
    """Every boot fails: no hang, the reason, exit code 3."""
    outcome = run("simulate", FLOW, plan_file, "--runs", "2", "--boot-failure", "1")
    assert outcome.code == 3
    assert "never became ready" in " ".join(outcome.out.split())
    facts = run("simulate", FLOW, plan_file, "--runs", "2", "--boot-failure", "1", "--json").facts
    assert facts["given_up"]["runs"] == 2
    assert facts["makespan_seconds"]["mean"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--runs", "0"), "--runs: expected a whole number >= 1, got 0"),
        (("--noise", "-0.2"), "--noise: lognormal distribution: cv must be a finite number >= 0"),
        (("--noise", "nan"), "cv must be a finite number >= 0, got nan"),
        (("--task-failure", "1.2"), "expected a probability from 0 to 1, got 1.2"),
        (("--boot-failure", "-1"), "expected a probability from 0 to 1, got -1"),
        (("--spot-rate", "-1"), "expected a rate per hour >= 0, got -1"),
        (("--instance-failure", "inf"), "expected a rate per hour >= 0, got inf"),
        (("--retries", "3"), "--retries: needs --task-failure"),
        (("--bid", "1"), "--bid: needs --spot-trace"),
        (("--notice", "soon"), "duration: expected something like"),
        (("--spot-trace", "nothing.csv"), "nothing.csv: no such file"),
        (("--chance", "nothing"), "unknown chance 'nothing'"),
        (("--start", "late"), "--start: expected planned or early, got 'late'"),
        (("--noise", "0.1", "--precision", "0"), "precision: expected a width > 0"),
        (("--noise", "0.1", "--confidence", "100%"), "confidence: expected a level between"),
        (("--noise", "0.1", "--deadline", "soon"), "--deadline: duration: expected"),
        (("--no-contention", "--service-bandwidth", "1GB/s"), "with sharing = 'max-min' only"),
        (("--plot", "a.txt"), "--plot: a.txt: expected a name that ends in"),
        (("--seed", "-1"), "--seed: expected a whole number >= 0"),
    ],
)
def test_wrong_options_are_one_clear_error(
    run: Run, plan_file: Path, options: tuple[str, ...], message: str
) -> None:
    """Exit code 2 and one line that says what was expected."""
    outcome = run("simulate", FLOW, plan_file, *options)
    assert outcome.code == 2
    assert message in outcome.err
    assert len([x for x in outcome.err.splitlines() if not x.startswith("note")]) == 1
    assert outcome.out == ""


def test_an_interrupted_simulation_reports_its_runs(plan_file: Path, tmp_path: Path) -> None:
    """Ctrl-C during many runs: the figures of those completed, whole files, exit code 130."""
    picture = tmp_path / "a.png"
    outcome = interrupt(
        ("simulate", FLOW, plan_file, "--runs", "10000000", "--noise", "0.2", "--plot", picture),
        lambda lines: sum("runs" in line for line in lines) >= 150,
    )
    assert outcome.code == 130, outcome
    assert "Traceback" not in outcome.err
    assert "interrupted: the figures are of the" in outcome.err
    assert "P95" in outcome.out
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
