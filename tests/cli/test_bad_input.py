"""Whatever is wrong gives one clear error, its exit code, and no file."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING

import pytest

from autoscale.api import read_workflow
from autoscale.formats.wfformat_writer import write_wfformat
from autoscale.model.workflow import WorkflowBuilder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Run = Callable[..., Outcome]


QUICK = ("--deadline", "1h", "--planner", "list")


def assert_refused(outcome: Outcome, code: int, *parts: str) -> None:
    """Assert one line of error that holds the parts, and nothing on standard output."""
    assert outcome.code == code, outcome
    assert outcome.out == ""
    errors = [line for line in outcome.err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1, outcome.err
    assert errors[0].startswith("error: ")
    for part in parts:
        assert part in errors[0]


@pytest.fixture
def workflow_file(tmp_path: Path) -> Path:
    """Return a small good workflow in a folder of its own."""
    path = tmp_path / "in" / "wf.json"
    path.parent.mkdir()
    builder = WorkflowBuilder("small").add("a", runtime_s=100, vcpus=2)
    write_wfformat(builder.add("b", runtime_s=50, parents=["a"]).build(), path)
    return path


def spoilt(path: Path, text: str | bytes) -> Path:
    """Return a file beside ``path`` with other contents."""
    other = path.with_name("spoilt.json")
    other.write_bytes(text.encode() if isinstance(text, str) else text)
    return other


FILES: dict[str, tuple[Callable[[Path], str | bytes], tuple[str, ...]]] = {
    "not JSON": (lambda p: p.read_text()[:-40], ("spoilt.json", "JSON")),
    "a picture": (lambda p: b"\x89PNG\r\n", ("spoilt.json", "JSON")),
    "empty": (lambda p: "", ("empty",)),
    "wrong schema": (lambda p: '{"hello": 1}', ("spoilt.json", "workflow")),
    "cut gzip": (lambda p: gzip.compress(p.read_bytes())[:-20], ("gzip", "cut off")),
    "cycle": (
        lambda p: _with_parent(p, "a", "b"),
        ("cycle", "b -> a -> b"),
    ),
    "unknown parent": (lambda p: _with_parent(p, "a", "zz"), ("'zz'",)),
    "negative runtime": (
        lambda p: p.read_text().replace('"runtimeInSeconds":100', '"runtimeInSeconds":-1'),
        ("'a'", "-1"),
    ),
}


def _with_parent(path: Path, child: str, parent: str) -> str:
    data = json.loads(path.read_text())
    tasks = data["workflow"]["specification"]["tasks"]
    next(t for t in tasks if t["id"] == child)["parents"] = [parent]
    for task in tasks:
        task["children"] = []
    return json.dumps(data)


@pytest.mark.parametrize("case", FILES)
def test_bad_workflow_files(run: Run, workflow_file: Path, tmp_path: Path, case: str) -> None:
    """A file that is no good workflow is refused by every command that reads one."""
    make, parts = FILES[case]
    bad = spoilt(workflow_file, make(workflow_file))
    out = tmp_path / "plan.json"
    assert_refused(run("plan", bad, "--deadline", "1h", "-o", out), 2, *parts)
    assert_refused(run("show", bad), 2, *parts)
    assert not out.exists()


def test_missing_files_suggest_near_names(run: Run, workflow_file: Path) -> None:
    """A mistyped path is answered with the nearest name in its folder."""
    wrong = workflow_file.with_name("wff.json")
    assert_refused(run("plan", wrong), 2, "no such file", str(workflow_file))


GOALS = {
    "deadline 0": (("--deadline", "0"), 2, ("deadline", "> 0")),
    "deadline NaN": (("--deadline", "nan"), 2, ("deadline", "'nan'")),
    "deadline negative": (("--deadline=-5m",), 2, ("deadline", "'-5m'")),
    "deadline nonsense": (("--deadline", "soon"), 2, ("deadline", "'soon'")),
    "budget negative": (("--budget", "-5"), 2, ("budget", "'-5'")),
    "budget 0": (("--budget", "0"), 2, ("budget", "> 0")),
    "budget NaN": (("--budget", "nan"), 2, ("budget", "'nan'")),
    "region": (("--region", "us-est-1"), 2, ("'us-est-1'", "did you mean 'us-east-1'")),
    "types": (("--types", "m5.lrge"), 2, ("'m5.lrge'", "did you mean 'm5.large'")),
    "catalogue": (("--catalog", "amazon"), 2, ("'amazon'", "aws")),
    "planner": (("--planner", "lst"), 2, ("'lst'", "did you mean 'list'")),
    "purchase": (("--purchase", "steal"), 2, ("'steal'",)),
    "billing": (("--billing", "day"), 2, ("billing", "'day'")),
    "boot": (("--boot", "x"), 2, ("boot", "'x'")),
    "storage": (("--storage-bandwidth", "0"), 2, ("storage bandwidth", "'0'")),
    "time limit": (("--time-limit", "0"), 2, ("--time-limit", "'0'")),
    "time limit nonsense": (("--time-limit", "x"), 2, ("--time-limit", "'x'")),
    "default runtime": (("--default-runtime", "x"), 2, ("--default-runtime", "'x'")),
    "seed negative": (("--seed", "-1"), 2, ("--seed",)),
    "seed text": (("--seed", "x"), 2, ("--seed", '"x"')),
    "unknown option": (("--dedline", "2h"), 2, ("--dedline", "--deadline")),
    "option without value": (("--deadline",), 2, ("--deadline",)),
    "two workflows": (("second.json",), 2, ("second.json",)),
    "deadline too short": (("--deadline", "10s"), 3, ("critical path", "allow at least")),
    "budget too small": (("--budget", "0.00001"), 3, ("budget", "allow at least")),
    "picture kind": (("--gantt", "plan.txt"), 2, ("--gantt", ".png")),
    "no such folder": (("--gantt", "no/such/plan.png"), 2, ("no/such", "does not exist")),
    "empty path": (("--fleet", ""), 2, ("--fleet",)),
}


@pytest.mark.parametrize("case", GOALS)
def test_bad_options_of_plan(run: Run, workflow_file: Path, tmp_path: Path, case: str) -> None:
    """Each wrong option is named with what was expected; nothing is written."""
    options, code, parts = GOALS[case]
    outcome = run("plan", workflow_file, "-o", tmp_path / "plan.json", *options)
    assert_refused(outcome, code, *parts)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    assert len(list(workflow_file.parent.iterdir())) == 1


def test_the_least_makespan_stated_is_enough(run: Run, workflow_file: Path) -> None:
    """An impossible deadline is answered with the least possible one, which then works."""
    refused = run("plan", workflow_file, "--deadline", "1s")
    least = refused.err.rpartition("(")[2].partition(" s)")[0]
    enough = ("--deadline", float(least) * 1.001, "--planner", "list")
    assert run("plan", workflow_file, *enough).code == 0


def test_a_task_larger_than_any_type(run: Run, tmp_path: Path) -> None:
    """A task that fits nowhere is named, with what it needs and the most there is."""
    builder = WorkflowBuilder("wide").add("huge", runtime_s=1, vcpus=5000)
    write_wfformat(builder.build(), tmp_path / "wf.json")
    outcome = run("plan", tmp_path / "wf.json", "--deadline", "1h")
    assert_refused(outcome, 2, "'huge'", "5000 vCPUs", "fits no instance type")


HEADER = "instance_type,vcpus,memory_gib,price_usd_per_hour\n"
CATALOGUES = {
    "price 0": (HEADER + "a,2,4,0\n", "price_usd_per_hour"),
    "price NaN": (HEADER + "a,2,4,nan\n", "price_usd_per_hour"),
    "price text": (HEADER + "a,2,4,cheap\n", "'cheap'"),
    "price negative": (HEADER + "a,2,4,-1\n", "'-1'"),
    "no column": ("instance_type,vcpus\na,2\n", "missing"),
    "no rows": (HEADER, "no rows"),
    "twice": (HEADER + "a,2,4,1\na,2,4,1\n", "twice"),
}


@pytest.mark.parametrize("case", CATALOGUES)
def test_bad_catalogues(run: Run, workflow_file: Path, tmp_path: Path, case: str) -> None:
    """A price list with a bad figure is refused, naming file and place."""
    text, part = CATALOGUES[case]
    prices = tmp_path / "prices.csv"
    prices.write_text(text)
    assert_refused(run("plan", workflow_file, "--catalog", prices), 2, "prices.csv", part)
    assert_refused(run("catalog", prices), 2, "prices.csv", part)


@pytest.mark.parametrize("option", ["-o", "--gantt", "--fleet"])
def test_unwritable_outputs_are_refused_before_planning(
    run: Run, workflow_file: Path, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing folder, a folder as file and a file as folder are seen before any planning."""

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("planned though the output cannot be written")

    monkeypatch.setattr("autoscale.optimize.planner.solve", never)
    name = "x.json" if option == "-o" else "x.png"
    (tmp_path / name).mkdir()
    for path in (tmp_path / "missing" / name, workflow_file / name, tmp_path / name):
        outcome = run("plan", workflow_file, "--deadline", "1h", option, path)
        assert_refused(outcome, 2, str(path))


