"""Quirks of real files, each in a few lines: what is read, and what is noted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from autoscale.formats.workflows import read_workflow
from autoscale.units import GIB

if TYPE_CHECKING:
    from pathlib import Path

    from autoscale.model.workflow import Workflow


def read_json(tmp_path: Path, contents: dict[str, Any], **options: Any) -> Workflow:
    path = tmp_path / "w.json"
    path.write_text(json.dumps(contents))
    return read_workflow(path, **options)


def read_text(tmp_path: Path, name: str, text: str, **options: Any) -> Workflow:
    path = tmp_path / name
    path.write_text(text)
    return read_workflow(path, **options)


def edges(workflow: Workflow) -> set[tuple[str, str]]:
    return {(parent, task.id) for task in workflow for parent in task.parents}


def old(tasks: list[dict[str, Any]], key: str = "tasks", version: str = "1.3") -> dict[str, Any]:
    return {"name": "w", "schemaVersion": version, "workflow": {key: tasks}}


def file(name: str, link: str, size: float | None = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "link": link, "size": size, **more}


def test_names_of_old_tasks_are_ids_where_unique(tmp_path: Path) -> None:
    tasks = [
        {"name": "split_ID01", "id": "ID01", "runtime": 1.5, "memory": 2000},
        {"name": "work_ID02", "id": "ID02", "runtime": 2, "cores": 1.2, "parents": ["split_ID01"]},
        {"name": "work_ID03", "id": "ID03", "runtime": 0, "cores": 0, "parents": ["ID01"]},
    ]
    workflow = read_json(tmp_path, old(tasks, "jobs", "1.2"))
    assert edges(workflow) == {("split_ID01", "work_ID02"), ("split_ID01", "work_ID03")}
    assert workflow.categories == ("split", "work")
    assert workflow.runtime_s.tolist() == [1.5, 2, 0]
    assert workflow.vcpus.tolist() == [1, 2, 1]
    assert workflow.memory_bytes.tolist() == [2_000_000, 0, 0]
    assert workflow.notes == ()


def test_repeated_names_get_their_number_and_edges_come_from_files(tmp_path: Path) -> None:
    tasks = [
        {
            "name": "A",
            "id": "1",
            "runtimeInSeconds": 1.0,
            "files": [file("x", "output", path="/one/")],
        },
        {
            "name": "A",
            "id": 2,
            "runtimeInSeconds": 1.0,
            "files": [file("x", "output", path="/two")],
        },
        {
            "name": "B",
            "id": "3",
            "runtimeInSeconds": 1.0,
            "files": [
                file("x", "input", path="/two/"),
                file("y", "input"),
                file("y", "output"),
            ],
        },
    ]
    workflow = read_json(tmp_path, old(tasks, version="1.4"))
    assert edges(workflow) == {("A_2", "B_3")}
    assert sorted(workflow.files.names.tolist()) == ["/one/x", "/two/x", "y"]
    assert workflow.categories == ("A", "B")
    assert workflow.notes == (
        "no edges declared: they were rebuilt from the files that tasks write and read",
    )


def test_sizes_and_doubtful_files_of_old_versions(tmp_path: Path) -> None:
    tasks = [
        {"name": "clean", "type": "auxiliary", "runtime": 0},
        {
            "name": "a",
            "runtime": 1,
            "parents": ["clean"],
            "files": [file("f", "output", 7), file("several", "output", 1)],
        },
        {
            "name": "b",
            "runtime": 1,
            "parents": ["a"],
            "files": [
                file("f", "input", 9),
                file("only read", "input", 3),
                file("several", "output", 2),
            ],
        },
        {
            "name": "c",
            "runtime": 1,
            "parents": ["clean"],
            "files": [
                file("f", "input", 0),
                file("only read", "input", 4),
                file("none", "input", None),
            ],
        },
    ]
    workflow = read_json(tmp_path, old(tasks, "jobs", "0.2"))
    sizes = dict(zip(workflow.files.names.tolist(), workflow.files.size_bytes, strict=True))
    assert sizes == {"f": 7, "only read": 4, "none": 0, "several": 2}
    assert workflow.task("c").in_bytes == 11
    assert workflow.notes == (
        "1 task of staging and clean-up (not of type compute): planned like the others",
        "1 file without a size: 0 bytes assumed",
        "3 files with differing sizes: the producer's counts, else the largest",
        "1 file written by several tasks: only the declared edges order their readers",
        "1 read of a file that the declared edges do not put after the task that writes it: "
        "the edges are trusted",
    )


def test_new_version_takes_edges_of_both_lists_and_notes_what_disagrees(tmp_path: Path) -> None:
    contents = {
        "schemaVersion": 1.5,
        "workflow": {
            "specification": {
                "tasks": [
                    {"id": "a", "name": "A", "children": ["b", "c"], "outputFiles": ["f", "f"]},
                    {"id": "b", "name": "B", "parents": ["a", "a"], "inputFiles": ["f", "g"]},
                    {"id": "c", "parents": None, "inputFiles": None},
                ],
                "files": [{"id": "f", "sizeInBytes": 5}, {"id": "g", "sizeInBytes": -5}],
            },
            "execution": {
                "tasks": [
                    {"id": "a", "runtimeInSeconds": 9},
                    {"id": "a", "runtimeInSeconds": 1, "memoryInBytes": 3, "gpuCount": 1},
                    {"id": "b", "runtimeInSeconds": 2, "coreCount": 1.5},
                    {"id": "z", "runtimeInSeconds": 2},
                ]
            },
        },
    }
    workflow = read_json(tmp_path, contents, default_runtime_s=7)
    assert workflow.name == "w"
    assert workflow.path == str(tmp_path / "w.json")
    assert edges(workflow) == {("a", "b"), ("a", "c")}
    assert workflow.runtime_s.tolist() == [1, 2, 7]
    assert workflow.categories == ("A", "B", "c")
    first, second, _ = workflow
    assert (first.memory_bytes, first.gpus, first.out_bytes) == (3, 1, 5)
    assert (second.vcpus, second.in_bytes) == (2, 5)
    assert workflow.notes == (
        "1 execution record of tasks that the specification does not have: left out",
        "1 task with several execution records: the last counts",
        "1 edge declared by only one of its two tasks: they count",
        "1 file with a negative size: 0 bytes assumed",
        "1 task without a runtime: 7 s assumed",
    )


@pytest.mark.parametrize(
    ("name", "program", "category"),
    [
        ("stage", "cp", "stage"),
        ("t_ID0012", "cp", "cp"),
        ("t_ID0012", None, "t"),
        ("t_1_2", "set -e\necho hello", "t"),
        ("007", "", "007"),
    ],
)
def test_category_is_the_program(
    tmp_path: Path, name: str, program: str | None, category: str
) -> None:
    task_id = name if name != "stage" else "stage_1"
    run = {"id": task_id, "runtimeInSeconds": 1, "command": {"program": program}}
    body = {
        "specification": {"tasks": [{"id": task_id, "name": name}]},
        "execution": {"tasks": [run]},
    }
    workflow = read_json(tmp_path, {"schemaVersion": "1.6", "workflow": body})
    assert workflow.categories == (category,)


DAX_3 = """\
<?xml version="1.0"?>
<adag xmlns="http://pegasus.isi.edu/schema/DAX" version="3.6" name="test">
  <file name="in"><pfn url="file:///in" site="local"/></file>
  <job id="j1" namespace="n" name="first" version="4.0">
    <argument>-i <file name="in"/></argument>
    <profile namespace="pegasus" key="runtime">12.5</profile>
    <profile namespace="pegasus" key="cores">3.5</profile>
    <profile namespace="pegasus" key="memory">2048</profile>
    <profile namespace="pegasus" key="gpus">1</profile>
    <profile namespace="condor" key="runtime">99</profile>
    <uses name="in" link="input" size="10"/>
    <uses name="mid" link="output" size="20"/>
    <uses name="log" link="inout"/>
    <uses name="tool" link="none" size="5"/>
  </job>
  <dax id="j2" file="inner.dax"><uses name="mid" link="input" size="30"/></dax>
  <child ref="j2"><parent ref="j1" edge-label="x"/></child>
