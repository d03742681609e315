"""Pegasus DAX, the abstract workflow XML: versions 2.1 and 3.x, with or without namespace.

Read are ``<job>`` (also ``<dag>`` and ``<dax>``, workflows that run as one job) with its
``<uses>``, and ``<child ref><parent ref/></child>``. Runtime (seconds) and cores are attributes of
the job, as in the Pegasus Workflow Gallery, or profiles of the namespace ``pegasus``, where
``memory`` (MB = 2^20 bytes) and ``gpus`` are understood as well. Edges are the declared ones;
those that files would imply are not added. Documents that declare entities are refused.

The gallery's generator computed runtimes from file sizes, and where those overflowed 32 bits a
job has negative sizes and a negative runtime. Like the sizes, such a runtime counts 0, with a
note; a negative runtime of any other job is an error.

Reference: E. Deelman et al., "Pegasus, a workflow management system for science automation",
Future Generation Computer Systems 46 (2015).
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, ParseError

import numpy as np

from autoscale.errors import InputError
from autoscale.formats.draft import Draft, Uses, counted, known_pairs, numbered
from autoscale.formats.files import PathLike, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autoscale.model.workflow import Workflow

_JOBS = ("job", "dag", "dax")
_MIB = 2**20


def read_dax(path: PathLike, *, default_runtime_s: float | None = None) -> Workflow:
    """Read a workflow from a Pegasus DAX file, plain or gzipped.

    Parameters
    ----------
    path
        The file.
    default_runtime_s
        Runtime in seconds of jobs that state none; None makes that an error.

    Raises
    ------
    InputError
        The file cannot be read, is not DAX, declares entities, or describes no valid workflow.
    """
    return parse_dax(read_bytes(path), str(path), default_runtime_s=default_runtime_s)


def parse_dax(data: bytes, where: str, *, default_runtime_s: float | None = None) -> Workflow:
    """Return the workflow that the XML text describes; ``where`` names it in messages."""
    reader = _Reader(where)
    for element in _elements(data, where):
        reader.take(element)
    return reader.draft().build(default_runtime_s)


def _elements(data: bytes, where: str) -> Iterator[Element]:
    """Yield the root when it opens, and each of its children when it is complete."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    depth = 0
    root: Element | None = None
    try:
        for event, element in iterparse(io.BytesIO(data), events=("start", "end")):
            depth += 1 if event == "start" else -1
            if root is None:
                root = element
                yield root
            elif event == "end" and depth == 1:
                yield element
                root.clear()  # what was read need not stay in memory
    except ParseError as error:
        raise InputError(f"{where}: not XML: {error}") from None
    except DefusedXmlException:
        raise InputError(
            f"{where}: the XML declares entities or refers to other files, which is refused; "
            "remove its DOCTYPE"
        ) from None
    except (LookupError, ValueError) as error:
        raise InputError(f"{where}: not XML that can be read: {error}") from None


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


class _Reader:
    """Collects jobs, their files and their edges, element by element."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.name: str | None = None
        self.jobs: list[dict[str, Any]] = []
        self.files: dict[str, int] = {}
        self.reads: list[tuple[int, int, float]] = []
        self.writes: list[tuple[int, int, float]] = []
        self.parents: list[tuple[str, list[str]]] = []
        self.overflowed = 0

    def take(self, element: Element) -> None:
        tag = _local(element)
        if self.name is None:
            if tag != "adag":
                raise InputError(
                    f"{self.where}: XML, but not a Pegasus DAX: expected the root <adag>, "
                    f"found <{tag}>"
                )
            name = element.get("name", "")
            # The Workflow Gallery calls every workflow "test".
            self.name = name if name not in ("", "test") else Path(self.where).name.split(".")[0]
        elif tag in _JOBS:
            self._take_job(element)
        elif tag == "child":
            above = [_attribute(p, "ref", self.where) for p in element if _local(p) == "parent"]
            self.parents.append((_attribute(element, "ref", self.where), above))

    def _take_job(self, element: Element) -> None:
        job_id = _attribute(element, "id", self.where)
        place = f"{self.where}: job {job_id!r}"
        hints = {
            part.get("key", "").lower(): part.text
            for part in element
            if _local(part) == "profile" and part.get("namespace", "").lower() == "pegasus"
        }
        sizes = [
            self._take_use(part, place, len(self.jobs))
            for part in element
            if _local(part) == "uses"
        ]
        runtime = _number(element.get("runtime", hints.get("runtime")), "runtime", place)
        if runtime is not None and runtime < 0 and any(size < 0 for size in sizes):
            runtime = 0.0
            self.overflowed += 1
        memory = _number(hints.get("memory"), "profile memory", place)
        self.jobs.append(
            {
                "id": job_id,
                "category": element.get("name") or element.get("file") or job_id,
                "runtime": runtime,
                "cores": _number(element.get("cores", hints.get("cores")), "cores", place),
                "memory": None if memory is None else memory * _MIB,
                "gpus": _number(hints.get("gpus"), "profile gpus", place),
            }
        )

    def _take_use(self, part: Element, place: str, job: int) -> float:
        """Record that the job uses a file; return the size stated, NaN if none is."""
        name = part.get("file") or part.get("name")
        if not name:
            raise InputError(f"{place}: a <uses> has neither 'file' nor 'name'")
        stated = _number(part.get("size"), f"size of file {name!r}", place)
        size = math.nan if stated is None else stated
        link = part.get("link", "input").lower()
        row = (job, self.files.setdefault(name, len(self.files)), size)
        if link in ("output", "inout"):
            self.writes.append(row)
        if link in ("input", "inout"):
            self.reads.append(row)
        return size

    def draft(self) -> Draft:
        if self.name is None:
            raise InputError(f"{self.where}: the XML has no root")
        ids = [job["id"] for job in self.jobs]
        notes = []
        if self.overflowed:
            notes.append(
                f"{counted(self.overflowed, 'task')} with a negative runtime as its file sizes "
                "overflowed: 0 s assumed"
            )
        return Draft(
            where=self.where,
            name=self.name,
            ids=ids,
            categories=[job["category"] for job in self.jobs],
            runtime_s=[job["runtime"] for job in self.jobs],
            cores=[job["cores"] for job in self.jobs],
            memory_bytes=[job["memory"] for job in self.jobs],
            gpus=[job["gpus"] for job in self.jobs],
            runtime_field="runtime attribute",
            edges=self._edges(ids),
            file_names=list(self.files),
            reads=_uses(self.reads),
            writes=_uses(self.writes),
            notes=notes,
        )

    def _edges(self, ids: list[str]) -> tuple[Any, Any]:
        index = numbered(ids)
        above: list[list[str]] = [[] for _ in ids]
        for child, parents in self.parents:
            if child not in index:
                raise InputError(
                    f"{self.where}: <child ref={child!r}> names no job; "
                    "each ref must be the id of a job"
                )
            above[index[child]] += parents
        children, parents_column = known_pairs(above, index, ids, "parent", self.where)
        return parents_column, children


def _uses(rows: list[tuple[int, int, float]]) -> Uses:
    task, file, size = zip(*rows, strict=True) if rows else ((), (), ())
    return Uses(
        np.array(task, dtype=np.int64),
        np.array(file, dtype=np.int64),
        np.array(size, dtype=np.float64),
    )


def _attribute(element: Element, name: str, where: str) -> str:
    value = element.get(name)
    if not value:
        raise InputError(f"{where}: a <{_local(element)}> has no {name!r}")
    return value


def _number(text: str | None, label: str, place: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{place}: {label}: expected a finite number, got {text!r}")
    return value
