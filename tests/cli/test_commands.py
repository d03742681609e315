"""What the commands print and write when all is well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from autoscale.api import make_problem, read_workflow
from autoscale.cli.output import progress
from autoscale.formats.catalog_csv import load_catalog
from autoscale.formats.plan_json import read_plan
from autoscale.optimize.planner import PLANNERS, solve
from autoscale.workloads.families import generate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Run = Callable[..., Outcome]

GOAL = ("example:sipht", "--deadline", "40m", "--planner", "list")


@pytest.fixture
def plan_file(run: Run, tmp_path: Path) -> Path:
    """Return a written plan of a shipped example."""
    path = tmp_path / "plan.json"
    assert run("plan", *GOAL, "-o", path).code == 0
    return path


def test_plan_reports_what_python_finds(run: Run) -> None:
    """The JSON report has the figures of the plan that the Python API makes."""
    facts = run("plan", *GOAL, "--json").facts
    plan = solve(make_problem(read_workflow(GOAL[0]), deadline=GOAL[2]), planner="list")
    assert facts["cost_usd"] == plan.cost_usd
    assert facts["makespan_seconds"] == plan.makespan_s
    assert facts["slack_seconds"] == plan.slack_s
    assert facts["leases"] == plan.n_leases == sum(r["leases"] for r in facts["by_type"])
    assert sum(r["tasks"] for r in facts["by_type"]) == facts["workflow"]["tasks"] == 100
    assert sum(r["cost_usd"] for r in facts["by_type"]) == pytest.approx(plan.cost_usd)
    assert facts["certificate"]["lower_bound"] <= facts["cost_usd"]
    assert facts["certificate"]["gap"] == plan.gap
    assert facts["regions"] == ["us-east-1"]
    assert facts["planner"] == "list"


def test_table_and_json_say_the_same(run: Run) -> None:
    """The table for people shows each type with its leases, the total and what is left out."""
    facts = run("plan", *GOAL, "--json").facts
    outcome = run("plan", *GOAL)
    for row in facts["by_type"]:
        line = next(x for x in outcome.out.splitlines() if row["instance_type"] in x)
        assert f" {row['leases']} " in line
        assert f" {row['tasks']} " in line
    for text in ("total", "40m00s", "no plan costs less than", "not included", "data leaving"):
        assert text in outcome.out
    assert outcome.err.startswith("note: region us-east-1")


def test_what_is_left_out_depends_on_the_plan(run: Run) -> None:
    """Spot interruptions and switched-off transfers are listed where they apply."""
    plain = run("plan", *GOAL, "--json").facts["not_included"]
    other = run("plan", *GOAL, "--json", "--purchase", "spot", "--no-transfers").facts
    added = " ".join(set(other["not_included"]) - set(plain))
    assert "interruptions" in added
    assert "fetch and store" in added
    assert all(row["instance_type"].endswith("@spot") for row in other["by_type"])


def test_options_reach_the_plan(run: Run, tmp_path: Path) -> None:
    """Every option about the offer and the rules is found again in the written plan."""
    path = tmp_path / "plan.json"
    options = ("--catalog", "gcp", "--region", "europe-west4", "--types", "n2-*,c2-*")
    rules = ("--billing", "hour", "--boot", "2m", "--storage-bandwidth", "1e8", "--budget", "50")
    tail = ("--planner", "cheapest", "--seed", "5", "-o", path)
    assert run("plan", "example:sipht", "--deadline", "9h", *options, *rules, *tail).code == 0
    data = json.loads(path.read_text())
    model = data["execution_model"]
    assert model["boot_seconds"] == 120
    assert model["billing"] == {"quantum_seconds": 3600, "minimum_seconds": 3600}
    assert model["storage_bandwidth_bytes_per_second"] == 1e8
    assert data["goal"] == {"deadline_seconds": 32400, "budget_usd": 50}
    assert data["provenance"]["planner"] == "cheapest"
    assert data["provenance"]["seed"] == 5
    assert data["workflow"]["path"] == "example:sipht-100"
    for name, t in data["instance_types"].items():
        assert name.startswith(("n2-", "c2-"))
        assert (t["provider"], t["region"]) == ("gcp", "europe-west4")


def test_a_budget_alone_bounds_the_makespan(run: Run) -> None:
    """With a budget only, time is minimised and the certificate is about time."""
    facts = run("plan", "example:sipht", "--budget", "0.2", "--json").facts
    assert facts["cost_usd"] <= 0.2
    assert facts["certificate"]["objective"] == "makespan"
    assert facts["certificate"]["lower_bound"] <= facts["makespan_seconds"]
    assert "ends before" in run("plan", "example:sipht", "--budget", "0.2").out


def test_a_written_plan_passes_both_judges(run: Run, plan_file: Path) -> None:
    """Check and simulate accept what plan wrote, in words and as JSON."""
    assert run("check", GOAL[0], plan_file).out.startswith("ok: ")
    assert run("check", GOAL[0], plan_file, "--json").facts == {"ok": True, "violations": []}
    outcome = run("simulate", GOAL[0], plan_file)
    assert outcome.code == 0
    assert "reproduces" in outcome.out
    facts = run("simulate", GOAL[0], plan_file, "--json").facts
    assert facts["reproduces"]
    assert facts["simulated"]["cost_usd"] == pytest.approx(facts["planned"]["cost_usd"], abs=1e-6)
    assert set(facts) == {"reproduces", "planned", "simulated", "largest_differences"}


@pytest.mark.parametrize("name", ["plan.json.gz", "plan.parquet", "sub/"])
def test_every_layout_of_a_plan_is_read_by_every_command(
    run: Run, tmp_path: Path, name: str
) -> None:
    """A gzipped plan and folders of Parquet files serve like the plain file."""
    pytest.importorskip("pyarrow")
    path = f"{tmp_path}/{name}"
    assert run("plan", *GOAL, "-o", path).code == 0
    assert run("check", GOAL[0], path).code == 0
    assert run("show", path, "--json").facts["workflow"]["name"] == "sipht-100"


def test_show_finds_the_workflow_of_a_plan(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """A plan is shown with the same facts as when it was made; a moved workflow can be named."""
    made = run("plan", *GOAL, "--json").facts
    shown = run("show", plan_file, "--json").facts
    for facts in (made, shown):
        del facts["planning_seconds"]
    assert shown == made
    data = json.loads(plan_file.read_text())
    data["workflow"]["path"] = "gone.json"
    plan_file.write_text(json.dumps(data))
    lost = run("show", plan_file)
    assert lost.code == 2
    assert "--workflow" in lost.err
    assert run("show", plan_file, "--workflow", GOAL[0]).code == 0


def test_show_reports_the_workflow(run: Run, tmp_path: Path) -> None:
    """The statistics of a hand-made workflow are those counted by hand."""
    (tmp_path / "wf.csv").write_text(
        "id,runtime_s,parents\na,10,\nb,20,a\nc,5,a\nd,1,b;c\n", encoding="utf-8"
    )
    facts = run("show", tmp_path / "wf.csv", "--json").facts
    assert facts["tasks"] == 4
    assert facts["edges"] == 4
    assert facts["levels"] == 3
    assert facts["width"] == 2
    assert facts["runtime_seconds"] == 36
    assert facts["critical_path_seconds"] == 31
    text = run("show", tmp_path / "wf.csv").out
    assert "critical path" in text
    assert "31 s" in text


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_pictures_have_their_kind_and_the_same_bytes(
    run: Run, plan_file: Path, tmp_path: Path, kind: str
) -> None:
    """Each picture begins as its kind does, and drawing again gives the same bytes."""
    magic = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    drawn = []
    for i in range(2):
        gantt, fleet = tmp_path / f"g{i}.{kind}", tmp_path / f"f{i}.{kind}"
        assert run("show", plan_file, "--gantt", gantt, "--fleet", fleet).code == 0
        drawn.append((gantt.read_bytes(), fleet.read_bytes()))
    assert drawn[0] == drawn[1]
    assert drawn[0][0].startswith(magic)
    assert drawn[0][1].startswith(magic)


def test_catalog_filters_and_sorts(run: Run) -> None:
    """Filters keep exactly what a plain search in the table keeps, in the order asked for."""
    facts = run(
        "catalog", "aws", "--region", "us-west-2", "--vcpus", "8", "--memory", "64", "--types",
        "m5*,r5*", "--sort", "price", "--json",
    ).facts  # fmt: skip
    expected = [
        t.name
        for t in load_catalog("aws")
        if t.region == "us-west-2"
        and t.vcpus >= 8
        and t.memory_gib >= 64
        and t.name.startswith(("m5", "r5"))
    ]
    assert sorted(r["instance_type"] for r in facts) == sorted(expected)
    prices = [r["price_usd_per_hour"] for r in facts]
    assert prices == sorted(prices)
    assert all(r["gpus"] > 0 for r in run("catalog", "gcp", "--gpu", "--json").facts)
    assert all(r["spot_usd_per_hour"] for r in run("catalog", "azure", "--spot", "--json").facts)
    few = run("catalog", "aws", "--sort", "work-price", "--limit", "3", "--json").facts
    everything = run("catalog", "aws", "--json").facts
    cheapest = sorted(r["usd_per_work_hour"] for r in everything)[:3]
    assert [r["usd_per_work_hour"] for r in few] == cheapest
    assert "3 of " in run("catalog", "aws", "--limit", "3").out


def test_catalog_lists_the_tables(run: Run) -> None:
    """Without a name the shipped tables are listed with their regions."""
    facts = run("catalog", "--json").facts
    assert {f["catalog"] for f in facts} == {"aws", "azure", "gcp", "ec2-2011"}
    text = run("catalog").out
    for f in facts:
        assert f["catalog"] in text
        assert len(f["regions"]) >= 3 or f["catalog"] == "ec2-2011"


@pytest.mark.parametrize("ending", ["json", "json.gz"])
def test_generate_writes_what_python_generates(run: Run, tmp_path: Path, ending: str) -> None:
    """A generated file reads back as the workflow that the Python API generates."""
    path = tmp_path / f"wf.{ending}"
    facts = run("generate", "montage", "-n", "60", "--seed", "7", "-o", path, "--json").facts
    made, read = generate("montage", 60, seed=7), read_workflow(path)
    assert facts["tasks"] == len(made) == len(read) == 60
    assert read.ids.tolist() == made.ids.tolist()
    assert read.runtime_s.tolist() == made.runtime_s.tolist()


def test_plans_in_python_and_on_disk_agree(plan_file: Path) -> None:
    """The written plan is the one that the Python API makes."""
    workflow = read_workflow(GOAL[0])
    made = solve(make_problem(workflow, deadline=GOAL[2]), planner="list")
    written = read_plan(plan_file, workflow)
    assert written.task_start_s.tolist() == made.task_start_s.tolist()
    assert written.lease_cost_usd.tolist() == made.lease_cost_usd.tolist()


def test_planner_lp_states_a_bound_and_a_gap(run: Run) -> None:
    """The default planner's plan costs at most that of planner list; its bound is no lower."""
    quick = run("plan", *GOAL, "--json").facts
    facts = run("plan", *GOAL[:3], "--time-limit", "2", "--gap", "50%", "--json").facts
    assert facts["planner"] == "lp"
    assert facts["cost_usd"] <= quick["cost_usd"] * (1 + 1e-9)
    stated = facts["certificate"]
    assert stated["lower_bound"] >= quick["certificate"]["lower_bound"] * (1 - 1e-9)
    assert stated["lower_bound"] <= facts["cost_usd"]
    assert stated["gap"] == pytest.approx(facts["cost_usd"] / stated["lower_bound"] - 1)


def test_help_names_every_planner(run: Run) -> None:
    """The help of ``plan`` says where the planners are listed: all of them."""
    text = " ".join(run("plan", "--help").out.replace("│", " ").split())
    assert "`autoscale planners` lists them" in text
    listed = run("planners", "--json").facts
    assert [row["planner"] for row in listed] == list(PLANNERS)


def test_news_is_logged_ever_less_often(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no terminal, news a second apart for a minute gives four lines."""
    clock = iter(range(100))
    monkeypatch.setattr("autoscale.cli.output.time.monotonic", lambda: float(next(clock)))
    with progress("planning") as tell:
        for second in range(1, 61):
            tell(f"{second} s")
    expected = ["planning: 1 s", "planning: 3 s", "planning: 9 s", "planning: 27 s"]
    assert capsys.readouterr().err.splitlines() == expected
