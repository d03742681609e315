"""plan.json: written to the letter of the format, read back exactly, refused when wrong."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.api import make_problem, read_workflow
from autoscale.errors import InputError
from autoscale.formats.plan_json import plan_document, read_plan, write_plan
from autoscale.formats.wfformat_writer import write_wfformat
from autoscale.model.catalog import Catalog
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from autoscale.optimize.planner import solve
from autoscale.plan.check import check_plan
from autoscale.plan.decode import decode
from tests.problems import random_problem, small_catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.plan.plan import Plan

COLUMNS = (
    "lease_type",
    "lease_start_s",
    "lease_end_s",
    "task_lease",
    "task_start_s",
    "task_end_s",
)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return solve(random_problem(3, 20, 2.0), planner="list")


def assert_same(plan: Plan, again: Plan) -> None:
    """Assert that two plans lease the same types at the same times and place tasks alike."""
    keys = [[p.problem.catalog.names[k] for k in p.lease_type] for p in (plan, again)]
    assert keys[0] == keys[1]
    for column in COLUMNS[1:]:
        np.testing.assert_array_equal(getattr(plan, column), getattr(again, column))
    assert plan.cost_usd == again.cost_usd
    assert plan.certificate == again.certificate
    assert plan.provenance == again.provenance
    for figure in ("deadline_s", "budget_usd", "boot_s", "billing", "transfers"):
        assert getattr(plan.problem, figure) == getattr(again.problem, figure)
    assert plan.problem.storage_bandwidth == again.problem.storage_bandwidth


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_tasks=st.integers(1, 15), ending=st.sampled_from(["", ".gz"]))
def test_a_plan_reads_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n_tasks: int, ending: str
) -> None:
    """Writing and reading loses no bit of any column, whatever the plan."""
    plan = solve(random_problem(seed, n_tasks, 3.0), planner="list")
    path = tmp_path_factory.mktemp("plans") / f"plan.json{ending}"
    write_plan(plan, path)
    again = read_plan(path, plan.problem.workflow)
    assert_same(plan, again)
    assert check_plan(again.problem, again) == ()


def test_the_file_has_the_keys_of_the_format(plan: Plan, tmp_path: Path) -> None:
    """Every key of the format is there and holds what plain arithmetic on the plan gives."""
    write_plan(plan, tmp_path / "plan.json")
    data = json.loads((tmp_path / "plan.json").read_text())
    assert data["schema"] == "autoscale-plan/1"
    assert data["workflow"] == {"name": "random", "path": None, "tasks": 20}
    assert data["goal"] == {"deadline_seconds": plan.problem.deadline_s, "budget_usd": None}
    assert set(data["execution_model"]) == {
        "boot_seconds",
        "billing",
        "transfers",
        "storage_bandwidth_bytes_per_second",
        "reference_speed",
    }
    for figures in data["instance_types"].values():
        assert set(figures) == {
            "provider",
            "region",
            "vcpus",
            "memory_gib",
            "gpus",
            "price_usd_per_hour",
            "speed",
            "network_gbps",
            "purchase",
        }
    leases, rows = data["leases"], data["assignments"]
    assert set(leases["instance_type"]) == set(data["instance_types"])
    assert {len(c) for c in leases.values()} == {plan.n_leases}
    assert sorted(rows["task"]) == sorted(plan.problem.workflow.ids.tolist())
    assert {len(c) for c in rows.values()} == {20}
    assert data["cost_usd"] == pytest.approx(sum(leases["cost_usd"]))
    assert data["makespan_seconds"] == max(rows["end"])
    stated = data["certificate"]
    assert stated["gap"] == pytest.approx(data["cost_usd"] / stated["lower_bound"] - 1)
    assert set(data["provenance"]) == {
        "version",
        "seed",
        "planner",
        "solver",
        "planning_seconds",
    }


def test_spot_and_regions_keep_types_apart(tmp_path: Path) -> None:
    """A name bought in two ways or offered in two regions stays two types in the file."""
    base = small_catalog().types[0]
    spot = replace(base, spot_usd_per_hour=0.02).as_spot()
    assert spot is not None
    offer = Catalog((base, spot, replace(base, region="there", price_usd_per_hour=0.09)))
    builder = WorkflowBuilder("light")
    for i in range(6):
        builder.add(f"t{i}", runtime_s=100 + i)
    problem = Problem(workflow=builder.build(), catalog=offer)
    plan = decode(problem, [0, 1, 2], np.arange(6) % 3, np.arange(6))
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json", problem.workflow)
    kinds = [again.problem.catalog[int(k)] for k in again.lease_type]
    assert [(t.key, t.region, t.price_usd_per_hour) for t in kinds] == [
        (t.key, t.region, t.price_usd_per_hour) for t in (offer[int(k)] for k in plan.lease_type)
    ]
    assert again.cost_usd == plan.cost_usd


def test_a_parquet_folder_holds_the_same_plan(plan: Plan, tmp_path: Path) -> None:
    """A folder of Parquet files reads back exactly, by pandas too, and can be overwritten."""
    pytest.importorskip("pyarrow")
    import pandas as pd

    path = tmp_path / "plan.parquet"
    write_plan(plan, path)
    write_plan(plan, path)
    assert_same(plan, read_plan(path, plan.problem.workflow))
    assert len(pd.read_parquet(path / "assignments.parquet")) == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan.parquet"]


def test_a_foreign_folder_is_not_overwritten(plan: Plan, tmp_path: Path) -> None:
    """A folder that holds anything but a plan is refused and left as it was."""
    pytest.importorskip("pyarrow")
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a plan folder"):
        write_plan(plan, f"{tmp_path}/")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_without_pyarrow_the_message_says_what_to_install(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Parquet layout is optional; its absence is explained, and no folder is left behind."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'autoscale\[parquet\]'"):
        write_plan(plan, tmp_path / "plan.parquet")
    assert not list(tmp_path.iterdir())


def test_given_durations_cannot_be_written(plan: Plan, tmp_path: Path) -> None:
    """A matrix of durations has no place in the format, so it is refused, not dropped."""
    problem = plan.problem.replace(durations_s=plan.problem.duration_s[plan.problem.task_class])
    with pytest.raises(InputError, match="matrix"):
        write_plan(plan.replace(problem=problem), tmp_path / "plan.json")
    assert not list(tmp_path.iterdir())


def drop(*keys: str) -> Callable[[Any], None]:
    """Return an edit that removes a key."""

    def edit(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        del data[keys[-1]]

    return edit


def put(value: Any, *keys: Any) -> Callable[[Any], None]:
    """Return an edit that sets a value."""

    def edit(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return edit


WRONG = {
    "no schema": (drop("schema"), r"key 'schema': expected 'autoscale-plan/1'"),
    "another schema": (put("autoscale-plan/9", "schema"), "key 'schema'.*'autoscale-plan/9'"),
    "no leases": (drop("leases"), "key 'leases' is missing"),
    "leases no object": (put([], "leases"), "key 'leases': expected an object"),
    "no column": (drop("assignments", "end"), "key 'assignments.end' is missing"),
    "column no list": (put(3, "leases", "start"), "key 'leases.start': expected a list, got 3"),
    "unequal columns": (put([0.0], "assignments", "start"), "differ in length: .*start 1"),
    "unknown task": (put("nobody", "assignments", "task", 4), "row 4: 'nobody' is not a task"),
    "task twice": (put("t0", "assignments", "task", 7), "row 7: task 't0' is planned twice"),
    "task a number": (put(7, "assignments", "task", 2), "row 2: 7 is not a task"),
    "no such lease": (put(99, "assignments", "lease", 1), "row 1: expected the index of one"),
    "lease negative": (put(-1, "assignments", "lease", 1), "row 1: expected the index of one"),
    "lease a fraction": (put(0.5, "assignments", "lease", 1), "row 1: .* got 0.5"),
    "start null": (put(None, "assignments", "start", 3), "'assignments.start', row 3.*got None"),
    "end text": (put("noon", "leases", "end", 0), "'leases.end', row 0.*got 'noon'"),
    "unknown type": (put("a.smal", "leases", "instance_type", 0), "row 0.*did you mean 'a.small'"),
    "price 0": (put(0, "instance_types", "a.small", "price_usd_per_hour"), "a.small.*price.*> 0"),
    "no speed": (drop("instance_types", "a.small", "speed"), r"a\.small\.speed' is missing"),
    "vcpus text": (put("2", "instance_types", "a.small", "vcpus"), "whole number, got '2'"),
    "purchase": (put("gift", "instance_types", "a.small", "purchase"), "'on-demand' or 'spot'"),
    "deadline 0": (put(0, "goal", "deadline_seconds"), "deadline: expected a finite number > 0"),
    "no budget": (drop("goal", "budget_usd"), "key 'goal.budget_usd' is missing"),
    "boot negative": (put(-1, "execution_model", "boot_seconds"), "boot: expected"),
    "quantum 0": (put(0, "execution_model", "billing", "quantum_seconds"), "quantum_s must be"),
    "transfers text": (put("yes", "execution_model", "transfers"), "expected true or false"),
    "reference": (put(2.0, "execution_model", "reference_speed"), "expected 1.0, got 2.0"),
    "tasks": (put(21, "workflow", "tasks"), "the plan is for 21 tasks, but .* has 20"),
    "lease cost": (put(9.0, "leases", "cost_usd", 0), "row 0: says 9, but the lease costs"),
    "cost": (put(9.0, "cost_usd"), "key 'cost_usd': says 9, but the plan's columns give"),
    "makespan": (put(9.0, "makespan_seconds"), "key 'makespan_seconds': says 9"),
    "objective": (put("fame", "certificate", "objective"), "expected 'cost' or 'makespan'"),
    "bound negative": (put(-1.0, "certificate", "lower_bound"), "expected a number >= 0"),
    "seed": (put("one", "provenance", "seed"), "key 'provenance.seed': expected a whole number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(plan: Plan, tmp_path: Path, case: str) -> None:
    """Each thing that can be wrong in a plan file is refused, naming file, key and row."""
    edit, message = WRONG[case]
    data = json.loads(json.dumps(plan_document(plan)))
    edit(data)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=message) as caught:
        read_plan(path, plan.problem.workflow)
    assert str(path) in str(caught.value)


def test_a_task_left_out_is_named(plan: Plan, tmp_path: Path) -> None:
    """A plan that forgets a task is refused."""
    data = plan_document(plan)
    gone = data["assignments"]["task"][5]
    for column in data["assignments"].values():
        del column[5]
    (tmp_path / "plan.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=f"1 tasks .* are not planned, first '{gone}'"):
        read_plan(tmp_path / "plan.json", plan.problem.workflow)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(plan: Plan, tmp_path: Path, text: str) -> None:
    """NaN and infinities, which some JSON writers produce, are refused."""
    data = plan_document(plan)
    data["leases"]["start"][0] = "HERE"
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(data).replace('"HERE"', text))
    with pytest.raises(InputError, match=r"plan\.json"):
        read_plan(path, plan.problem.workflow)


def test_without_a_certificate_nothing_is_claimed(plan: Plan, tmp_path: Path) -> None:
    """A plan without a bound says so in the file and reads back without one."""
    bare = plan.replace(certificate=None)
    write_plan(bare, tmp_path / "plan.json")
    stated = json.loads((tmp_path / "plan.json").read_text())["certificate"]
    assert stated["lower_bound"] == 0
    assert stated["gap"] is None
    again = read_plan(tmp_path / "plan.json", plan.problem.workflow)
    assert again.certificate is None
    assert math.isinf(again.gap)


def masked(path: Path) -> bytes:
    """Return a plan's bytes without the seconds that planning took."""
    data = json.loads(path.read_bytes())
    stated = json.dumps(data["provenance"]["planning_seconds"])
    return path.read_bytes().replace(f'"planning_seconds":{stated}'.encode(), b"")


