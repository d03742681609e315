"""What the readers have in common: from what a file says of its tasks to a checked workflow.

The reading rules are those of the execution model: cores round up and default to 1, unknown
memory is 0, a file that is given several sizes has the one its producer states, else the largest,
a negative size counts 0, and a runtime of 0 is allowed where a missing one is an error.
"""

from __future__ import annotations

import difflib
import gc
import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.model.arrays import FloatArray, IntArray, csr, frozen, string_array
from autoscale.model.workflow import FileTable, Workflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SIZE_LIMIT = 2.0**62
"""No size or memory is as large as this many bytes; larger figures are mistakes."""


def counted(n: int, noun: str) -> str:
    """Return the number and the noun, in the plural where it needs one.

    Examples
    --------
    >>> counted(1, "file"), counted(2500, "task")
    ('1 file', '2,500 tasks')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def did_you_mean(word: str, words: Sequence[str]) -> str:
    """Return ``"; did you mean ...?"`` for the most similar word, or nothing."""
    near = difflib.get_close_matches(word, words, n=1) if len(words) <= 20_000 else []
    return f"; did you mean {near[0]!r}?" if near else ""


@dataclass(slots=True)
class Uses:
    """Rows that say: this task reads (or writes) this file, of this size.

    Parameters
    ----------
    task, file
        Indices, one each a row.
    size_bytes
        Sizes stated, NaN where none is.
    """

    task: IntArray
    file: IntArray
    size_bytes: FloatArray


def no_uses() -> Uses:
    """Return an empty list of uses."""
    none = np.zeros(0, dtype=np.int64)
    return Uses(none, none, none.astype(np.float64))


@dataclass(slots=True, kw_only=True)
class Draft:
    """A workflow as its file tells it, tasks in the file's order, nothing checked.

    Parameters
    ----------
    where
        The file, as messages call it.
    name, ids, categories
        Names of the workflow, its tasks, and the program of each.
    runtime_s, cores, memory_bytes, gpus
        One number a task, None where the file gives none.
    runtime_field
        What the file calls the runtime.
    edges
        Parent index and child index of each edge.
    file_names
        Names of the files, indexed by ``reads`` and ``writes``.
    reads, writes
        Which task reads and writes which file.
    sizes
        Rows (file, size) that count as if the file's producer had stated them.
    notes
        What was doubtful so far.
    """

    where: str
    name: str
    ids: Sequence[str]
    categories: Sequence[str]
    runtime_s: Sequence[float | None]
    cores: Sequence[float | None]
    memory_bytes: Sequence[float | None]
    gpus: Sequence[float | None]
    runtime_field: str
    edges: tuple[IntArray, IntArray]
    file_names: Sequence[str] = ()
    reads: Uses = field(default_factory=no_uses)
    writes: Uses = field(default_factory=no_uses)
    sizes: tuple[IntArray, FloatArray] | None = None
    notes: list[str] = field(default_factory=list)

    def build(self, default_runtime_s: float | None = None) -> Workflow:
        """Apply the reading rules and return the workflow.

        Parameters
        ----------
        default_runtime_s
            Runtime in seconds of tasks that state none; None makes that an error.

        Raises
        ------
        InputError
            Missing runtimes, impossible numbers, and what :meth:`Workflow.from_columns` refuses.
        """
        if not self.ids:
            raise InputError(f"{self.where}: the workflow has no tasks")
        sizes = self._file_sizes()
        names = list(dict.fromkeys(self.categories))
        code = {name: k for k, name in enumerate(names)}
        cores = np.ceil(optional_floats(self.cores, 1.0))
        workflow = Workflow.from_columns(
            name=self.name,
            ids=string_array(self.ids),
            runtime_s=self._runtimes(default_runtime_s),
            edges=self.edges,
            category=(names, np.fromiter(map(code.__getitem__, self.categories), np.int32)),
            vcpus=np.where(cores == 0, 1.0, cores),
            memory_bytes=optional_floats(self.memory_bytes, 0.0),
            gpus=np.ceil(optional_floats(self.gpus, 0.0)),
            files=FileTable.from_uses(
                string_array(self.file_names),
                sizes,
                (self.reads.task, self.reads.file),
                (self.writes.task, self.writes.file),
                len(self.ids),
            ),
            where=self.where,
            path=self.where,
        )
        return workflow.replace(notes=(*self.notes, *doubts_about_files(workflow)))

    def _runtimes(self, default_s: float | None) -> FloatArray:
        runtime = optional_floats(self.runtime_s)
        missing = np.isnan(runtime)
        if not missing.any():
            return runtime
        n = int(missing.sum())
        if default_s is None:
            others = f" (and {n - 1:,} more)" if n > 1 else ""
            raise InputError(
                f"{self.where}: task {self.ids[int(np.argmax(missing))]!r}{others}: no "
                f"{self.runtime_field}, expected seconds >= 0; a default runtime can be given"
            )
        if not 0 <= default_s < math.inf:
            raise InputError(f"default runtime: expected seconds >= 0, got {default_s!r}")
        self.notes.append(f"{counted(n, 'task')} without a runtime: {default_s:g} s assumed")
        return np.where(missing, default_s, runtime)

    def _file_sizes(self) -> IntArray:
        made = self.sizes or (self.writes.file, self.writes.size_bytes)
        read = (self.reads.file, self.reads.size_bytes)
        n = len(self.file_names)
        least, largest = np.full(n, np.inf), np.full(n, -np.inf)
        best = [np.full(n, -np.inf), np.full(n, -np.inf)]
        for most, (file, size) in zip(best, (made, read), strict=True):
            known = ~np.isnan(size)
            np.maximum.at(most, file[known], np.maximum(size[known], 0))
            np.minimum.at(least, file[known], size[known])
            np.maximum.at(largest, file[known], size[known])
        out = np.where(np.isfinite(best[0]), best[0], np.maximum(best[1], 0))
        if (out >= SIZE_LIMIT).any():
            k = int(np.argmax(out))
            raise InputError(
                f"{self.where}: file {self.file_names[k]!r}: expected a size below 2^62 bytes, "
                f"got {out[k]:g}"
            )
        self._note_sizes(least, largest)
        return frozen(np.rint(out), np.int64)

    def _note_sizes(self, least: FloatArray, largest: FloatArray) -> None:
        unknown = int(np.isinf(least).sum())
        negative = int((least < 0).sum())
        differing = int((largest > least).sum())
        if unknown:
            self.notes.append(f"{counted(unknown, 'file')} without a size: 0 bytes assumed")
        if negative:
            self.notes.append(f"{counted(negative, 'file')} with a negative size: 0 bytes assumed")
        if differing:
            self.notes.append(
                f"{counted(differing, 'file')} with differing sizes: "
                "the producer's counts, else the largest"
            )


def optional_floats(values: Sequence[float | None], default: float = math.nan) -> FloatArray:
    """Return the numbers as an array, ``default`` in the place of None."""
    return np.array([default if v is None else v for v in values], dtype=np.float64)


def numbered(names: Sequence[str]) -> dict[str, int]:
    """Return the index of each name; of a name that occurs twice, that of the last."""
    return {name: i for i, name in enumerate(names)}


def pairs(
    lists: Sequence[Sequence[str] | None], index: Mapping[str, int]
) -> tuple[IntArray, IntArray]:
    """Return rows (owner, member): the index of each list, and of each name in it or -1."""
    owner, flat = flattened(lists)
    return owner, np.fromiter(map(index.get, flat, repeat(-1)), np.int64, owner.size)


def flattened(lists: Sequence[Sequence[str] | None]) -> tuple[IntArray, Iterator[str]]:
    """Return the index of the list of each name, and the names one after the other."""
    full = [names or () for names in lists]
    counts = np.fromiter(map(len, full), np.int64, len(full))
    return np.repeat(np.arange(len(full)), counts), chain.from_iterable(full)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking millions of new objects again and again.

    Readers make many lists and no cycles; with the collector on they take several times as long.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def known_pairs(
    lists: Sequence[Sequence[str] | None],
    index: Mapping[str, int],
    ids: Sequence[str],
    role: str,
    where: str,
) -> tuple[IntArray, IntArray]:
    """Return :func:`pairs` of lists of tasks.

    Raises
    ------
    InputError
        A name is not a task's; ``role`` is "parent" or "child".
    """
    owner, member = pairs(lists, index)
    unknown = member < 0
    if unknown.any():
        n, row = int(unknown.sum()), int(np.argmax(unknown))
        task = int(owner[row])
        within = row - int(np.searchsorted(owner, task))
        name = (lists[task] or ())[within]
        others = f" (and {n - 1:,} more like it)" if n > 1 else ""
        raise InputError(
            f"{where}: task {ids[task]!r} names the {role} {name!r}, which is not a task{others}"
            + did_you_mean(name, list(index))
        )
    return owner, member


def file_edges(reads: Uses, writes: Uses, n_files: int) -> tuple[IntArray, IntArray]:
    """Return the edges from each file's producers to its other readers, as (parent, child)."""
    ptr, producers = csr(writes.file, writes.task, n_files)
    counts = np.diff(ptr)[reads.file]
    start = np.zeros(counts.size, dtype=np.int64)
    np.cumsum(counts[:-1], out=start[1:])
    within = np.arange(int(counts.sum())) - np.repeat(start, counts)
    parent = producers[np.repeat(ptr[reads.file], counts) + within].astype(np.int64)
    child = np.repeat(reads.task, counts)
    other = parent != child
    return parent[other], child[other]


