"""What is written reads back as the same workflow, and the bytes depend on nothing else."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscale.errors import InputError
from autoscale.formats import wfformat_writer
from autoscale.formats.wfformat import read_wfformat, write_wfformat
from autoscale.formats.workflow_csv import read_workflow_csv, write_workflow_csv
from autoscale.formats.workflows import read_workflow
from autoscale.model.workflow import Workflow, WorkflowBuilder

if TYPE_CHECKING:
    from pathlib import Path

# What the published schema of WfFormat 1.5 asks of the parts that are written.
NAME = {"type": "string", "minLength": 1}
NAMES = {"type": "array", "items": {"type": "string"}}


def required(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def some(items: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "minItems": least, "items": items}


SCHEMA = required(
    name=NAME,
    schemaVersion={"enum": ["1.5"]},
    workflow=required(
        specification=required(
            tasks=some(
                required(
                    name=NAME,
                    id=NAME,
                    parents=NAMES,
                    children=NAMES,
                    inputFiles=NAMES,
                    outputFiles=NAMES,
                )
            ),
            files=some(required(id=NAME, sizeInBytes={"type": "integer", "minimum": 0}), 0),
        ),
        execution=required(
            makespanInSeconds={"type": "number"},
            executedAt=NAME,
            tasks=some(
                {
                    **required(id=NAME, runtimeInSeconds={"type": "number"}),
                    "properties": {
                        "runtimeInSeconds": {"type": "number"},
                        "command": {"properties": {"program": NAME}},
                        "coreCount": {"type": "number", "minimum": 1},
                        "memoryInBytes": {"type": "number"},
                    },
                }
            ),
        ),
    ),
)

# Any text that a workflow may hold; no surrogates, which UTF-8 cannot.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
PLAIN = st.text("abcXYZ019 ,\"'._-/:é", min_size=1, max_size=8).map(str.strip).filter(bool)
BYTES = st.integers(0, 2**50)


@st.composite
def workflows(draw: st.DrawFn, text: st.SearchStrategy[str] = TEXT) -> Workflow:
    ids = draw(st.lists(text, min_size=1, max_size=8, unique=True))
    files = draw(st.dictionaries(text, BYTES, max_size=6))
    some_files = st.lists(st.sampled_from(sorted(files)), unique=True) if files else st.just([])
    builder = WorkflowBuilder(draw(text))
    for i, task_id in enumerate(ids):
        builder.add(
            task_id,
            runtime_s=draw(st.floats(0, 1e9)),
            parents=[p for p in ids[:i] if draw(st.booleans())],
            category=draw(st.one_of(st.sampled_from(ids), text)),
            vcpus=draw(st.integers(1, 512)),
            memory_bytes=draw(BYTES),
            gpus=draw(st.integers(0, 8)),
            inputs={f: files[f] for f in draw(some_files)},
            outputs={f: files[f] for f in draw(some_files)},
        )
    return builder.build()


def tasks_of(workflow: Workflow) -> list[Any]:
    return list(workflow)


def files_of(workflow: Workflow) -> Any:
    files = workflow.files
    columns = (files.size_bytes, files.input_ptr, files.inputs, files.output_ptr, files.outputs)
    return (files.names.tolist(), *(column.tolist() for column in columns))


BOTH_NAMES = pytest.mark.parametrize("ending", ["json", "json.gz"])
REUSING_A_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@BOTH_NAMES
@REUSING_A_FOLDER
@given(workflow=workflows(), chunk=st.integers(1, 4))
def test_wfformat_round_trip(tmp_path: Path, ending: str, workflow: Workflow, chunk: int) -> None:
    path = tmp_path / f"w.{ending}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wfformat_writer, "_CHUNK", chunk)
        write_wfformat(workflow, path)
    again = read_wfformat(path)
    assert tasks_of(again) == tasks_of(workflow)
    assert files_of(again) == files_of(workflow)
    assert again.name == workflow.name
    packed = path.read_bytes()
    jsonschema.validate(
        json.loads(gzip.decompress(packed) if ending.endswith("gz") else packed), SCHEMA
    )


@REUSING_A_FOLDER
@given(workflow=workflows(PLAIN))
def test_csv_round_trip(tmp_path: Path, workflow: Workflow) -> None:
    path = tmp_path / "name.csv"
    write_workflow_csv(workflow, path)
    again = read_workflow_csv(path)
    assert tasks_of(again) == tasks_of(workflow)
    assert again.name == "name"


@BOTH_NAMES
def test_equal_workflows_give_equal_bytes(tmp_path: Path, ending: str) -> None:
    workflow = WorkflowBuilder("w").add("a", runtime_s=1, outputs={"f": 1}).build()
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    write_wfformat(workflow, first)
    write_wfformat(read_workflow(first), second)
    assert first.read_bytes() == second.read_bytes()


def test_real_workflows_round_trip(tmp_path: Path, shared: Path) -> None:
    for file in ("wfformat-1.5/bacass-dirt02-001.json", "../dax/floodplain.xml"):
        workflow = read_workflow(shared / "data" / "workflows" / file)
        write_wfformat(workflow, tmp_path / "w.json")
        again = read_workflow(tmp_path / "w.json")
        assert tasks_of(again) == tasks_of(workflow)
        assert files_of(again) == files_of(workflow)


@pytest.mark.parametrize("task_id", ["a;b", " a"])
def test_csv_refuses_ids_that_it_cannot_hold(tmp_path: Path, task_id: str) -> None:
    workflow = WorkflowBuilder("w").add(task_id, runtime_s=1).build()
    with pytest.raises(InputError, match="cannot hold ids with ';'"):
        write_workflow_csv(workflow, tmp_path / "w.csv")
    assert not any(tmp_path.iterdir())
