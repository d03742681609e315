"""Workflows of plain shapes: random layers, fork and join, chain.

They follow no application: runtimes and file sizes are gamma distributed with the mean and the
coefficient of variation asked for. Each task writes one file, which all its children read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.workloads.assembly import (
    LEAST_RUNTIME_S,
    Assembly,
    GammaSpread,
    Streams,
    shares,
)

if TYPE_CHECKING:
    from autoscale.model.arrays import IntArray
    from autoscale.model.workflow import Workflow


def layered(
    n_tasks: int,
    rng: np.random.Generator,
    *,
    levels: int | None = None,
    width_cv: float = 0.5,
    fan_in: float = 2.0,
    runtime_mean_s: float = 60.0,
    runtime_cv: float = 0.5,
    file_mean_bytes: float = 1e7,
) -> Workflow:
    """Return a workflow of random layers, exactly ``n_tasks`` from 1 on.

    Every task but those of the first level has one parent in the level before, drawn uniformly,
    and a Poisson number of further ones, drawn with replacement; a parent drawn twice counts
    once. So a task's level is the layer it was put in.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    rng
        Source of randomness.
    levels
        Number of levels, 1 to ``n_tasks``; the root of ``n_tasks`` if None.
    width_cv
        Coefficient of variation of the levels' expected widths, 0 to 10.
    fan_in
        Mean number of parents drawn, 1 to 1000.
    runtime_mean_s, runtime_cv
        Mean runtime in seconds, 0.001 to 1e9, and its coefficient of variation, 0 to 10.
    file_mean_bytes
        Mean size of the file that a task writes, in bytes, 1 to 1e15; same coefficient of
        variation.

    Raises
    ------
    InputError
        An option outside its range.
    """
    depth = max(1, round(n_tasks**0.5)) if levels is None else levels
    _check("levels", depth, 1, n_tasks, whole=True)
    _check("width_cv", width_cv, 0, 10)
    _check("fan_in", fan_in, 1, 1000)
    streams = Streams.of(rng)
    weight = GammaSpread(1.0, width_cv).draw(streams.structure, depth)
    weight = np.maximum(weight, 1e-12)  # a draw of exactly 0 for all levels would have no sum
    width = 1 + streams.structure.multinomial(n_tasks - depth, weight / weight.sum())
    start = np.cumsum(width) - width

    level = np.repeat(np.arange(depth), width)
    child = np.arange(width[0], n_tasks)
    extra = streams.structure.poisson(fan_in - 1, child.size)
    child = np.concatenate([child, np.repeat(child, extra)])
    above = level[child] - 1
    place = (streams.structure.random(child.size) * width[above]).astype(np.int64)
    parent = start[above] + place
    spread = (runtime_mean_s, runtime_cv, file_mean_bytes)
    return _assemble(f"random-{n_tasks}", [("task", n_tasks)], (parent, child), spread, streams)


def fork_join(
    n_tasks: int,
    rng: np.random.Generator,
    *,
    stages: int | None = None,
    runtime_mean_s: float = 60.0,
    runtime_cv: float = 0.5,
    file_mean_bytes: float = 1e7,
) -> Workflow:
    """Return S stages of parallel work, each joined, of exactly ``n_tasks`` from 3 on.

    ``fork`` -> w ``work`` -> ``join`` -> w ``work`` -> ``join`` ..., with ``n = 1 + S + W`` for W
    tasks ``work`` shared out evenly among the stages; 2 S + 1 levels and 2 W edges.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    rng
        Source of randomness.
    stages
        Number of stages, 1 to ``(n_tasks - 1) / 2``; a third of the root of ``n_tasks`` if None.
    runtime_mean_s, runtime_cv, file_mean_bytes
        As for :func:`layered`.

    Raises
    ------
    InputError
        An option outside its range.
    """
    n = max(3, n_tasks)
    n_stages = max(1, round(n**0.5 / 3)) if stages is None else stages
    most = (n - 1) // 2
    _check("stages", n_stages, 1, most, whole=True)
    n_work = n - 1 - n_stages
    stage = np.repeat(np.arange(n_stages), shares(n_work, n_stages))
    work = 1 + np.arange(n_work)
    join = 1 + n_work + np.arange(n_stages)
    before = np.concatenate([[0], join])[stage]
    edges = (np.concatenate([before, work]), np.concatenate([work, join[stage]]))
    blocks = [("fork", 1), ("work", n_work), ("join", n_stages)]
    spread = (runtime_mean_s, runtime_cv, file_mean_bytes)
    return _assemble(f"fork-join-{n}", blocks, edges, spread, Streams.of(rng))


def chain(
    n_tasks: int,
    rng: np.random.Generator,
    *,
    runtime_mean_s: float = 60.0,
    runtime_cv: float = 0.5,
    file_mean_bytes: float = 1e7,
) -> Workflow:
    """Return exactly ``n_tasks`` tasks one after another: ``n`` levels and ``n - 1`` edges.

    Parameters
    ----------
    n_tasks
        Number of tasks, >= 1.
    rng
        Source of randomness.
    runtime_mean_s, runtime_cv, file_mean_bytes
        As for :func:`layered`.

    Raises
    ------
    InputError
        An option outside its range.
    """
    step = np.arange(n_tasks)
    spread = (runtime_mean_s, runtime_cv, file_mean_bytes)
    edges = (step[:-1], step[1:])
    return _assemble(f"chain-{n_tasks}", [("step", n_tasks)], edges, spread, Streams.of(rng))


def _assemble(
    name: str,
    blocks: list[tuple[str, int]],
    edges: tuple[IntArray, IntArray],
    spread: tuple[float, float, float],
    streams: Streams,
) -> Workflow:
    runtime_mean_s, cv, file_mean_bytes = spread
    _check("runtime_mean_s", runtime_mean_s, LEAST_RUNTIME_S, 1e9)
    _check("runtime_cv", cv, 0, 10)
    _check("file_mean_bytes", file_mean_bytes, 1, 1e15)
    runtime = GammaSpread(runtime_mean_s, cv * runtime_mean_s)
    size = GammaSpread(file_mean_bytes, cv * file_mean_bytes)
    asm = Assembly(name)
    tasks = np.concatenate(
        [asm.tasks(category, runtime.draw(streams.runtime, n)) for category, n in blocks]
    )
    files = asm.files("result", ".dat", size.draw(streams.size, tasks.size))
    asm.writes(tasks, files)
    parent, child = edges
    asm.reads(tasks[child], files[parent])
    return asm.build()


def _check(option: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    kind = (int, np.integer) if whole else (int, float, np.number)
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        raise InputError(
            f"option {option!r}: expected a {'whole ' if whole else ''}number "
            f"from {low:,} to {high:,}, got {value!r}"
        )
