"""Bad input gives one clear error that names the file, the place, and what was expected."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from autoscale.errors import InputError
from autoscale.formats.workflows import read_workflow

if TYPE_CHECKING:
    from pathlib import Path


def new_style(tasks: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    runs = [
        {"id": t["id"], **{k: t.pop(k) for k in ("runtimeInSeconds", "coreCount") if k in t}}
        for t in tasks
    ]
    body = {"specification": {"tasks": tasks}, "execution": {"tasks": runs}}
    return {"name": "w", "schemaVersion": "1.5", "workflow": body, **changes}


def old_style(tasks: list[dict[str, Any]], version: str = "1.3") -> dict[str, Any]:
    return {"name": "w", "schemaVersion": version, "workflow": {"tasks": tasks}}


def one(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": "a", "runtimeInSeconds": 1.0, **changes}]


def two(parents_a: list[str], parents_b: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": "a", "runtimeInSeconds": 1.0, "parents": parents_a},
        {"id": "b", "runtimeInSeconds": 1.0, "parents": parents_b},
    ]


JSON_CASES: dict[str, tuple[Any, str]] = {
    "list": ([1, 2], "expected object, got array"),
    "other kind": ({"leases": [], "cost_usd": 1}, "found 'leases', 'cost_usd'"),
    "empty object": ({}, "found nothing"),
    "no version": ({"workflow": {}}, "no 'schemaVersion'; expected one of 0.2, 1.0"),
    "new version": (new_style(one(), schemaVersion="2.0"), "unknown schemaVersion '2.0'"),
    "odd version": (new_style(one(), schemaVersion=None), "unknown schemaVersion None"),
    "no tasks key": (
        {"schemaVersion": "1.5", "workflow": {}},
        "neither 'specification' nor 'tasks' nor 'jobs'",
    ),
    "wrong type": (
        new_style([{"id": 7}]),
        "at workflow.specification.tasks[0].id: expected str, got int",
    ),
    "no id": (
        {"schemaVersion": "1.5", "workflow": {"specification": {"tasks": [{}]}}},
        "at workflow.specification.tasks[0]: object missing required field id",
    ),
    "text runtime": (new_style(one(runtimeInSeconds="fast")), "expected float | null, got str"),
    "empty": (new_style([]), "the workflow has no tasks"),
    "empty old": (old_style([]), "the workflow has no tasks"),
    "nameless old": (old_style([{"runtime": 1.0}]), "task number 0 has neither name nor id"),
    "missing runtime": (
        new_style([{"id": "a"}, {"id": "b"}]),
        "task 'a' (and 1 more): no runtimeInSeconds in workflow.execution.tasks",
    ),
    "missing old runtime": (old_style([{"name": "a"}]), "task 'a': no runtimeInSeconds or runtime"),
    "negative runtime": (
        new_style(one(runtimeInSeconds=-1.0)),
        "task 'a': runtime must be a finite number >= 0, got -1.0",
    ),
    "negative cores": (
        new_style(one(coreCount=-2)),
        "task 'a': vCPUs must be a finite number >= 1 and below 2.15e+09, got -2.0",
    ),
    "too many cores": (new_style(one(coreCount=1e12)), "task 'a': vCPUs must be"),
    "duplicate": (new_style(one() + one()), "task ids must be unique, but 1 occur more than once"),
    "own parent": (new_style(one(parents=["a"])), "task 'a' is its own parent"),
    "cycle": (
        new_style(two(["b"], ["a"])),
        "form a cycle, so none of them can start first: b -> a -> b",
    ),
    "unknown parent": (
        new_style(two(["tas_b"], ["c"])),
        "task 'a' names the parent 'tas_b', which is not a task (and 1 more like it)",
    ),
    "unknown child": (
        new_style([*one(children=["alpha1"]), {"id": "alpha", "runtimeInSeconds": 1.0}]),
        "task 'a' names the child 'alpha1', which is not a task; did you mean 'alpha'?",
    ),
    "unknown old parent": (
        old_style([{"name": "a", "runtime": 1.0, "parents": ["z"]}]),
        "task 'a' names the parent 'z', which is not a task",
    ),
    "huge file": (
        old_style(
            [
                {
                    "name": "a",
                    "runtime": 1.0,
                    "files": [{"name": "f", "link": "input", "size": 1e30}],
                }
            ]
        ),
        "file 'f': expected a size below 2^62 bytes, got 1e+30",
    ),
}


def refusal(path: Path, **options: Any) -> str:
    """Return the error, which names the path once and fits on one line."""
    with pytest.raises(InputError) as caught:
        read_workflow(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("case", JSON_CASES)
def test_bad_json_workflow(tmp_path: Path, case: str) -> None:
    contents, expected = JSON_CASES[case]
    path = tmp_path / "w.json"
    path.write_text(json.dumps(contents))
    assert expected in refusal(path)


TEXT_CASES: dict[str, tuple[str, str, str]] = {
    "nan": ("w.json", '{"schemaVersion": "1.5",\n "workflow": NaN}', "line 2, column 14"),
    "nan hint": ("w.json", '{"a": -Infinity}', "NaN and Infinity are not numbers in JSON"),
    "out of range": (
        "w.json",
        '{"schemaVersion":"1.5","workflow":{"specification":{"tasks":[{"id":"a"}]},'
        '"execution":{"tasks":[{"id":"a","runtimeInSeconds":1e999}]}}}',
        "at workflow.execution.tasks[0].runtimeInSeconds: number out of range",
    ),
    "cut json": ("w.json", '{"workflow": {"tasks": [', "not JSON: it ends too early"),
    "not json": ("w.json", "hello", "not JSON: line 1, column 1"),
    "trailing": ("w.json", "{} {}", "not JSON: line 1, column 5: trailing characters"),
    "deep": ("w.json", '{"workflow":' + "[" * 100_000, "nested too deeply"),
    "unknown": ("w.txt", "hello", "expected WfFormat JSON, Pegasus DAX XML, or CSV"),
    "nothing": ("w.json", " \n", "the file is empty"),
    "not xml": ("w.dax", "hello", "not XML: syntax error: line 1"),
    "cut xml": ("w.xml", "<adag><job", "not XML: "),
    "open xml": ("w.xml", "<adag>", "not XML: no element found"),
    "other xml": ("w.xml", "<html></html>", "expected the root <adag>, found <html>"),
    "empty xml": ("w.xml", "<adag/>", "the workflow has no tasks"),
    "encoding": ("w.xml", "<?xml version='1.0' encoding='nope'?><adag/>", "not XML"),
    "bomb": (
        "w.xml",
        '<!DOCTYPE adag [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
        '<adag><job id="a" runtime="1" name="&b;"/></adag>',
        "declares entities",
    ),
    "external": (
        "w.xml",
        '<!DOCTYPE adag [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
        '<adag><job id="a" runtime="1">&a;</job></adag>',
        "declares entities",
    ),
    "xml runtime": (
        "w.xml",
        '<adag><job id="a"/></adag>',
        "task 'a': no runtime attribute, expected seconds >= 0; a default runtime can be given",
    ),
    "xml nan": (
        "w.xml",
        '<adag><job id="a" runtime="nan"/></adag>',
        "job 'a': runtime: expected a finite number, got 'nan'",
    ),
    "xml negative": (
        "w.xml",
        '<adag><job id="a" runtime="-1"/></adag>',
        "task 'a': runtime must be a finite number >= 0, got -1.0",
    ),
    "xml size": (
        "w.xml",
        '<adag><job id="a" runtime="1"><uses file="f" size="big"/></job></adag>',
        "job 'a': size of file 'f': expected a finite number, got 'big'",
    ),
    "xml unnamed file": (
        "w.xml",
        '<adag><job id="a" runtime="1"><uses link="input"/></job></adag>',
        "job 'a': a <uses> has neither 'file' nor 'name'",
    ),
    "xml no id": ("w.xml", '<adag><job runtime="1"/></adag>', "a <job> has no 'id'"),
    "xml child": (
        "w.xml",
        '<adag><job id="a" runtime="1"/><child ref="b"/></adag>',
        "<child ref='b'> names no job",
    ),
    "xml parent": (
        "w.xml",
        '<adag><job id="a" runtime="1"/><child ref="a"><parent ref="b"/></child></adag>',
        "task 'a' names the parent 'b', which is not a task",
    ),
    "xml cycle": (
        "w.xml",
        '<adag><job id="a" runtime="1"/><job id="b" runtime="1"/>'
        '<child ref="a"><parent ref="b"/></child><child ref="b"><parent ref="a"/></child></adag>',
        "form a cycle",
    ),
    "xml duplicate": (
        "w.xml",
        '<adag><job id="a" runtime="1"/><job id="a" runtime="1"/></adag>',
        "task ids must be unique",
    ),
    "csv column": (
        "w.csv",
        "id,runtime_s,parent\na,1,\n",
        "unknown column 'parent'; did you mean 'parents'?",
    ),
    "csv twice": ("w.csv", "id,runtime_s,id\n", "the column 'id' occurs 2 times"),
    "csv missing": ("w.csv", "id,gpus\na,1\n", "the required column 'runtime_s' is missing"),
    "csv number": (
        "w.csv",
        "id,runtime_s,vcpus\na,1,2\n\nb,1,two\n",
        "row 4, column 'vcpus': expected a number >= 0, got 'two'",
    ),
    "csv nan": ("w.csv", "id,runtime_s\na,NaN\n", "row 2, column 'runtime_s': expected a number"),
    "csv negative": ("w.csv", "id,runtime_s\na,-1\n", "row 2, column 'runtime_s'"),
    "csv infinite": ("w.csv", "id,runtime_s\na,inf\n", "row 2, column 'runtime_s'"),
    "csv cells": ("w.csv", "id,runtime_s\na,1,2\n", "row 2: expected 2 cells as in the header"),
    "csv no id": ("w.csv", "id,runtime_s\n,1\n", "row 2, column 'id': expected an id"),
    "csv quote": ("w.csv", 'id,runtime_s\n"a"b,1\n', "row 2: not CSV: "),
    "csv memory": ("w.csv", "id,runtime_s,memory_gib,memory_bytes\na,1,1,1\n", "not both"),
    "csv empty": ("w.csv", "id,runtime_s\n", "the workflow has no tasks"),
    "csv blank": ("w.csv", "id,runtime_s\na,\n", "task 'a': no 'runtime_s'"),
    "csv parent": (
        "w.csv",
        "id,runtime_s,parents\nalpha,1,\nb,1,alfa\n",
        "task 'b' names the parent 'alfa', which is not a task; did you mean 'alpha'?",
    ),
    "csv unnamed": ("w.txt", "id,runtime\na,1\n", "unknown column 'runtime'; did you mean"),
}


@pytest.mark.parametrize("case", TEXT_CASES)
def test_bad_text(tmp_path: Path, case: str) -> None:
    name, text, expected = TEXT_CASES[case]
    path = tmp_path / name
    path.write_text(text)
    assert expected in refusal(path)


def test_bad_bytes(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(new_style(one())).encode() * 50)
    cases = {
        packed[: len(packed) // 2]: "cut off before its end",
        packed[:12] + b"\xff" * 20 + packed[32:]: "the gzip file is damaged",
        packed + b"x": "the gzip file is damaged",
        gzip.compress(b""): "the file is empty",
        b'{"schemaVersion": "1.5", "workflow": {}, "name": "\xff"}': "the text is not UTF-8",
        b"id,runtime_s\n\xff,1\n": "the text is not UTF-8",
    }
    for number, (data, expected) in enumerate(cases.items()):
        path = tmp_path / f"{number}.json"
        if data.startswith(b"id"):
            path = path.with_suffix(".csv")
        path.write_bytes(data)
        assert expected in refusal(path)


def test_bad_paths(tmp_path: Path) -> None:
    (tmp_path / "montage.json").write_text("{}")
    assert "is a folder" in refusal(tmp_path)
    hint = f"did you mean {tmp_path / 'montage.json'}?"
    assert f"no such file; {hint}" in refusal(tmp_path / "montag.json")
    assert f"the folder {tmp_path / 'x'} does not exist" in refusal(tmp_path / "x" / "y.json")
    assert "cannot be read" in refusal(tmp_path / "a\0b.json")


@pytest.mark.parametrize("default", [-1.0, float("nan"), float("inf")])
def test_bad_default_runtime(tmp_path: Path, default: float) -> None:
    path = tmp_path / "w.csv"
    path.write_text("id,runtime_s\na,\n")
    with pytest.raises(InputError, match="default runtime: expected seconds >= 0, got"):
        read_workflow(path, default_runtime_s=default)
