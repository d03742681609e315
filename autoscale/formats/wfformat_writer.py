"""Writing workflows as WfFormat 1.5, in chunks, so that a million tasks need little memory."""

from __future__ import annotations

import gzip
import os
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import numpy as np

from autoscale.formats.files import PathLike, atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autoscale.model.arrays import Int32Array, IntArray, StringArray
    from autoscale.model.workflow import Workflow

_CHUNK = 16_384


class _Task(msgspec.Struct, rename="camel", gc=False):
    name: str
    id: str
    parents: list[str]
    children: list[str]
    input_files: list[str]
    output_files: list[str]


class _File(msgspec.Struct, rename="camel", gc=False):
    id: str
    size_in_bytes: int


class _Command(msgspec.Struct, gc=False):
    program: str


class _Run(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    id: str
    runtime_in_seconds: float
    command: _Command
    core_count: int
    memory_in_bytes: int = 0
    gpu_count: int = 0


def write_wfformat(workflow: Workflow, path: PathLike) -> None:
    """Write a workflow as WfFormat 1.5; gzipped if the name ends in ``.gz``.

    Reading the file gives the same tasks, edges and files again. The bytes depend on the workflow
    only. The schema asks for ``executedAt`` and ``makespanInSeconds``; as nothing was executed
    they are the epoch and 0. ``gpuCount``, which the schema does not know but allows, is written
    for tasks with GPUs. Deadline, budget, priority and release time have no place in the format.

    Raises
    ------
    InputError
        The path cannot be written.
    """
    with atomic_write(path) as raw:
        if not os.fspath(path).endswith(".gz"):
            _write(workflow, raw)
            return
        # No name and no time in the gzip header: equal workflows give equal bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
            _write(workflow, packed)


def _write(workflow: Workflow, out: BinaryIO | gzip.GzipFile) -> None:
    n, n_files = len(workflow), len(workflow.files)
    name = msgspec.json.encode(workflow.name or "workflow")
    out.write(b'{"name":' + name + b',"schemaVersion":"1.5","workflow":{\n"specification":{')
    _write_list(out, b"tasks", n, lambda a, b: _tasks(workflow, a, b))
    out.write(b",")
    _write_list(out, b"files", n_files, lambda a, b: _files(workflow, a, b))
    out.write(b'},\n"execution":{"makespanInSeconds":0.0,"executedAt":"1970-01-01T00:00:00+00:00",')
    _write_list(out, b"tasks", n, lambda a, b: _runs(workflow, a, b))
    out.write(b"}}}\n")


def _write_list(
    out: BinaryIO | gzip.GzipFile,
    key: bytes,
    n: int,
    items: Callable[[int, int], Iterator[msgspec.Struct]],
) -> None:
    encode = msgspec.json.Encoder().encode
    out.write(b'"' + key + b'":[')
    for first in range(0, n, _CHUNK):
        out.write(b",\n" if first else b"\n")
        out.write(b",\n".join(map(encode, items(first, min(n, first + _CHUNK)))))
    out.write(b"]")


def _tasks(workflow: Workflow, a: int, b: int) -> Iterator[_Task]:
    files = workflow.files
    return map(
        _Task,
        _categories(workflow, a, b),
        workflow.ids[a:b].tolist(),
        _lists(workflow.ids, workflow.parent_ptr, workflow.parents, a, b),
        _lists(workflow.ids, workflow.child_ptr, workflow.children, a, b),
        _lists(files.names, files.input_ptr, files.inputs, a, b),
        _lists(files.names, files.output_ptr, files.outputs, a, b),
    )


def _files(workflow: Workflow, a: int, b: int) -> Iterator[_File]:
    files = workflow.files
    return map(_File, files.names[a:b].tolist(), files.size_bytes[a:b].tolist())


def _runs(workflow: Workflow, a: int, b: int) -> Iterator[_Run]:
    commands = [_Command(name) for name in workflow.categories]
    return map(
        _Run,
        workflow.ids[a:b].tolist(),
        workflow.runtime_s[a:b].tolist(),
        [commands[k] for k in workflow.category[a:b].tolist()],
        workflow.vcpus[a:b].tolist(),
        workflow.memory_bytes[a:b].tolist(),
        workflow.gpus[a:b].tolist(),
    )


def _categories(workflow: Workflow, a: int, b: int) -> list[str]:
    return [workflow.categories[k] for k in workflow.category[a:b].tolist()]


def _lists(
    names: StringArray, ptr: IntArray, members: Int32Array, a: int, b: int
) -> Iterator[list[str]]:
    """Yield for each of the tasks ``a`` to ``b`` the names that the CSR columns give it."""
    flat = np.take(names, members[ptr[a] : ptr[b]]).tolist()
    bounds = (ptr[a : b + 1] - ptr[a]).tolist()
    return (flat[i:j] for i, j in pairwise(bounds))
