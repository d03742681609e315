"""The command ``compare`` shows planners side by side, the same in table, file and picture."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

import pytest

from autoscale.optimize.planner import PLANNERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

SMALL = ("example:sipht", "--types", "c7i*,m7i*", "--time-limit", "2")
GOAL = (*SMALL, "--deadline", "2h", "--planners", "list,cheapest,heft,ic-pcp,fastest")


def test_the_figures_are_those_of_plan(run: Run, tmp_path: Path) -> None:
    """Cost and makespan of each row are what ``plan`` makes; the bound holds for every row."""
    table, picture = tmp_path / "all.csv", tmp_path / "all.png"
    outcome = run("compare", *GOAL, "--json", "--csv", table, "--plot", picture)
    assert outcome.code == 0
    rows = outcome.facts["planners"]
    assert sorted(row["planner"] for row in rows) == sorted(GOAL[-1].split(","))
    bound = outcome.facts["certificate"]["lower_bound"]
    found = [row for row in rows if row["found"]]
    assert [row["cost_usd"] for row in found] == sorted(row["cost_usd"] for row in found)
    for row in found:
        plan = run("plan", *SMALL, "--deadline", "2h", "--planner", row["planner"], "--json").facts
        assert row["cost_usd"] == plan["cost_usd"]
        assert row["makespan_seconds"] == plan["makespan_seconds"] <= 7200 + 1e-6
        assert plan["certificate"]["lower_bound"] <= bound <= row["cost_usd"]
        assert row["gap"] == pytest.approx(row["cost_usd"] / bound - 1)
    written = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["planner"] for row in written] == [row["planner"] for row in rows]
    assert [float(row["cost_usd"]) for row in written if row["found"] == "True"] == [
        row["cost_usd"] for row in found
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_within_a_budget_makespans_are_compared(run: Run) -> None:
    """The bound is about time, the quickest plan is first, and every plan is within the budget."""
    outcome = run("compare", *SMALL, "--budget", "1", "--planners", "list,heft", "--json")
    facts = outcome.facts
    assert facts["certificate"]["objective"] == "makespan"
    times = [row["makespan_seconds"] for row in facts["planners"]]
    assert times == sorted(times)
    assert all(row["cost_usd"] <= 1 for row in facts["planners"])
    assert min(times) >= facts["certificate"]["lower_bound"]


def test_a_planner_without_a_plan_says_why(run: Run) -> None:
    """One machine is too slow for the deadline: a row without figures, its reason, exit code 3."""
    goal = (*SMALL, "--deadline", "1h15m")
    outcome = run("compare", *goal, "--planners", "cheapest")
    assert outcome.code == 3
    assert "is missed" in outcome.out
    facts = run("compare", *goal, "--planners", "cheapest,fastest", "--json").facts
    late = next(row for row in facts["planners"] if row["planner"] == "cheapest")
    assert late["cost_usd"] is None
    assert "is missed" in late["reason"]
    assert facts["planners"][0]["found"]


def test_a_picture_of_nothing_is_not_written(run: Run, tmp_path: Path) -> None:
    """Where no planner found a plan the table is written, the picture is refused: partly done."""
    table, picture = tmp_path / "none.csv", tmp_path / "none.png"
    goal = (*SMALL, "--deadline", "1h15m", "--planners", "cheapest")
    outcome = run("compare", *goal, "--csv", table, "--plot", picture)
    assert outcome.code == 5
    assert table.exists()
    assert not picture.exists()
    assert "nothing to draw" in outcome.err


def test_all_is_every_planner(run: Run) -> None:
    """``--planners all`` leaves none out; each has a plan in time or a reason."""
    rows = run(
        "compare", "example:sipht", "--types", "c7i.large,c7i.2xlarge", "--deadline", "3h",
        "--time-limit", "0.2", "--json",
    ).facts["planners"]  # fmt: skip
    assert sorted(row["planner"] for row in rows) == sorted(PLANNERS)
    for row in rows:
        assert row["reason"] or math.isfinite(row["cost_usd"])
        assert bool(row["reason"]) != row["found"]


REFUSED = {
    "unknown": (("--planners", "hefty"), 2, "did you mean 'heft'"),
    "none": (("--planners", " , "), 2, "--planners"),
    "table": (("--csv", "all.txt"), 2, "--csv"),
    "plot": (("--plot", "all.txt"), 2, "--plot"),
    "time limit": (("--time-limit", "0"), 2, "--time-limit"),
    "seed": (("--seed", "-1"), 2, "--seed"),
    "impossible": (("--deadline", "1s"), 3, "critical path"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options(run: Run, case: str) -> None:
    """Each is named before any work is done."""
    options, code, part = REFUSED[case]
    outcome = run("compare", "example:sipht", *options)
    assert outcome.code == code
    assert part in outcome.err
    assert outcome.out == ""
