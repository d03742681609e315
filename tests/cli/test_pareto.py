"""The command ``pareto`` writes the same front as a table, as plans and as a picture."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

GOAL = ("example:sipht", "--types", "c7i*,m7i*", "--points", "4", "--time-limit", "3")


def test_everything_it_writes_agrees(run: Run, tmp_path: Path) -> None:
    """Table, JSON and plans hold the same figures; the plans pass the checker."""
    table, picture, folder = tmp_path / "front.csv", tmp_path / "front.png", tmp_path / "plans"
    outcome = run("pareto", *GOAL, "--json", "-o", table, "--plot", picture, "--plans", folder)
    assert outcome.code == 0
    points = outcome.facts["points"]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [float(row["cost_usd"]) for row in rows] == [p["cost_usd"] for p in points]
    assert picture.read_bytes().startswith(b"\x89PNG")
    plans = sorted(folder.iterdir())
    assert len(plans) == len(points) >= 1
    for plan in plans:
        assert run("check", GOAL[0], plan).code == 0


def test_the_front_ends_where_it_is_told(run: Run) -> None:
    """No plan ends after --max-deadline."""
    facts = run("pareto", *GOAL, "--max-deadline", "2h", "--json").facts
    assert max(p["makespan_seconds"] for p in facts["points"]) <= 7200 + 1e-3
    assert facts["lower_bounds"][-1]["deadline_seconds"] == 7200


REFUSED = {
    "points": (("--points", "1"), 2, "--points"),
    "max deadline": (("--max-deadline", "1s"), 3, "critical path"),
    "nonsense": (("--max-deadline", "soon"), 2, "'soon'"),
    "table": (("-o", "front.txt"), 2, "--output"),
    "plot": (("--plot", "front.txt"), 2, "--plot"),
    "time limit": (("--time-limit", "0"), 2, "--time-limit"),
    "seed": (("--seed", "-1"), 2, "--seed"),
    "plans": (("--plans", ""), 2, "--plans"),
    "plans nowhere": (("--plans", "no/such/folder"), 2, "does not exist"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options(run: Run, case: str) -> None:
    """Each is named before any work is done."""
    options, code, part = REFUSED[case]
    outcome = run("pareto", "example:sipht", *options)
    assert outcome.code == code
    assert part in outcome.err
    assert outcome.out == ""


def test_plan_without_a_goal_points_to_the_front(run: Run) -> None:
    """Neither deadline nor budget: the cheapest plan, and where speed is priced."""
    outcome = run("plan", "example:sipht", "--time-limit", "1")
    assert outcome.code == 0
    assert "autoscale pareto" in outcome.err