# Planner lp is the same only where neither its time limit nor the clock ends the search.
SAME_BYTES = {
    "list": ("example:sipht", "--deadline", "40m"),
    "cheapest": ("example:sipht", "--deadline", "9h"),
    "fastest": ("example:sipht", "--deadline", "9h"),
    "lp": ("five.csv", "--deadline", "10m", "--types", "c7i*,m7i*", "--gap", "50%"),
}


@pytest.mark.parametrize("planner", SAME_BYTES)
def test_same_input_and_seed_same_bytes(tmp_path: Path, planner: str) -> None:
    """Two processes with different hash seeds write the same plan, planning time left out."""
    (tmp_path / "five.csv").write_text(
        "id,runtime_s,parents\na,100,\nb,200,a\nc,50,a\nd,70,a\ne,10,b;c;d\n", encoding="utf-8"
    )
    tail = ("--planner", planner, "--time-limit", "60", "--seed", "3", "-o")
    code = "import sys; from autoscale.cli import main; sys.exit(main(sys.argv[1:]))"
    root = str(Path(__file__).resolve().parents[2])
    written = []
    for hash_seed in ("0", "1"):
        name = f"{hash_seed}.json"
        done = subprocess.run(
            [sys.executable, "-c", code, "plan", *SAME_BYTES[planner], *tail, name],
            check=False,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": root},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        written.append(masked(tmp_path / name))
    assert written[0] == written[1]
    assert b"planning_seconds" not in written[0]


@pytest.mark.parametrize("catalog", ["aws", "gcp", "azure"])
def test_an_independent_judge_accepts_written_plans(
    shared: Path, tmp_path: Path, catalog: str
) -> None:
    """A checker that shares no code with the project finds no fault in a written plan."""
    workflow = read_workflow("example:1000genome")
    write_wfformat(workflow, tmp_path / "wf.json")
    problem = make_problem(workflow, deadline="12m", catalog=catalog)
    plan = solve(problem, time_limit_s=3, gap=0.5)
    write_plan(plan, tmp_path / "plan.json")
    judge = shared / "tools" / "check_plan.py"
    verdict = subprocess.run(
        [sys.executable, str(judge), str(tmp_path / "wf.json"), str(tmp_path / "plan.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert verdict.stdout.startswith("ok "), verdict.stdout + verdict.stderr
