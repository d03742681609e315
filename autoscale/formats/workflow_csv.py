"""A workflow as a table, for people and spreadsheets: one row a task, comma-separated, UTF-8.

=================  ============================================================================
Column             Meaning
=================  ============================================================================
id                 Unique id of the task. Required.
runtime_s          Seconds on a core of speed 1.0, >= 0. Required.
parents            Ids of the tasks that must end first, separated by ``;``. Blank = none.
category           The program that it runs. Blank = the id.
vcpus              vCPUs that it holds; fractions round up. Blank = 1.
memory_gib         Memory in GiB (2^30 bytes); or ``memory_bytes``. Blank = 0, unknown.
gpus               GPUs that it holds. Blank = 0.
in_bytes           Bytes that it fetches before it starts. Blank = 0.
out_bytes          Bytes that it stores at its end. Blank = 0.
=================  ============================================================================

The columns may come in any order, and only the first two are needed::

    id,runtime_s,parents
    prepare,60,
    left,300,prepare
    right,240,prepare
    merge,30,left;right
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.formats.draft import (
    SIZE_LIMIT,
    Draft,
    Uses,
    did_you_mean,
    known_pairs,
    numbered,
    optional_floats,
)
from autoscale.formats.files import PathLike, atomic_write, read_bytes
from autoscale.units import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autoscale.model.workflow import Workflow

REQUIRED = ("id", "runtime_s")
COLUMNS = (
    *REQUIRED,
    "parents",
    "category",
    "vcpus",
    "memory_gib",
    "memory_bytes",
    "gpus",
    "in_bytes",
    "out_bytes",
)


def read_workflow_csv(path: PathLike, *, default_runtime_s: float | None = None) -> Workflow:
    """Read a workflow from a CSV file with the columns of this module, plain or gzipped.

    Parameters
    ----------
    path
        The file; its name without the ending names the workflow.
    default_runtime_s
        Runtime in seconds of tasks whose ``runtime_s`` is blank; None makes that an error.

    Raises
    ------
    InputError
        Unknown, missing or repeated columns, bad numbers (row and column are named), and
        whatever makes no valid workflow.
    """
    return parse_workflow_csv(read_bytes(path), str(path), default_runtime_s=default_runtime_s)


def parse_workflow_csv(
    data: bytes, where: str, *, default_runtime_s: float | None = None
) -> Workflow:
    """Return the workflow that the table describes; ``where`` names it in messages."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{where}: not a CSV workflow: the text is not UTF-8") from None
    table = _Table(text, where)
    ids = table.texts("id")
    for row, task_id in zip(table.rows, ids, strict=True):
        if not task_id:
            raise InputError(f"{where}: row {row}, column 'id': expected an id, found nothing")
    parents = [
        [name for part in cell.split(";") if (name := part.strip())]
        for cell in table.texts("parents")
    ]
    child, parent = known_pairs(parents, numbered(ids), ids, "parent", where)
    in_names, reads = _one_file_a_task(ids, table.numbers("in_bytes"), ".in", 0)
    out_names, writes = _one_file_a_task(ids, table.numbers("out_bytes"), ".out", len(in_names))
    return Draft(
        where=where,
        name=Path(where).name.removesuffix(".gz").removesuffix(".csv"),
        ids=ids,
        categories=[
            category or task_id
            for category, task_id in zip(table.texts("category"), ids, strict=True)
        ],
        runtime_s=table.numbers("runtime_s"),
        cores=table.numbers("vcpus"),
        memory_bytes=_memory(table, where),
        gpus=table.numbers("gpus"),
        runtime_field="'runtime_s'",
        edges=(parent, child),
        file_names=in_names + out_names,
        reads=reads,
        writes=writes,
    ).build(default_runtime_s)


def write_workflow_csv(workflow: Workflow, path: PathLike) -> None:
    """Write a workflow as a table that :func:`read_workflow_csv` reads.

    Tasks, edges and the bytes that each task fetches and stores are kept; which files they are
    is not.

    Raises
    ------
    InputError
        The path cannot be written, or an id has a form that the table cannot hold.
    """
    for task_id in workflow.ids.tolist():
        if ";" in task_id or task_id != task_id.strip():
            raise InputError(
                f"{path}: task {task_id!r}: a CSV workflow cannot hold ids with ';' or with "
                "spaces around them; write WfFormat instead"
            )
    columns = [name for name in COLUMNS if name != "memory_gib"]
    with atomic_write(path) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        for task in workflow:
            writer.writerow(
                [
                    task.id,
                    repr(task.runtime_s),
                    ";".join(task.parents),
                    task.category,
                    task.vcpus,
                    task.memory_bytes,
                    task.gpus,
                    f"{task.in_bytes:.0f}",
                    f"{task.out_bytes:.0f}",
                ]
            )


class _Table:
    """The cells by column, with the line on which each row ends."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.rows: list[int] = []
        lines = _lines(text, where)
        _, header = next(lines)
        self.columns: dict[str, list[str]] = {name: [] for name in _checked_header(header, where)}
        for row, cells in lines:
            if len(cells) != len(self.columns):
                raise InputError(
                    f"{where}: row {row}: expected {len(self.columns)} cells as in the header, "
                    f"found {len(cells)}"
                )
            self.rows.append(row)
            for column, cell in zip(self.columns.values(), cells, strict=True):
                column.append(cell)

    def texts(self, name: str) -> list[str]:
        return self.columns.get(name) or [""] * len(self.rows)

    def numbers(self, name: str) -> list[float | None]:
        cells = zip(self.rows, self.texts(name), strict=True)
        return [self._number(cell, row, name) if cell else None for row, cell in cells]

    def _number(self, cell: str, row: int, name: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not 0 <= value < SIZE_LIMIT:
            raise InputError(
                f"{self.where}: row {row}, column {name!r}: expected a number >= 0, got {cell!r}"
            )
        return value


def _lines(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, stripped, each with the line on which it ends."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(f"{where}: row {reader.line_num}: not CSV: {error}") from None


def _checked_header(header: list[str], where: str) -> list[str]:
    for name in header:
        if name not in COLUMNS:
            raise InputError(
                f"{where}: unknown column {name!r}{did_you_mean(name, COLUMNS)}; "
                f"a CSV workflow has the columns {', '.join(COLUMNS)}"
            )
        if header.count(name) > 1:
            raise InputError(f"{where}: the column {name!r} occurs {header.count(name)} times")
    for name in REQUIRED:
        if name not in header:
            raise InputError(f"{where}: the required column {name!r} is missing")
    return header


def _memory(table: _Table, where: str) -> list[float | None]:
    if {"memory_gib", "memory_bytes"} <= set(table.columns):
        raise InputError(f"{where}: give either 'memory_gib' or 'memory_bytes', not both columns")
    if "memory_gib" in table.columns:
        gib = table.numbers("memory_gib")
        return [None if value is None else value * GIB for value in gib]
    return table.numbers("memory_bytes")


def _one_file_a_task(
    ids: list[str], sizes: list[float | None], ending: str, first: int
) -> tuple[list[str], Uses]:
    """Return a file of each size given, numbered from ``first``, used by its task alone."""
    tasks = [i for i, size in enumerate(sizes) if size]
    size = optional_floats([sizes[i] for i in tasks])
    file = first + np.arange(len(tasks), dtype=np.int64)
    names = [ids[i] + ending for i in tasks]
    return names, Uses(np.array(tasks, dtype=np.int64), file, size)
