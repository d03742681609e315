"""The commands explain and diff."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autoscale.api import read_workflow
from autoscale.formats.plan_json import read_plan, write_plan
from autoscale.formats.wfformat_writer import write_wfformat
from autoscale.plan.diff import diff_plans
from autoscale.plan.money import money_by_type
from tests.plans import hand_worked_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Run = Callable[..., Outcome]

EXAMPLE = "example:sipht"


@pytest.fixture
def plan_file(run: Run, tmp_path: Path) -> Path:
    """Return a written plan of a shipped example."""
    path = tmp_path / "plan.json"
    assert run("plan", EXAMPLE, "--deadline", "70m", "--planner", "list", "-o", path).code == 0
    return path


@pytest.fixture
def chain_files(tmp_path: Path) -> tuple[Path, Path]:
    """Return the files of the plan worked by hand: workflow and plan."""
    plan = hand_worked_plan()
    workflow, written = tmp_path / "wf.json", tmp_path / "plan.json"
    write_wfformat(plan.problem.workflow, workflow)
    write_plan(plan, written)
    return workflow, written


def test_explain_reports_what_python_finds(run: Run, plan_file: Path) -> None:
    """The JSON has the plan's money, a chain up to its makespan, and what the relaxation says."""
    outcome = run("explain", EXAMPLE, plan_file, "--types", "c7*,m7*", "--json")
    assert outcome.code == 0
    facts = outcome.facts
    plan = read_plan(plan_file, read_workflow(EXAMPLE))
    assert sum(facts["money_usd"].values()) == pytest.approx(plan.cost_usd, rel=1e-9)
    assert [r["instance_type"] for r in facts["by_type"]] == [
        t.instance_type for t in money_by_type(plan)
    ]
    assert facts["critical_chain"][-1]["end"] == plan.makespan_s
    relaxation = facts["relaxation"]
    assert relaxation["lower_bound_usd"] <= plan.cost_usd
    assert [m["extra_seconds"] for m in relaxation["more_time"]] == [420.0, 3600.0]
    used = {r["instance_type"] for r in facts["by_type"]}
    for row in relaxation["runner_ups"]:
        assert row["instance_type"] not in used
        assert row["instance_type"].startswith(("c7", "m7"))
        assert 0 < row["enters_at_usd_per_hour"] <= row["price_usd_per_hour"]


def test_long_names_leave_room_for_the_other_columns(run: Run, tmp_path: Path) -> None:
    """The names of Nextflow's tasks are longer than a terminal is wide."""
    name, plan = "PIPELINE.SUBWORKFLOW." * 5, tmp_path / "plan.json"
    workflow = tmp_path / "wf.csv"
    workflow.write_text(f"id,runtime_s,parents\n{name}ONE_1,60,\n{name}TWO_2,30,{name}ONE_1\n")
    assert run("plan", workflow, "--deadline", "1h", "--planner", "list", "-o", plan).code == 0
    shown = run("explain", workflow, plan, "--no-prices").out
    for text in (" from ", " because ", " seconds", "the lease has booted", "ONE_1 ", "TWO_2 "):
        assert text in shown


def test_explain_without_prices_is_for_people(run: Run, chain_files: tuple[Path, Path]) -> None:
    """Tables show each category, and the chain with its reasons; no relaxation is solved."""
    outcome = run("explain", *chain_files, "--no-prices")
    assert outcome.code == 0
    assert outcome.err == ""
    for text in (
        "chain, 2 tasks: $3.60, 13m20s",
        "12.5%",
        "second not started yet",
        "13m20s in all: boot 1m40s, tasks running 8m20s, held back by the plan 3m20s",
    ):
        assert text in outcome.out
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line.strip()}
    assert rows["duo"].split()[1:] == [
        "1", "$0.150", "$0.100", "$0.100", "$0.450", "$2.800", "$3.600",
    ]  # fmt: skip
    assert "relaxation" not in outcome.out
    assert run("explain", *chain_files, "--no-prices", "--json").facts["relaxation"] is None


def test_explain_of_an_unknown_cloud_says_so(run: Run, chain_files: tuple[Path, Path]) -> None:
    """A plan on machines of no shipped catalogue is explained with its own types, and a note."""
    outcome = run("explain", *chain_files)
    assert outcome.code == 0
    assert "no shipped catalogue is of an unnamed provider" in outcome.err
    assert "1 types on offer" in outcome.out


def test_explain_draws(run: Run, chain_files: tuple[Path, Path], tmp_path: Path) -> None:
    """The picture is a PNG."""
    picture = tmp_path / "money.png"
    assert run("explain", *chain_files, "--no-prices", "--plot", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_plan_that_breaks_the_rules_is_explained_with_a_note(
    run: Run, chain_files: tuple[Path, Path]
) -> None:
    """What is doubtful is said on standard error."""
    workflow, plan = chain_files
    document = json.loads(plan.read_text())
    document["goal"]["deadline_seconds"] = 700.0
    plan.write_text(json.dumps(document))
    outcome = run("explain", workflow, plan, "--no-prices")
    assert outcome.code == 0
    assert "the plan breaks the rules" in outcome.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--plot", "money.txt"), "--plot: money.txt: expected a name that ends in .png"),
        (("--region", "us-est-1"), "us-est-1"),
        (("--catalog", "nowhere.csv"), "nowhere.csv"),
        (("--types", "zz*"), "zz*"),
    ],
)
def test_bad_options_of_explain(
    run: Run, plan_file: Path, options: tuple[str, ...], message: str
) -> None:
    """One line of error and exit code 2."""
    outcome = run("explain", EXAMPLE, plan_file, *options)
    assert outcome.code == 2
    assert outcome.out == ""
    assert message in outcome.err


def test_diff_reports_what_python_finds(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """JSON and tables have the figures of diff_plans; rules that differ are listed."""
    other = tmp_path / "other.json"
    options = ("--deadline", "40m", "--boot", "60", "--planner", "list", "-o", other)
    assert run("plan", EXAMPLE, *options).code == 0
    facts = run("diff", EXAMPLE, plan_file, other, "--json").facts
    workflow = read_workflow(EXAMPLE)
    found = diff_plans(read_plan(plan_file, workflow), read_plan(other, workflow))
    assert facts["figures"] == {
        f.name: {"a": f.a, "b": f.b, "change": f.change} for f in found.figures
    }
    assert facts["tasks"]["other_lease"] == found.other_lease
    assert facts["settings"]["boot"] == {"a": "90 s", "b": "60 s"}
    assert facts["settings"]["deadline"] == {"a": "1h10m", "b": "40m00s"}
    text = run("diff", EXAMPLE, plan_file, other).out
    for part in ("makespan", "for rounding", "another lease", "other rules", "60 s"):
        assert part in text


def test_diff_of_the_same(run: Run, plan_file: Path) -> None:
    """A plan differs in nothing from itself."""
    assert run("diff", EXAMPLE, plan_file, plan_file, "--json").facts["same"]
    assert "the plans are the same" in run("diff", EXAMPLE, plan_file, plan_file).out


def test_diff_of_other_workflows_is_refused(run: Run, chain_files: tuple[Path, Path]) -> None:
    """A plan that is not of the workflow is refused by name."""
    outcome = run("diff", chain_files[0], chain_files[1], chain_files[1])
    assert outcome.code == 0
    other = chain_files[1].with_name("renamed.json")
    other.write_text(chain_files[1].read_text().replace('"second"', '"third"'))
    outcome = run("diff", *chain_files, other)
    assert outcome.code == 2
    assert "renamed.json" in outcome.err
    assert "third" in outcome.err
