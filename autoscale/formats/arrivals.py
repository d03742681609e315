"""Traces of arrivals: SWF logs of batch systems, and CSV tables.

SWF is the Standard Workload Format of the Parallel Workloads Archive (Chapin et al. 1999): lines
of 18 figures, of which the submit time (2nd), the run time (4th), the number of processors (5th,
else requested, 8th) and the memory per processor (7th, else 10th, in KB) are read; -1 means
unknown, lines that begin with ``;`` are header. A job of unknown run time, processors or submit
time is left out and counted in a note.

A CSV table has a header. Its columns are those below, or are named by whoever reads it; the first
is needed, and blank cells count as not given.

===========  ==============================================================================
Column       Meaning
===========  ==============================================================================
arrival_s    When it is submitted: seconds, or an ISO date and time (UTC unless it says).
runtime_s    How long it runs on cores of speed 1.0, seconds >= 0.
end_s        When it ends, in place of ``runtime_s``; for traces that state moments.
vcpus        vCPUs that it holds; fractions round up.
memory_gib   Memory that it holds, GiB.
gpus         GPUs that it holds.
class        Name of its class.
priority     Its weight among jobs, > 0.
deadline_s   By when it should end, seconds after its arrival.
===========  ==============================================================================

Times are moved so that the first arrival is at 0; rows may be in any order.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError, unknown
from autoscale.formats.files import PathLike, read_bytes
from autoscale.model.arrays import frozen
from autoscale.units import GIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autoscale.model.arrays import FloatArray, IntArray

COLUMNS = (
    "arrival_s", "runtime_s", "end_s", "vcpus", "memory_gib", "gpus", "class", "priority",
    "deadline_s",
)  # fmt: skip
"""Columns of a CSV table of arrivals."""

LEAST = {"priority": math.ulp(0.0), "deadline_s": math.ulp(0.0)}
"""Least figure of a column, where that is not 0."""

SWF_FIELDS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """A trace of arrivals, in the order of arrival; columns of shape (jobs,).

    Parameters
    ----------
    name
        The file.
    arrival_s
        Seconds since the first one.
    runtime_s, priority, deadline_s
        See the module; NaN where not given.
    vcpus, memory_bytes, gpus
        What each holds; 1 vCPU and nothing else where not given.
    kinds
        Names of classes; empty where not given.
    notes
        What was doubtful, one line each.
    """

    name: str
    arrival_s: FloatArray
    runtime_s: FloatArray
    vcpus: IntArray
    memory_bytes: FloatArray
    gpus: IntArray
    priority: FloatArray
    deadline_s: FloatArray
    kinds: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.arrival_s.size)


def read_arrivals(path: PathLike, columns: Mapping[str, str] | None = None) -> Arrivals:
    """Read a trace of arrivals, plain or gzipped: SWF (``.swf``), else CSV.

    Parameters
    ----------
    path
        The file.
    columns
        For a CSV table with columns of its own: our name to its name. Those that are not
        mentioned are then not read.

    Raises
    ------
    InputError
        Unreadable, unknown or missing columns, or a wrong figure (its row and column are named).
    """
    where, data = str(path), read_bytes(path)
    if Path(where.removesuffix(".gz")).suffix.lower() == ".swf":
        if columns:
            raise InputError(f"{where}: columns: an SWF log has columns of its own")
        return _from_swf(data, where)
    return _from_csv(data, where, dict(columns or {}))


def _from_swf(data: bytes, where: str) -> Arrivals:
    rows: list[list[float]] = []
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        text = line.partition(";")[0].split()
        if not text:
            continue
        if len(text) != SWF_FIELDS:
            raise InputError(
                f"{where}: row {number}: expected {SWF_FIELDS} figures, found {len(text)}"
            )
        rows.append([_number(cell, f"{where}: row {number}, field {f}", -math.inf)
                     for f, cell in enumerate(text, start=1)])  # fmt: skip
    if not rows:
        raise InputError(f"{where}: an SWF log without jobs")
    table = np.array(rows)
    submit_s, runtime_s = table[:, 1], table[:, 3]
    processors = np.where(table[:, 4] > 0, table[:, 4], table[:, 7])
    kb = np.maximum(np.where(table[:, 6] > 0, table[:, 6], table[:, 9]), 0.0)
    known = (submit_s >= 0) & (runtime_s >= 0) & (processors > 0)
    if not known.any():
        raise InputError(f"{where}: no job has a submit time, a run time and processors")
    left_out = int((~known).sum())
    notes = (f"{where}: {left_out:,} of {known.size:,} jobs are incomplete and left out",)
    return _ordered(
        where,
        {
            "arrival_s": submit_s[known],
            "runtime_s": runtime_s[known],
            "vcpus": processors[known],
            "memory_bytes": (kb * 1024 * processors)[known],
        },
        [""] * int(known.sum()),
        notes if left_out else (),
    )


def _from_csv(data: bytes, where: str, columns: dict[str, str]) -> Arrivals:
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = [(name or "").strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        names = _named_columns(header, where, columns)
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{where}: not a CSV text file in UTF-8: {error}") from None
    if not rows:
        raise InputError(f"{where}: a table of arrivals without rows")
    found: dict[str, Any] = {}
    for ours, theirs in names.items():
        if ours != "class":
            cells = [_cell(row, theirs, ours, f"{where}: row {n}") for n, row in rows]
            found[ours] = np.array(cells)
    kinds = [(row.get(names.get("class", "")) or "").strip() for _, row in rows]
    if "end_s" in found:
        found["runtime_s"] = _until(found, where, [n for n, _ in rows])
    if "memory_gib" in found:
        found["memory_bytes"] = np.nan_to_num(found["memory_gib"]) * GIB
    return _ordered(where, found, kinds, ())


def _named_columns(header: list[str], where: str, columns: dict[str, str]) -> dict[str, str]:
    """Return the table's name of each of our columns that it has."""
    for ours, theirs in columns.items():
        if ours not in COLUMNS:
            raise InputError(f"{where}: columns: {unknown('column', ours, COLUMNS)}")
        if theirs not in header:
            raise InputError(f"{where}: row 1: {unknown('column', theirs, header)}")
    if not columns:
        for name in header:
            if name not in COLUMNS:
                raise InputError(f"{where}: row 1: {unknown('column', name, COLUMNS)}")
        columns = {name: name for name in header}
    if "arrival_s" not in columns:
        raise InputError(f"{where}: row 1: expected a column 'arrival_s', found {header}")
    if {"end_s", "runtime_s"} <= columns.keys():
        raise InputError(f"{where}: row 1: expected either 'runtime_s' or 'end_s', found both")
    return columns


