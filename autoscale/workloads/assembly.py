"""What the generators share: random draws, splits of a size, and putting columns together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from autoscale.model.workflow import FileTable, Workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import FloatArray, IntArray, StringArray

_Parts = TypeVar("_Parts")

LEAST_RUNTIME_S = 0.001
"""Runtimes are rounded to this step and are never shorter."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity of a profile: drawn from a normal distribution cut at 0.5 and 1.5 means.

    The cut is symmetric, so the mean is kept; a standard deviation that is large against the mean
    shrinks towards that of the uniform distribution (0.289 means). It is the rule of the workflow
    generator of Bharathi et al. (2008).

    Parameters
    ----------
    mean
        Mean, > 0, in the unit of the quantity.
    sd
        Standard deviation before the cut, >= 0.
    """

    mean: float
    sd: float = 0.0

    def draw(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return ``n`` draws, by inversion."""
        if self.sd == 0:
            return np.full(n, self.mean)
        from scipy.special import ndtr, ndtri

        low = float(ndtr(-0.5 * self.mean / self.sd))
        out: FloatArray = self.mean + self.sd * ndtri(rng.uniform(low, 1 - low, n))
        return out


@dataclass(frozen=True, slots=True)
class GammaSpread:
    """A quantity of a profile: gamma distributed, for long tails and where nothing is known.

    Parameters
    ----------
    mean
        Mean, > 0, in the unit of the quantity.
    sd
        Standard deviation, >= 0.
    """

    mean: float
    sd: float = 0.0

    def draw(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return ``n`` draws."""
        if self.sd == 0:
            return np.full(n, self.mean)
        shape = (self.mean / self.sd) ** 2
        return rng.gamma(shape, self.mean / shape, n)


@dataclass(slots=True)
class Streams:
    """Independent random streams: the structure, the runtimes and the file sizes.

    Parameters
    ----------
    structure, runtime, size
        One generator for each cause, so that a change of one leaves the others as they were.
    """

    structure: np.random.Generator
    runtime: np.random.Generator
    size: np.random.Generator

    @classmethod
    def of(cls, rng: np.random.Generator) -> Streams:
        """Return streams derived from ``rng``."""
        return cls(*rng.spawn(3))


def nearest_size(n: int, split: Callable[[int], _Parts | None], reach: int = 20) -> _Parts:
    """Return the parts of the structurally valid size nearest to ``n``, the smaller of two.

    Parameters
    ----------
    n
        Number of tasks asked for.
    split
        The parts that make up a number of tasks, or None where no structure has that many.
    reach
        How far from ``n`` to look.
    """
    for distance in range(reach + 1):
        for size in (n - distance, n + distance):
            parts = split(size)
            if parts is not None:
                return parts
    raise AssertionError(f"no valid size within {reach} of {n}")


def shares(
    total: int, n: int, rng: np.random.Generator | None = None, tolerance: float = 0.0
) -> IntArray:
    """Split ``total`` into ``n`` nearly equal whole shares, each >= 1.

    Parameters
    ----------
    total, n
        What is split and into how many, total >= n >= 1.
    rng
        Draws the differences between shares; equal shares without.
    tolerance
        How far each boundary between shares moves at most, as a fraction of a share, in [0, 1).
    """
    at = np.arange(n + 1, dtype=np.float64)
    if rng is not None:
        at[1:-1] += rng.uniform(-0.5 * tolerance, 0.5 * tolerance, n - 1)
    cut: IntArray = np.floor(at * (total / n) + 1e-9).astype(np.int64)
    out: IntArray = cut[1:] - cut[:-1]
    return out if out.min() >= 1 else shares(total, n)


def numbered(stem: str, first: int, n: int, suffix: str = "") -> StringArray:
    """Return ``stem_0000001suffix`` and so on, seven digits or more."""
    dtype = np.dtypes.StringDType()
    digits = np.strings.zfill(np.arange(first, first + n).astype(dtype), 7)
    out = np.strings.add(np.array(stem + "_", dtype=dtype), digits)
    return np.strings.add(out, np.array(suffix, dtype=dtype)) if suffix else out


class Assembly:
    """Collects blocks of tasks and files; the edges follow from who writes what others read.

    Parameters
    ----------
    name
        What the workflow is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._categories: dict[str, int] = {}  # category -> tasks so far
        self._tasks: list[tuple[StringArray, FloatArray, int, int]] = []
        self._files: list[tuple[StringArray, IntArray]] = []
        self._reads: list[tuple[IntArray, IntArray]] = []
        self._writes: list[tuple[IntArray, IntArray]] = []
        self._n_tasks = 0
        self._n_files = 0

    def tasks(self, category: str, runtime_s: FloatArray, memory_bytes: int = 0) -> IntArray:
        """Add a block of tasks of one category and return their indices.

        Parameters
        ----------
        category
            Name of the program; ids are the category and a number.
        runtime_s
            One runtime each, in seconds; rounded to milliseconds.
        memory_bytes
            Peak memory of each, 0 where the profile states none.
        """
        n = runtime_s.size
        before = self._categories.setdefault(category, 0)
        self._categories[category] += n
        code = list(self._categories).index(category)
        rounded = np.maximum(np.round(runtime_s, 3), LEAST_RUNTIME_S)
        self._tasks.append((numbered(category, before + 1, n), rounded, code, memory_bytes))
        self._n_tasks += n
        return np.arange(self._n_tasks - n, self._n_tasks)

    def files(self, stem: str, suffix: str, size_bytes: FloatArray) -> IntArray:
        """Add a block of files and return their indices.

        Parameters
        ----------
        stem, suffix
            Names are the stem, a number and the suffix.
        size_bytes
            One size each, in bytes; rounded to whole bytes, at least 1.
        """
        names = numbered(stem, 1, size_bytes.size, suffix)
        return self._add_files(names, np.maximum(np.rint(size_bytes), 1).astype(np.int64))

    def file(self, name: str, size_bytes: float) -> IntArray:
        """Add one file of that very name and return its index, as an array of one."""
        names = np.array([name], dtype=np.dtypes.StringDType())
        return self._add_files(names, np.array([max(1, round(size_bytes))], dtype=np.int64))

    def _add_files(self, names: StringArray, size_bytes: IntArray) -> IntArray:
        self._files.append((names, size_bytes))
        self._n_files += size_bytes.size
        return np.arange(self._n_files - size_bytes.size, self._n_files)

    def reads(self, tasks: IntArray, files: IntArray) -> None:
        """Say that each task reads the file beside it; an array of one goes with all."""
        self._reads.append(tuple(np.broadcast_arrays(tasks, files)))  # type: ignore[arg-type]

    def writes(self, tasks: IntArray, files: IntArray) -> None:
        """Say that each task writes the file beside it; an array of one goes with all."""
        self._writes.append(tuple(np.broadcast_arrays(tasks, files)))  # type: ignore[arg-type]

    def build(self) -> Workflow:
        """Return the workflow: one edge from the writer of each file to each of its readers."""
        reads, writes = _pairs(self._reads), _pairs(self._writes)
        writer = np.full(self._n_files, -1, dtype=np.int64)
        writer[writes[1]] = writes[0]
        parent = writer[reads[1]]
        inside = parent >= 0
        counts = [block[1].size for block in self._tasks]
        table = FileTable.from_uses(
            np.concatenate([names for names, _ in self._files]),
            np.concatenate([sizes for _, sizes in self._files]),
            reads,
            writes,
            self._n_tasks,
        )
        return Workflow.from_columns(
            name=self._name,
            ids=np.concatenate([block[0] for block in self._tasks]),
            runtime_s=np.concatenate([block[1] for block in self._tasks]),
            edges=(parent[inside], reads[0][inside]),
            category=(tuple(self._categories), np.repeat([b[2] for b in self._tasks], counts)),
            memory_bytes=np.repeat([block[3] for block in self._tasks], counts),
            files=table,
            where=f"generated workflow {self._name!r}",
        )


def _pairs(blocks: list[tuple[IntArray, IntArray]]) -> tuple[Any, Any]:
    return (
        np.concatenate([tasks for tasks, _ in blocks]),
        np.concatenate([files for _, files in blocks]),
    )