def doubts_about_files(workflow: Workflow) -> list[str]:
    """Return notes on files that fit the declared edges badly; the edges are trusted."""
    files, level = workflow.files, workflow.level
    tasks = np.arange(len(workflow))
    writer = np.repeat(tasks, np.diff(files.output_ptr))
    reader = np.repeat(tasks, np.diff(files.input_ptr))
    n_writers = np.bincount(files.outputs, minlength=len(files))
    producer = np.full(len(files), -1)
    producer[files.outputs] = writer
    parent = producer[files.inputs]
    # An edge goes up in level: a reader that is not above its file's only producer surely need
    # not wait for it. A reader above may be ordered by a path, so that is no doubt.
    single = (parent >= 0) & (n_writers[files.inputs] == 1) & (parent != reader)
    unordered = int((single & (level[parent] >= level[reader])).sum())
    several = int((n_writers > 1).sum())
    notes = []
    if several:
        notes.append(
            f"{counted(several, 'file')} written by several tasks: "
            "only the declared edges order their readers"
        )
    if unordered:
        notes.append(
            f"{counted(unordered, 'read')} of a file that the declared edges do not put after "
            "the task that writes it: the edges are trusted"
        )
    return notes


def repeated(names: Sequence[str]) -> int:
    """Return how many names occur more than once."""
    return sum(n > 1 for n in Counter(names).values())