def _cell(row: dict[str, str], theirs: str, ours: str, place: str) -> float:
    text = (row.get(theirs) or "").strip()
    where = f"{place}, column {theirs!r}"
    if ours in ("arrival_s", "end_s") and not _is_number(text):
        return _moment(text, where) if text or ours == "arrival_s" else math.nan
    if not text and ours != "arrival_s":
        return math.nan
    least = -math.inf if ours in ("arrival_s", "end_s") else LEAST.get(ours, 0.0)
    return _number(text, where, least)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, where: str, least: float) -> float:
    value = float(text) if _is_number(text) else math.nan
    if not least <= value < math.inf:
        expected = {-math.inf: "a number", 0.0: "a number >= 0"}.get(least, "a number > 0")
        raise InputError(f"{where}: expected {expected}, got {text!r}")
    return value


def _moment(text: str, where: str) -> float:
    try:
        moment = datetime.fromisoformat(_shortened(text))
    except ValueError:
        raise InputError(f"{where}: expected seconds or an ISO time, got {text!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _shortened(text: str) -> str:
    """Return an ISO time with at most the six digits of a second that Python reads."""
    head, dot, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return head + dot + tail[: min(digits, 6)] + tail[digits:] if dot else text


def _until(found: dict[str, Any], where: str, rows: list[int]) -> FloatArray:
    lasted: FloatArray = found["end_s"] - found["arrival_s"]
    if (lasted < 0).any():
        i = int(np.argmax(lasted < 0))
        raise InputError(
            f"{where}: row {rows[i]}: expected an end after the arrival, got one before"
        )
    return lasted


def _ordered(
    where: str, found: dict[str, Any], kinds: list[str], notes: tuple[str, ...]
) -> Arrivals:
    arrival_s = found["arrival_s"]
    order = np.argsort(arrival_s, kind="stable")
    n = arrival_s.size

    def column(name: str, blank: float) -> FloatArray:
        given = found.get(name)
        values = np.full(n, blank) if given is None else np.where(np.isnan(given), blank, given)
        return values[order]

    return Arrivals(
        name=where,
        arrival_s=frozen(arrival_s[order] - arrival_s[order[0]], np.float64),
        runtime_s=frozen(column("runtime_s", math.nan), np.float64),
        vcpus=frozen(np.maximum(np.ceil(column("vcpus", 1)), 1), np.int64),
        memory_bytes=frozen(column("memory_bytes", 0), np.float64),
        gpus=frozen(np.ceil(column("gpus", 0)), np.int64),
        priority=frozen(column("priority", math.nan), np.float64),
        deadline_s=frozen(column("deadline_s", math.nan), np.float64),
        kinds=tuple(kinds[int(i)] for i in order),
        notes=notes,
    )
