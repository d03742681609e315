"""WfFormat, the JSON of the WfCommons project: versions 0.2 and 1.0 to 1.6.

Since 1.5 a file has ``workflow.specification`` (tasks and files) and ``workflow.execution``
(runtimes, cores, memory). Before, everything was in ``workflow.jobs`` or ``workflow.tasks``:

- parents name tasks by ``name``; where names repeat (traces of Nextflow) the id that 1.5 gives to
  the same task, ``name_id``, is used, and edges that are not declared are rebuilt from the files,
  which path and name identify together. So one execution is the same workflow in every version.
- ``memory`` is in units of 1000 bytes, which is how the files that carry both it and
  ``memoryInBytes`` convert it.

Reference: T. Coleman et al., "WfCommons: a framework for enabling scientific workflow research
and development", Future Generation Computer Systems 128 (2022); schema in the repository
wfcommons/WfFormat.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np

from autoscale.errors import InputError
from autoscale.formats.draft import (
    Draft,
    Uses,
    collector_paused,
    counted,
    file_edges,
    flattened,
    known_pairs,
    numbered,
    optional_floats,
    repeated,
)
from autoscale.formats.files import PathLike, read_bytes
from autoscale.formats.wfformat_writer import write_wfformat
from autoscale.model.arrays import distinct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autoscale.model.arrays import IntArray
    from autoscale.model.workflow import Workflow

__all__ = ["VERSIONS", "parse_wfformat", "read_wfformat", "write_wfformat"]

VERSIONS = ("0.2", "1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6")

_T = TypeVar("_T")


class _Command(msgspec.Struct, gc=False):
    program: str | None = None


class _Task(msgspec.Struct, rename="camel", gc=False):
    id: str
    name: str | None = None
    parents: list[str] | None = None
    children: list[str] | None = None
    input_files: list[str] | None = None
    output_files: list[str] | None = None


class _File(msgspec.Struct, rename="camel", gc=False):
    id: str
    size_in_bytes: float | None = None


class _Specification(msgspec.Struct):
    tasks: list[_Task]
    files: list[_File] | None = None


class _Run(msgspec.Struct, rename="camel", gc=False):
    id: str
    runtime_in_seconds: float | None = None
    core_count: float | None = None
    memory_in_bytes: float | None = None
    gpu_count: float | None = None
    command: _Command | None = None


class _Execution(msgspec.Struct):
    tasks: list[_Run] | None = None


class _OldFile(msgspec.Struct, rename="camel", gc=False):
    name: str
    link: str | None = None
    path: str | None = None
    size: float | None = None
    size_in_bytes: float | None = None


class _OldTask(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    id: str | int | None = None
    category: str | None = None
    type: str | None = None
    parents: list[str] | None = None
    children: list[str] | None = None
    files: list[_OldFile] | None = None
    runtime: float | None = None
    runtime_in_seconds: float | None = None
    cores: float | None = None
    memory: float | None = None
    memory_in_bytes: float | None = None
    command: _Command | None = None


class _Body(msgspec.Struct):
    specification: _Specification | None = None
    execution: _Execution | None = None
    tasks: list[_OldTask] | None = None
    jobs: list[_OldTask] | None = None


class _Document(msgspec.Struct):
    workflow: _Body
    name: str | None = None


def read_wfformat(path: PathLike, *, default_runtime_s: float | None = None) -> Workflow:
    """Read a workflow from a WfFormat file, plain or gzipped.

    Parameters
    ----------
    path
        The file.
    default_runtime_s
        Runtime in seconds of tasks that state none; None makes that an error.

    Raises
    ------
    InputError
        The file cannot be read, is not WfFormat, or describes no valid workflow.
    """
    return parse_wfformat(read_bytes(path), str(path), default_runtime_s=default_runtime_s)


def parse_wfformat(data: bytes, where: str, *, default_runtime_s: float | None = None) -> Workflow:
    """Return the workflow that the JSON text describes; ``where`` names it in messages."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    _check_header(data, where)
    with collector_paused():
        draft = _parsed(data, where)
        return draft.build(default_runtime_s)


def _parsed(data: bytes, where: str) -> Draft:
    document = _decode(data, _Document, where)
    body = document.workflow
    name = document.name or Path(where).name.split(".json")[0]
    if body.specification is not None:
        return _draft(name, body.specification, body.execution, where)
    tasks = body.tasks if body.tasks is not None else body.jobs
    if tasks is None:
        raise InputError(
            f"{where}: not a WfFormat workflow: 'workflow' has neither 'specification' "
            "nor 'tasks' nor 'jobs'"
        )
    return _old_draft(name, tasks, where)