def test_a_folder_without_permission_is_refused(
    run: Run, workflow_file: Path, tmp_path: Path
) -> None:
    """A folder in which nothing may be made is refused."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write everywhere")
    outcome = run("plan", workflow_file, "--deadline", "1h", "-o", locked / "plan.json")
    assert_refused(outcome, 2, "cannot be written")


OTHERS = {
    "no such command": (("pln",), 2, ("pln", "plan")),
    "no workflow": (("plan",), 2, ("WORKFLOW",)),
    "example": (("plan", "example:nothing"), 2, ("'nothing'",)),
    "family": (("generate", "montag", "-o", "x.json"), 2, ("'montag'", "'montage'")),
    "size 0": (("generate", "montage", "-n", "0", "-o", "x.json"), 2, ("got 0",)),
    "size text": (("generate", "montage", "-n", "many", "-o", "x.json"), 2, ('"many"',)),
    "kind": (("generate", "montage", "-o", "x.yaml"), 2, ("x.yaml", ".json")),
    "no output": (("generate", "montage"), 2, ("--output",)),
    "sort": (("catalog", "aws", "--sort", "luck"), 2, ("luck", "price")),
    "limit": (("catalog", "aws", "--limit", "0"), 2, ("--limit",)),
    "nothing left": (("catalog", "aws", "--vcpus", "9999"), 2, ("no instance type is left",)),
    "gantt of a workflow": (("show", "example:sipht", "--gantt", "x.png"), 2, ("need a plan",)),
}


@pytest.mark.parametrize("case", OTHERS)
def test_bad_arguments_of_other_commands(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Each wrong argument is named; nothing is written."""
    monkeypatch.chdir(tmp_path)
    arguments, code, parts = OTHERS[case]
    assert_refused(run(*arguments), code, *parts)
    assert not list(tmp_path.iterdir())


