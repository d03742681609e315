"""The command fit: measurements in, a description of chance out that simulate takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from simulator.chance import read_chance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RNG = np.random.default_rng(8)
TASK = np.repeat(np.arange(60), 4)
FILES = {
    "boots.csv": {"boot_s": [*RNG.gamma(4, 10, 190), *[np.nan] * 10]},
    "runs.csv": {"task": TASK, "runtime_s": 100 * RNG.lognormal(0, 0.2, TASK.size)},
    "estimates.csv": {
        "category": TASK,
        "estimate_s": np.full(TASK.size, 50.0),
        "runtime_s": 60 * RNG.lognormal(0, 0.1, TASK.size),
    },
    "lives.csv": {"life_s": RNG.exponential(7200, 300), "interrupted": [1] * 300},
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return files of all four kinds of measurements."""
    for name, columns in FILES.items():
        pd.DataFrame(columns).to_csv(tmp_path / name, index=False)
    return [tmp_path / name for name in FILES]


def test_all_measurements_become_one_description(
    run: Callable[..., Any], files: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "chance.toml"
    outcome = run("fit", *files, "-o", path, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert [row["source"] for row in outcome.facts] == ["boot", "runtime", "estimate_error", "spot"]
    chance = read_chance(path)
    assert chance.boot is not None
    assert chance.boot_failure is not None
    assert chance.runtime is not None
    assert chance.estimate_error is not None
    assert chance.spot is not None
    assert chance.boot.time_s.expected == pytest.approx(40, rel=0.1)
    assert chance.boot_failure.probability == 0.05
    assert chance.runtime.task.expected == pytest.approx(1)
    assert chance.estimate_error.task.expected == pytest.approx(1.2, rel=0.03)
    assert chance.spot.rate_per_hour == pytest.approx(0.5, rel=0.15)


def test_what_was_not_measured_comes_from_the_base_and_is_printed(
    run: Callable[..., Any], files: list[Path], tmp_path: Path
) -> None:
    outcome = run("fit", files[1], "--base", "default")
    assert outcome.code == 0
    path = tmp_path / "printed.toml"
    path.write_text(outcome.out)
    chance, base = read_chance(path), read_chance("default")
    assert chance.boot == base.boot
    assert chance.runtime is not None
    assert base.runtime is not None
    assert chance.runtime.lease == base.runtime.lease
    assert chance.runtime.task != base.runtime.task


def test_simulate_takes_what_fit_wrote(
    run: Callable[..., Any], files: list[Path], tmp_path: Path
) -> None:
    plan, chance = tmp_path / "plan.json", tmp_path / "chance.toml"
    assert run("fit", files[0], "-o", chance).code == 0
    where = ("example:sipht", "--deadline", "3h", "--planner", "list", "-o", plan)
    assert run("plan", *where).code == 0
    outcome = run("simulate", "example:sipht", plan, "--chance", chance, "--runs", 20, "--json")
    assert (outcome.code, outcome.facts["runs"]) == (0, 20)


BAD = {
    "x.csv": ("size,count_of\n1,2\n", "expected columns boot_s; task, runtime_s"),
    "y.csv": ("boot_s\n" + "30\n" * 9 + "-1\n", "row 9, column 'boot_s'"),
    "z.csv": ("boot_s\n", "expected rows"),
    "trace.csv": ("time_s,available\n0,1\n60,\n120,1\n", "hole"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_measurements_are_one_clear_error(
    run: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    text, message = BAD[name]
    (tmp_path / name).write_text(text)
    outcome = run("fit", tmp_path / name)
    assert outcome.code == 2
    assert message in outcome.err
    assert name in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_two_files_of_the_same_source_are_refused(
    run: Callable[..., Any], files: list[Path]
) -> None:
    outcome = run("fit", files[0], files[0])
    assert outcome.code == 2
    assert "join the two" in outcome.err