def _check_header(data: bytes, where: str) -> None:
    head = _decode(data, dict[str, msgspec.Raw], where)
    if "workflow" not in head:
        found = ", ".join(map(repr, list(head)[:6])) or "nothing"
        raise InputError(
            f"{where}: JSON, but not a WfFormat workflow: expected the keys 'schemaVersion' "
            f"and 'workflow', found {found}"
        )
    known = f"expected one of {', '.join(VERSIONS)}"
    if "schemaVersion" not in head:
        raise InputError(f"{where}: no 'schemaVersion'; {known}")
    version = msgspec.json.decode(head["schemaVersion"])
    if str(version) not in VERSIONS:
        raise InputError(f"{where}: unknown schemaVersion {version!r}; {known}")


def _decode(data: bytes, kind: type[_T], where: str) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        place = f"at {place[1:-1]}: " if place else ""
        text = text.replace("`", "")
        raise InputError(
            f"{where}: not a WfFormat workflow: {place}{text[0].lower()}{text[1:]}"
        ) from None
    except msgspec.DecodeError as error:
        raise InputError(f"{where}: not JSON: {_syntax_error(data, str(error))}") from None
    except UnicodeDecodeError:
        raise InputError(f"{where}: not JSON: the text is not UTF-8") from None
    except RecursionError:
        raise InputError(f"{where}: not a WfFormat workflow: nested too deeply") from None


def _syntax_error(data: bytes, text: str) -> str:
    match = re.search(r"^(?:JSON is malformed: )?(.*?) \(byte (\d+)\)$", text)
    if match is None:
        return "it ends too early" if "truncated" in text else text
    at = int(match[2])
    line = data.count(b"\n", 0, at) + 1
    column = at - (data.rfind(b"\n", 0, at) + 1) + 1
    near = data[at : at + 12].decode("utf-8", "replace")
    hint = ""
    if near.lstrip("-").startswith(("NaN", "Inf", "nan", "inf")):
        hint = "; NaN and Infinity are not numbers in JSON, remove them"
    return f"line {line}, column {column}: {match[1]} at {near!r}{hint}"


def _draft(name: str, spec: _Specification, execution: _Execution | None, where: str) -> Draft:
    tasks = spec.tasks
    ids = [task.id for task in tasks]
    index = numbered(ids)
    notes: list[str] = []
    runs = _runs(tasks, execution, index, notes)
    files: dict[str, int] = {}
    sized = _file_indices([file.id for file in spec.files or ()], files)
    reads = _uses([task.input_files for task in tasks], files)
    writes = _uses([task.output_files for task in tasks], files)
    return Draft(
        where=where,
        name=name,
        ids=ids,
        categories=[
            _category(task.id, task.name or task.id, run.command)
            for task, run in zip(tasks, runs, strict=True)
        ],
        runtime_s=[run.runtime_in_seconds for run in runs],
        cores=[run.core_count for run in runs],
        memory_bytes=[run.memory_in_bytes for run in runs],
        gpus=[run.gpu_count for run in runs],
        runtime_field="runtimeInSeconds in workflow.execution.tasks",
        edges=_declared_edges(tasks, index, ids, where, notes),
        file_names=list(files),
        reads=reads,
        writes=writes,
        sizes=(sized, optional_floats([file.size_in_bytes for file in spec.files or ()])),
        notes=notes,
    )


def _runs(
    tasks: list[_Task], execution: _Execution | None, index: dict[str, int], notes: list[str]
) -> list[_Run]:
    """Return each task's record of execution, a blank one where there is none."""
    records = (execution.tasks if execution else None) or []
    by_id = {run.id: run for run in records}
    strangers = sum(task_id not in index for task_id in by_id)
    if strangers:
        notes.append(
            f"{counted(strangers, 'execution record')} of tasks that the specification does not "
            "have: left out"
        )
    if len(by_id) < len(records):
        n = repeated([run.id for run in records])
        notes.append(f"{counted(n, 'task')} with several execution records: the last counts")
    blank = _Run(id="")
    return [by_id.get(task.id, blank) for task in tasks]


