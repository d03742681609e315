"""The workflow: a directed acyclic graph of tasks, stored as columns.

Tasks are numbered in topological order (by level, then in the order given), so that forward and
backward passes are plain loops. A million tasks need no Python object each; :class:`Task` is a
view made on demand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.model.arrays import (
    FloatArray,
    Int32Array,
    IntArray,
    StringArray,
    csr,
    distinct,
    frozen,
    string_array,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True, slots=True)
class FileTable:
    """The files of a workflow and which tasks read and write them.

    Parameters
    ----------
    names
        File names, one each.
    size_bytes
        Sizes in bytes, >= 0.
    input_ptr, inputs
        CSR: the distinct files that each task reads.
    output_ptr, outputs
        CSR: the distinct files that each task writes.
    """

    names: StringArray
    size_bytes: IntArray
    input_ptr: IntArray
    inputs: Int32Array
    output_ptr: IntArray
    outputs: Int32Array

    def __len__(self) -> int:
        return int(self.size_bytes.size)

    @classmethod
    def empty(cls, n_tasks: int) -> FileTable:
        """Return a table without files."""
        none = np.zeros(0, dtype=np.int64)
        ptr, members = csr(none, none, n_tasks)
        return cls(string_array([]), frozen(none, np.int64), ptr, members, ptr, members)

    @classmethod
    def from_uses(
        cls,
        names: StringArray,
        size_bytes: Any,
        reads: tuple[Any, Any],
        writes: tuple[Any, Any],
        n_tasks: int,
    ) -> FileTable:
        """Return the table of (task, file) index pairs; a pair given twice counts once."""
        columns: list[Any] = []
        n_files = max(1, len(names))
        for task, file in (reads, writes):
            key = np.asarray(task, dtype=np.int64) * n_files + np.asarray(file, dtype=np.int64)
            # Keep first mentions, in their order, so that a file reads back as it was written.
            if key.size:
                key = key[np.sort(np.unique(key, return_index=True)[1])]
            columns += csr(key // n_files, key % n_files, n_tasks)
        return cls(names, frozen(size_bytes, np.int64), *columns)

    def permuted(self, order: IntArray) -> FileTable:
        """Return the table with tasks renumbered: new task ``j`` was task ``order[j]``."""
        columns: list[Any] = []
        for ptr, members in ((self.input_ptr, self.inputs), (self.output_ptr, self.outputs)):
            columns += _permute_csr(ptr, members, order)
        return FileTable(self.names, self.size_bytes, *columns)


def _permute_csr(
    ptr: IntArray, members: Int32Array, order: IntArray
) -> tuple[IntArray, Int32Array]:
    counts = np.diff(ptr)[order]
    new_ptr = np.zeros(order.size + 1, dtype=np.int64)
    np.cumsum(counts, out=new_ptr[1:])
    within = np.arange(new_ptr[-1]) - np.repeat(new_ptr[:-1], counts)
    taken = members[np.repeat(ptr[:-1][order], counts) + within]
    return frozen(new_ptr, np.int64), frozen(taken, np.int32)


@dataclass(frozen=True, slots=True)
class Task:
    """A view of one task; see :class:`Workflow` for units."""

    index: int
    id: str
    category: str
    runtime_s: float
    vcpus: int
    memory_bytes: int
    gpus: int
    in_bytes: float
    out_bytes: float
    parents: tuple[str, ...]
    children: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Workflow:
    """A DAG of tasks as columns, in topological order.

    Make one with :meth:`from_columns`, :class:`WorkflowBuilder` or a reader of
    ``autoscale.formats``; the constructor itself checks nothing.

    Parameters
    ----------
    name
        What the workflow is called.
    ids
        Unique task ids, shape (n,).
    categories, category
        Names of the programs, and each task's index into them, shape (n,).
    runtime_s
        Reference runtimes in seconds on a core of speed 1.0, >= 0, shape (n,).
    vcpus, memory_bytes, gpus
        What a task holds while it runs: whole vCPUs >= 1, bytes, GPUs, shape (n,).
    parent_ptr, parents, child_ptr, children
        CSR adjacency, both ways; neighbours in ascending order.
    level
        Longest edge count from an entry task, shape (n,); non-decreasing.
    files
        Files read and written.
    in_bytes, out_bytes
        Bytes that a task fetches before and stores after its computation, shape (n,).
    deadline_s, budget_usd
        Limits that the workflow's own file asks for, or None.
    priority, release_s
        Weight among workflows; time of submission in seconds.
    path
        The file it was read from, or None.
    notes
        What was doubtful in the input, one line each.
    """

    name: str
    ids: StringArray
    categories: tuple[str, ...]
    category: Int32Array
    runtime_s: FloatArray
    vcpus: Int32Array
    memory_bytes: IntArray
    gpus: Int32Array
    parent_ptr: IntArray
    parents: Int32Array
    child_ptr: IntArray
    children: Int32Array
    level: Int32Array
    files: FileTable
    in_bytes: FloatArray
    out_bytes: FloatArray
    deadline_s: float | None = None
    budget_usd: float | None = None
    priority: float = 1.0
    release_s: float = 0.0
    path: str | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.runtime_s.size)

    def __repr__(self) -> str:
        return (
            f"Workflow({self.name!r}: {len(self):,} tasks, {self.n_edges:,} edges, "
            f"{self.n_levels} levels, {self.runtime_s.sum():,.0f} s of work)"
        )

    @property
    def n_edges(self) -> int:
        """Number of parent-child pairs."""
        return int(self.parents.size)

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return int(self.level[-1]) + 1 if len(self) else 0

    @cached_property
    def index_of(self) -> dict[str, int]:
        """Task index by id; built on first use, one Python object a task."""
        return {task_id: i for i, task_id in enumerate(self.ids.tolist())}

    def parents_of(self, i: int) -> Int32Array:
        """Return the indices of task ``i``'s parents."""
        return self.parents[self.parent_ptr[i] : self.parent_ptr[i + 1]]

    def children_of(self, i: int) -> Int32Array:
        """Return the indices of task ``i``'s children."""
        return self.children[self.child_ptr[i] : self.child_ptr[i + 1]]

    def task(self, which: int | str) -> Task:
        """Return a view of one task, by index or id.

        Raises
        ------
        KeyError
            When no task has that id.
        """
        i = self.index_of[which] if isinstance(which, str) else range(len(self))[which]
        return Task(
            index=i,
            id=str(self.ids[i]),
            category=self.categories[self.category[i]],
            runtime_s=float(self.runtime_s[i]),
            vcpus=int(self.vcpus[i]),
            memory_bytes=int(self.memory_bytes[i]),
            gpus=int(self.gpus[i]),
            in_bytes=float(self.in_bytes[i]),
            out_bytes=float(self.out_bytes[i]),
            parents=tuple(self.ids[self.parents_of(i)].tolist()),
            children=tuple(self.ids[self.children_of(i)].tolist()),
        )

    def __iter__(self) -> Iterator[Task]:
        return (self.task(i) for i in range(len(self)))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a task, in topological order."""
        import pandas as pd

        return pd.DataFrame(
            {
                "task": self.ids.tolist(),
                "category": pd.Categorical.from_codes(
                    self.category.astype(np.int64), pd.Index(self.categories)
                ),
                "level": self.level,
                "runtime_s": self.runtime_s,
                "vcpus": self.vcpus,
                "memory_bytes": self.memory_bytes,
                "gpus": self.gpus,
                "in_bytes": self.in_bytes,
                "out_bytes": self.out_bytes,
                "n_parents": np.diff(self.parent_ptr),
                "n_children": np.diff(self.child_ptr),
            }
        )

    def replace(self, **changes: Any) -> Workflow:
        """Return a copy with other scalar attributes (name, limits, priority, notes)."""
        return replace(self, **changes)

    @classmethod
    def from_columns(
        cls,
        *,
        name: str,
        ids: Any,
        runtime_s: Any,
        edges: tuple[Any, Any],
        category: tuple[Sequence[str], Any] | None = None,
        vcpus: Any = 1,
        memory_bytes: Any = 0,
        gpus: Any = 0,
        files: FileTable | None = None,
        where: str = "workflow",
        **scalars: Any,
    ) -> Workflow:
        """Check the columns, sort the tasks topologically and return the workflow.

        Parameters
        ----------
        name, ids, runtime_s, vcpus, memory_bytes, gpus
            See the class; a scalar stands for every task.
        edges
            Two integer arrays: parent index and child index of each edge, in the order of
            ``ids``; repeated edges count once.
        category
            Names, and each task's index into them; one category of the workflow's name if None.
        files
            Files in the order of ``ids``.
        where
            What messages call the source, for example its path.
        **scalars
            ``deadline_s``, ``budget_usd``, ``priority``, ``release_s``, ``path``, ``notes``.

        Raises
        ------
        InputError
            Empty workflow, duplicate ids, bad numbers, self-loops or cycles (shown).
        """
        id_column = ids if isinstance(ids, np.ndarray) else string_array(ids)
        n = len(id_column)
        if n == 0:
            raise InputError(f"{where}: the workflow has no tasks")
        _check_ids(id_column, where)
        columns: dict[str, Any] = {
            "runtime_s": _number_column("runtime", runtime_s, n, np.float64, 0, id_column, where),
            "vcpus": _number_column("vCPUs", vcpus, n, np.int32, 1, id_column, where),
            "memory_bytes": _number_column(
                "memory", memory_bytes, n, np.int64, 0, id_column, where
            ),
            "gpus": _number_column("GPUs", gpus, n, np.int32, 0, id_column, where),
        }
        names, codes = category if category is not None else ((name,), np.zeros(n, np.int32))
        parent, child = _unique_edges(edges, n, id_column, where)
        level = _levels(parent, child, n, id_column, where)
        order = np.argsort(level, kind="stable")
        columns = {key: frozen(values[order], values.dtype) for key, values in columns.items()}
        rank = np.empty(n, dtype=np.int64)
        rank[order] = np.arange(n)
        table = (files or FileTable.empty(n)).permuted(order)
        # By child, then parent: the adjacency depends on the tasks' order alone, not the edges'.
        child, parent = np.divmod(np.sort(rank[child] * n + rank[parent]), n)
        parent_ptr, parents = csr(child, parent, n)
        child_ptr, children = csr(parent, child, n)
        return cls(
            name=name,
            ids=frozen_strings(id_column[order]),
            categories=tuple(names),
            category=frozen(np.asarray(codes)[order], np.int32),
            parent_ptr=parent_ptr,
            parents=parents,
            child_ptr=child_ptr,
            children=children,
            level=frozen(level[order], np.int32),
            files=table,
            in_bytes=_bytes_per_task(table.input_ptr, table.inputs, table.size_bytes),
            out_bytes=_bytes_per_task(table.output_ptr, table.outputs, table.size_bytes),
            **columns,
            **scalars,
        )


def frozen_strings(values: StringArray) -> StringArray:
    """Return the string column read-only."""
    values.flags.writeable = False
    return values


def _bytes_per_task(ptr: IntArray, members: Int32Array, size_bytes: IntArray) -> FloatArray:
    # Summing task by task (not by a difference of running sums) keeps small sizes exact.
    from autoscale.model.kernels import group_sums

    return frozen(group_sums(ptr, members, size_bytes.astype(np.float64)), np.float64)


def _check_ids(ids: StringArray, where: str) -> None:
    unique, first, counts = np.unique(ids, return_index=True, return_counts=True)
    if unique.size < ids.size:
        twice = unique[counts > 1][np.argsort(first[counts > 1])]
        raise InputError(
            f"{where}: task ids must be unique, but {twice.size} occur more than once, "
            f"first {str(twice[0])!r}"
        )
    if str(unique[0]) == "":
        raise InputError(f"{where}: task number {int(first[0])} has an empty id")


def _number_column(
    label: str, values: Any, n: int, dtype: Any, least: int, ids: StringArray, where: str
) -> Any:
    raw = np.broadcast_to(np.asarray(values), (n,))
    if raw.dtype == object:  # integers beyond 64 bits
        raw = raw.astype(np.float64)
    most = math.inf if dtype is np.float64 else float(np.iinfo(dtype).max)
    bad = ~(np.isfinite(raw) & (raw >= least) & (raw < most))
    if bad.any():
        i = int(np.argmax(bad))
        below = "" if math.isinf(most) else f" and below {most:.3g}"
        raise InputError(
            f"{where}: task {str(ids[i])!r}: {label} must be a finite number >= {least}"
            f"{below}, got {raw[i].item()!r}"
            + (f" (and {int(bad.sum()) - 1} more tasks)" if bad.sum() > 1 else "")
        )
    return raw.astype(dtype)


def _unique_edges(
    edges: tuple[Any, Any], n: int, ids: StringArray, where: str
) -> tuple[IntArray, IntArray]:
    parent = np.asarray(edges[0], dtype=np.int64)
    child = np.asarray(edges[1], dtype=np.int64)
    loops = parent == child
    if loops.any():
        raise InputError(
            f"{where}: task {str(ids[child[np.argmax(loops)]])!r} is its own parent; "
            "remove the edge"
        )
    key = distinct(child * n + parent)
    return key % n, key // n


def _levels(parent: IntArray, child: IntArray, n: int, ids: StringArray, where: str) -> Int32Array:
    from autoscale.model import kernels

    parent_ptr, parents = csr(child, parent, n)
    child_ptr, children = csr(parent, child, n)
    level: Int32Array = kernels.levels(parent_ptr, parents, child_ptr, children)
    if (level < 0).any():
        cycle = _find_cycle(parent_ptr, parents, level)
        shown = [str(ids[i]) for i in cycle]
        if len(shown) > 12:
            shown = [*shown[:6], f"... {len(shown) - 11} more ...", *shown[-5:]]
        raise InputError(
            f"{where}: the tasks form a cycle, so none of them can start first: "
            + " -> ".join(shown)
        )
    return level


def _find_cycle(parent_ptr: IntArray, parents: Int32Array, level: Int32Array) -> list[int]:
    """Walk from a stuck task to stuck parents until one repeats; return the loop, closed."""
    seen: dict[int, int] = {}
    path: list[int] = []
    i = int(np.argmax(level < 0))
    while i not in seen:
        seen[i] = len(path)
        path.append(i)
        above = parents[parent_ptr[i] : parent_ptr[i + 1]]
        i = int(above[level[above] < 0][0])
    loop = path[seen[i] :][::-1]
    return [*loop, loop[0]]


@dataclass(slots=True)
class WorkflowBuilder:
    """Build a workflow task by task, for people and small tests.

    Examples
    --------
    >>> builder = WorkflowBuilder("two steps")
    >>> _ = builder.add("first", runtime_s=60, outputs={"a.dat": 1e6})
    >>> _ = builder.add("second", runtime_s=30, parents=["first"], inputs={"a.dat": 1e6})
    >>> builder.build()
    Workflow('two steps': 2 tasks, 1 edges, 2 levels, 90 s of work)
    """

    name: str
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        task_id: str,
        *,
        runtime_s: float,
        parents: Sequence[str] = (),
        category: str | None = None,
        vcpus: float = 1,
        memory_bytes: float = 0,
        gpus: int = 0,
        inputs: Mapping[str, float] | None = None,
        outputs: Mapping[str, float] | None = None,
    ) -> WorkflowBuilder:
        """Add a task and return the builder; parents may be added later.

        Parameters
        ----------
        task_id
            Unique id.
        runtime_s
            Seconds on a core of speed 1.0.
        parents
            Ids of the tasks that must end first.
        category
            The program it runs; the id if None.
        vcpus, memory_bytes, gpus
            What it holds while it runs; fractions of a vCPU round up.
        inputs, outputs
            File names and sizes in bytes.
        """
        self._rows.append(
            {
                "id": task_id,
                "runtime_s": runtime_s,
                "parents": tuple(parents),
                "category": category or task_id,
                "vcpus": math.ceil(vcpus) if math.isfinite(vcpus) else vcpus,
                "memory_bytes": memory_bytes,
                "gpus": gpus,
                "inputs": dict(inputs or {}),
                "outputs": dict(outputs or {}),
            }
        )
        return self

    def build(self) -> Workflow:
        """Return the workflow.

        Raises
        ------
        InputError
            Unknown parents, and whatever :meth:`Workflow.from_columns` refuses.
        """
        rows = self._rows
        index = {row["id"]: i for i, row in enumerate(rows)}
        parent, child = [], []
        for i, row in enumerate(rows):
            for p in row["parents"]:
                if p not in index:
                    raise InputError(
                        f"workflow {self.name!r}: task {row['id']!r} names the parent {p!r}, "
                        "which is not a task"
                    )
                parent.append(index[p])
                child.append(i)
        names = list(dict.fromkeys(row["category"] for row in rows))
        code = {c: k for k, c in enumerate(names)}
        return Workflow.from_columns(
            name=self.name,
            ids=[row["id"] for row in rows],
            runtime_s=[row["runtime_s"] for row in rows],
            edges=(parent, child),
            category=(names, [code[row["category"]] for row in rows]),
            vcpus=[row["vcpus"] for row in rows],
            memory_bytes=[row["memory_bytes"] for row in rows],
            gpus=[row["gpus"] for row in rows],
            files=self._files(),
            where=f"workflow {self.name!r}",
        )

    def _files(self) -> FileTable:
        sizes: dict[str, float] = {}
        for key in ("inputs", "outputs"):  # what the producer states counts, so outputs last
            for row in self._rows:
                for file, size in row[key].items():
                    sizes[file] = size if key == "outputs" else max(size, sizes.get(file, 0))
        index = {file: i for i, file in enumerate(sizes)}
        uses = {
            key: [(i, index[file]) for i, row in enumerate(self._rows) for file in row[key]]
            for key in ("inputs", "outputs")
        }
        pairs = {k: (tuple(zip(*v, strict=True)) if v else ((), ())) for k, v in uses.items()}
        return FileTable.from_uses(
            string_array(sizes),
            list(sizes.values()),
            pairs["inputs"],  # type: ignore[arg-type]
            pairs["outputs"],  # type: ignore[arg-type]
            len(self._rows),
        )
