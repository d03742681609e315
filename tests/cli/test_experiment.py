"""The command ``experiment``: checked as a whole, asked before it is huge, resumed, exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from simulator.experiments import engines
from tests.experiments.small import write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]


def test_the_check_says_how_many_runs_and_how_long(run: Run, tmp_path: Path) -> None:
    """Without a folder nothing runs; the count is that of the grid."""
    path = write_file(tmp_path, 3)
    outcome = run("experiment", path, "--json")
    assert outcome.code == 0
    assert (outcome.facts["plans"], outcome.facts["runs"]) == (8, 480)
    assert outcome.facts["estimated_seconds"] > 0
    told = run("experiment", path, "--workers", "1")
    assert "ok: killed: 8 plans, 480 runs; about" in told.out
    assert not list(tmp_path.glob("*/"))


def test_run_stop_and_resume(run: Run, tmp_path: Path) -> None:
    """Results are where they were asked for; again without --resume is refused."""
    path, folder = write_file(tmp_path, 1), tmp_path / "out"
    where = ("experiment", path, "-o", folder, "--workers", "1")
    outcome = run(*where, "--json")
    assert outcome.code == 0
    assert "8 plans, 160 runs; about" in outcome.err
    facts = outcome.facts
    assert (facts["runs"], facts["recorded"], facts["failed"]) == (160, 160, 0)
    assert facts["tables"] == [str(folder / "runs.parquet"), str(folder / "plans.parquet")]
    assert len(pd.read_parquet(folder / "runs.parquet")) == 160
    assert pd.read_parquet(folder / "plans.parquet")["plan_seconds"].gt(0).all()
    refused = run(*where)
    assert refused.code == 2
    assert "holds results already; go on with --resume" in refused.err
    again = run(*where, "--resume")
    assert again.code == 0
    assert "killed: 160 of 160 runs, in " in again.out


def test_exit_codes_of_failed_and_infeasible_runs(run: Run, tmp_path: Path) -> None:
    """5 if runs failed, 3 if no case has a plan; the errors are listed with their runs."""
    path = write_file(tmp_path, 1)
    text = path.read_text()
    hopeless = text.replace("deadline_factors = [1.5, 3]", "deadlines = ['1m']")
    path.write_text(hopeless)
    outcome = run("experiment", path, "-o", tmp_path / "late", "--workers", "1")
    assert outcome.code == 3
    assert "80 of 80 runs, 80 without a plan" in outcome.out
    path.write_text(
        text.replace("deadline_factors = [1.5, 3]", "budgets = 5").replace("list", "exact")
    )
    outcome = run("experiment", path, "-o", tmp_path / "failed", "--workers", "1")
    assert outcome.code == 5
    assert "80 of 80 runs, 40 failed" in outcome.out
    assert "40 runs: planner 'exact' minimises cost" in outcome.out


def test_a_million_runs_are_asked_for(run: Run, tmp_path: Path) -> None:
    """Nobody is there to answer: refused before anything is read or written."""
    path = write_file(tmp_path, 10_000_000)
    outcome = run("experiment", path, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert "1,600,000,000 runs are more than 1,000,000: confirm with --yes" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds = 1", "seed = 1", "[grid]: unknown key 'seed'; did you mean 'seeds'?"),
        ("[chances.links]", "[chance.links]", "unknown key 'chance'; did you mean 'chances'?"),
        ("name =", "seeds = 3\nname =", "key 'seeds' belongs into the table [grid]"),
        ("[grid]", "[grids]", "unknown key 'grids'; did you mean 'grid'?"),
        ('"heft"]', '"hefd"]', "unknown planner 'hefd'; did you mean 'heft'"),
        ('"links"]', '"link"]', "unknown chance 'link'; did you mean 'links'?"),
        ('catalogs = ["two"]', 'catalogs = ["too"]', "catalogue 'too'; did you mean 'two'?"),
        ('"wide"]', '"wild"]', "workflow 'wild': "),
        ('"wide"]', '"*.dax"]', "workflows: no file matches '*.dax'"),
        ("seeds = 1", "seeds = []", "[grid]: seeds: expected how many, or a list of whole"),
        ("seeds = 1", "seeds = [1, -1]", "[grid]: seeds: expected a whole number >= 0, got -1"),
        ("seeds = 1", "seeds = [1, 1]", "[grid]: seeds: 1 is given twice"),
        ("seeds = 1", "seeds = 0.5", "[grid]: seeds: expected how many"),
        ("replications = 10", "replications = 0", "replications: expected a whole number >= 1"),
        ("[1.5, 3]", "[1.5, -3]", "deadline_factors: expected a finite number > 0, got '-3.0'"),
        ("[1.5, 3]", "[true]", "deadline_factors: expected a number or a text, got True"),
        ("replications", "budgets = 'much'\nreplications", "budgets: expected an amount >= 0"),
        ("replications", "billing = 'day'\nreplications", "billing: expected 'second', 'hour'"),
        ('workflows = ["fan", "wide"]', "", "[grid]: expected either workflows or scenarios"),
        ('path = "fan.csv"', 'file = "fan.csv"', "[workflows.fan]: unknown key 'file'"),
        ('path = "fan.csv"', 'path = "fun.csv"', "no such file; did you mean"),
        ('types = "c7i', 'types = "c77i', "unknown instance type or pattern 'c77i.large'"),
        ('mean = 60, cv', 'mean = 60, vc', "[chances.noise]: [boot] time_s"),
        ("name =", "early = 1\nname =", "early: expected true or false, got 1"),
        ("[grid]", "grid = 3\n[x]", "unknown key 'x'"),
        ("[grid]", "[grid", "not a TOML file"),
        ('planners = ["list", "heft"]', "planners = []", "planners: expected at least one name"),
        ('planners = ["list", "heft"]', "planners = [1]", "planners: expected a name or a list"),
        (
            '[workflows.fan]',
            '[planners.p]\nplanner = "lp"\ntime_limit = 0\n[workflows.fan]',
            "[planners.p]: time_limit: expected more than 0 seconds",
        ),
        (
            '[workflows.fan]',
            '[planners.p]\nplanner = "heft2"\n[workflows.fan]',
            "[planners.p]: unknown planner 'heft2'; did you mean",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named(
    run: Run, tmp_path: Path, old: str, new: str, said: str
) -> None:
    """Exit code 2, the file, the place, what was found, and before anything runs."""
    path = write_file(tmp_path, 1)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    outcome = run("experiment", path, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("killed.toml") <= 1
    assert "\n" not in outcome.err.strip().removeprefix("note:").strip()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--engine", "desk"), "unknown engine 'desk'; did you mean 'dask'?"),
        (("--workers", "0"), "--workers: expected a whole number >= 1, got 0"),
        (("--address", "tcp://x:1"), "--address: is of a Dask cluster; it needs --engine dask"),
        (("--resume",), "--resume: needs the folder of the results"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    run: Run, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """Exit code 2 and the option's name."""
    outcome = run("experiment", write_file(tmp_path, 1), *options)
    assert outcome.code == 2
    assert said in outcome.err


def test_a_cluster_that_is_not_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is named."""
    pytest.importorskip("distributed")
    monkeypatch.setattr(engines, "CONNECT_S", 0.5)
    options = ("-o", tmp_path / "out", "--engine", "dask", "--address", "tcp://127.0.0.1:9")
    outcome = run("experiment", write_file(tmp_path, 1), *options)
    assert outcome.code == 2
    assert "--address: 'tcp://127.0.0.1:9' is not reached" in outcome.err


def test_the_shipped_experiment(run: Run) -> None:
    """It is valid and has as many runs as its comment's product."""
    outcome = run("experiment", "example:deadlines", "--json")
    assert outcome.code == 0
    assert outcome.facts["runs"] == 2 * 2 * 3 * 2 * 20
    missing = run("experiment", "example:dedlines")
    assert "unknown example experiment 'example:dedlines'; did you mean 'example:d" in missing.err