def _old_draft(name: str, tasks: list[_OldTask], where: str) -> Draft:
    ids = _old_ids(tasks, where)
    notes: list[str] = []
    auxiliary = sum(task.type not in (None, "compute") for task in tasks)
    if auxiliary:
        notes.append(
            f"{counted(auxiliary, 'task')} of staging and clean-up (not of type compute): "
            "planned like the others"
        )
    files: dict[str, int] = {}
    reads, writes = (_old_uses(tasks, link, files) for link in ("input", "output"))
    # Parents go by name in what was published; the id is understood as well.
    index = {str(task.id): i for i, task in enumerate(tasks)} | numbered(ids)
    edges = _declared_edges(tasks, index, ids, where, notes)
    if edges[0].size == 0:
        edges = file_edges(reads, writes, len(files))
        if edges[0].size:
            notes.append(
                "no edges declared: they were rebuilt from the files that tasks write and read"
            )
    return Draft(
        where=where,
        name=name,
        ids=ids,
        categories=[
            task.category or _category(task_id, task.name or task_id, task.command)
            for task_id, task in zip(ids, tasks, strict=True)
        ],
        runtime_s=[_first(task.runtime_in_seconds, task.runtime) for task in tasks],
        cores=[task.cores for task in tasks],
        memory_bytes=[
            _first(task.memory_in_bytes, task.memory and task.memory * 1000) for task in tasks
        ],
        gpus=[None] * len(tasks),
        runtime_field="runtimeInSeconds or runtime",
        edges=edges,
        file_names=list(files),
        reads=reads,
        writes=writes,
        notes=notes,
    )


def _old_ids(tasks: list[_OldTask], where: str) -> list[str]:
    """Return the ids that version 1.5 gives to the same tasks."""
    for i, task in enumerate(tasks):
        if task.name is None and task.id is None:
            raise InputError(f"{where}: task number {i} has neither name nor id")
    names = [str(task.id) if task.name is None else task.name for task in tasks]
    if len(set(names)) == len(names):
        return names
    return [
        name if task.id is None else f"{name}_{task.id}"
        for name, task in zip(names, tasks, strict=True)
    ]


def _old_uses(tasks: list[_OldTask], link: str, files: dict[str, int]) -> Uses:
    rows = [
        (i, file) for i, task in enumerate(tasks) for file in task.files or () if file.link == link
    ]
    names = [f"{_folder(file.path)}{file.name}" for _, file in rows]
    return Uses(
        np.array([i for i, _ in rows], dtype=np.int64),
        _file_indices(names, files),
        optional_floats([_first(file.size_in_bytes, file.size) for _, file in rows]),
    )


def _folder(path: str | None) -> str:
    return f"{path.rstrip('/')}/" if path else ""


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _category(task_id: str, name: str, command: _Command | None) -> str:
    """Return the program of a task: its name, unless that is the id."""
    if name != task_id:
        return name
    program = command.program if command else None
    # Nextflow gives a whole shell script here.
    if program and (program == name or not re.search(r"\s", program)):
        return program
    return re.sub(r"(_ID\d+|(_\d+)+)$", "", name) or name


def _declared_edges(
    tasks: Sequence[_Task | _OldTask],
    index: dict[str, int],
    ids: list[str],
    where: str,
    notes: list[str],
) -> tuple[IntArray, IntArray]:
    """Return the edges that the lists of parents or the lists of children declare."""
    child, parent = known_pairs([task.parents for task in tasks], index, ids, "parent", where)
    above, below = known_pairs([task.children for task in tasks], index, ids, "child", where)
    up = distinct(parent * len(ids) + child)
    down = distinct(above * len(ids) + below)
    if up.size and down.size:
        one_sided = np.setxor1d(up, down, assume_unique=True).size
        if one_sided:
            notes.append(
                f"{counted(int(one_sided), 'edge')} declared by only one of its two tasks: "
                "they count"
            )
    return np.concatenate([parent, above]), np.concatenate([child, below])


def _file_indices(names: Iterable[str], files: dict[str, int]) -> IntArray:
    """Return the index of each name, numbering new names in the order of their mention."""
    return np.array([files.setdefault(name, len(files)) for name in names], dtype=np.int64)


def _uses(lists: Sequence[list[str] | None], files: dict[str, int]) -> Uses:
    task, names = flattened(lists)
    file = _file_indices(names, files)
    return Uses(task, file, np.full(file.size, np.nan))