</adag>
"""


@pytest.mark.parametrize("namespace", [' xmlns="http://pegasus.isi.edu/schema/DAX"', ""])
def test_dax_3_with_profiles(tmp_path: Path, namespace: str) -> None:
    text = DAX_3.replace(' xmlns="http://pegasus.isi.edu/schema/DAX"', namespace)
    workflow = read_text(tmp_path, "inner-out.dax", text, default_runtime_s=4)
    first, second = workflow
    assert workflow.name == "inner-out"
    assert (first.id, first.category, first.runtime_s, first.vcpus) == ("j1", "first", 12.5, 4)
    assert (first.memory_bytes, first.gpus) == (2 * GIB, 1)
    assert (first.in_bytes, first.out_bytes) == (10, 20)
    assert (second.category, second.runtime_s, second.parents) == ("inner.dax", 4, ("j1",))
    assert second.in_bytes == 20
    assert workflow.notes == (
        "2 files without a size: 0 bytes assumed",
        "1 file with differing sizes: the producer's counts, else the largest",
        "1 task without a runtime: 4 s assumed",
    )


def test_dax_overflow_makes_sizes_and_runtime_zero(tmp_path: Path) -> None:
    text = (
        '<adag name="w"><job id="a" runtime="-2" cores="8">'
        '<uses file="f" link="output" size="-9"/></job></adag>'
    )
    workflow = read_text(tmp_path, "w.xml", text)
    assert (workflow.name, workflow.vcpus.tolist()) == ("w", [8])
    assert (workflow.runtime_s.tolist(), workflow.out_bytes.tolist()) == ([0], [0])
    assert workflow.notes == (
        "1 task with a negative runtime as its file sizes overflowed: 0 s assumed",
        "1 file with a negative size: 0 bytes assumed",
    )


def test_csv_table(tmp_path: Path) -> None:
    text = (
        "\ufeffparents, id,runtime_s,category,vcpus,memory_gib,gpus,in_bytes,out_bytes\r\n"
        ',"first, one",60,,,,,,\r\n'
        "\r\n"
        '"first, one; first, one",b,1e2,work,1.5,0.5,1,10,20\r\n'
    )
    first, second = read_text(tmp_path, "table.csv", text)
    assert (first.id, first.category, first.vcpus, first.memory_bytes) == (
        "first, one",
        "first, one",
        1,
        0,
    )
    assert (second.runtime_s, second.vcpus, second.memory_bytes) == (100, 2, GIB // 2)
    assert (second.gpus, second.in_bytes, second.out_bytes) == (1, 10, 20)
    assert second.parents == ("first, one",)


@pytest.mark.parametrize(
    "text",
    [
        '\ufeff\n{"schemaVersion": "1.3", "workflow": {"tasks": [{"name": "a", "runtime": 1}]}}',
        '<adag><job id="a" runtime="1"/></adag>',
        "runtime_s,id\n1,a\n",
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.xml", "a.csv", "a"])
def test_contents_decide_the_format(tmp_path: Path, text: str, name: str) -> None:
    workflow = read_text(tmp_path, name, text)
    assert workflow.ids.tolist() == ["a"]
    assert workflow.path == str(tmp_path / name)