def test_a_plan_of_another_workflow(run: Run, workflow_file: Path, tmp_path: Path) -> None:
    """A plan and a workflow that do not belong together are refused by check and simulate."""
    plan = tmp_path / "plan.json"
    assert run("plan", workflow_file, *QUICK, "-o", plan).code == 0
    for command in ("check", "simulate"):
        assert_refused(run(command, "example:sipht", plan), 2, "2 tasks", "has 100")
        assert_refused(run(command, workflow_file, workflow_file), 2, "schema")
        assert_refused(run(command, workflow_file, tmp_path / "none.json"), 2, "no such file")


def test_a_plan_that_breaks_a_rule(run: Run, workflow_file: Path, tmp_path: Path) -> None:
    """A task moved before its lease has booted is found by check and by simulate: exit code 3."""
    plan = tmp_path / "plan.json"
    run("plan", workflow_file, *QUICK, "-o", plan)
    data = json.loads(plan.read_text())
    rows = data["assignments"]
    at = rows["task"].index("a")
    for column in ("start", "end"):
        rows[column][at] -= 60
    plan.write_text(json.dumps(data))
    checked = run("check", workflow_file, plan, "--json")
    assert checked.code == 3
    assert not checked.facts["ok"]
    assert "before its lease has booted" in " ".join(checked.facts["violations"])
    assert "violations" in run("check", workflow_file, plan).out
    simulated = run("simulate", workflow_file, plan)
    assert simulated.code == 3
    assert "NOT" in simulated.out


def test_a_late_failure_to_write_is_partly_done(
    run: Run, workflow_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the plan is written but the picture fails after all, the exit code is 5."""
    from autoscale.errors import InputError

    def full(*args: object) -> None:
        raise InputError("plan.png: cannot be written: No space left on device")

    monkeypatch.setattr("autoscale.cli.planning.save_picture", full)
    plan = tmp_path / "plan.json"
    outcome = run("plan", workflow_file, *QUICK, "-o", plan, "--gantt", tmp_path / "plan.png")
    assert outcome.code == 5
    assert "No space left" in outcome.err
    assert "total" in outcome.out
    assert run("check", workflow_file, plan).code == 0


def test_doubtful_data_are_one_note_a_kind(run: Run, tmp_path: Path) -> None:
    """A workflow with doubtful data is planned, with a note on standard error only."""
    builder = WorkflowBuilder("doubtful")
    for i in range(5):
        builder.add(f"t{i}", runtime_s=1, outputs={f"f{i}": 5})
    path = tmp_path / "wf.json"
    write_wfformat(builder.build(), path)
    path.write_text(path.read_text().replace('"sizeInBytes":5', '"sizeInBytes":-5'))
    assert len(read_workflow(path).notes) == 1
    outcome = run("show", path, "--json")
    assert outcome.code == 0
    assert outcome.err.startswith("note: ")
    assert len(outcome.err.splitlines()) == 1
    assert len(outcome.facts["notes"]) == 1
