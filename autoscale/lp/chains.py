"""Precedence rows: tasks that follow one another share the time there is, whatever types they take.

Windows let every task of a chain use all the slack. On chains that are too long on cheap types,
tasks get a start time S and obey, besides,

    S_j >= S_i + sum_{k,b} d_ik x[i,k,b]        for every edge i -> j among them,
    S_i +  sum_{k,b} d_ik x[i,k,b] <= H         for the last ones,

where tasks that are not groups of their own count with their shortest duration. This is the
relaxed time-cost tradeoff (real type choices, real start times), joined to the fleet model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.model import graph

if TYPE_CHECKING:
    from autoscale.lp.fleet import FleetModel
    from autoscale.lp.model import Box
    from autoscale.lp.windows import Windows
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem

MOST_SINGLES = 24
"""Tasks that are groups of their own, at most."""

MOST_TASKS = 600
"""Above so many tasks on long chains, the rows are left out: the model would be too large."""


@dataclass(frozen=True, slots=True)
class LongChains:
    """The tasks on chains that cheap types make too long.

    Parameters
    ----------
    tasks
        All of them.
    singles
        Those that are groups of their own: the ones that a fast type helps most.
    """

    tasks: IntArray
    singles: IntArray


def long_chains(problem: Problem, horizon_s: float) -> LongChains:
    """Return the tasks whose chains do not fit the horizon on cheap types."""
    w, catalog = problem.workflow, problem.catalog
    # By what a machine costs as a whole: a small part of a huge one cannot be rented.
    alone = (problem.duration_s + problem.boot_s) * catalog.price_per_s
    cheapest = np.argmin(alone, axis=1)
    cheap = problem.duration_s[np.arange(cheapest.size), cheapest][problem.task_class]
    through = graph.earliest_finish_s(w, cheap) + graph.tail_s(w, cheap)
    tasks = np.flatnonzero(through > horizon_s * (1 + 1e-6))
    if tasks.size > MOST_TASKS:
        tasks = tasks[:0]
    gain = (cheap - problem.fastest_s)[tasks]
    order = np.argsort(-gain, kind="stable")[:MOST_SINGLES]
    singles = tasks[order[gain[order] > 1e-3 * horizon_s]]
    return LongChains(tasks, np.sort(singles))


def add_precedence(
    fleet: FleetModel, problem: Problem, chains: LongChains, windows: Windows
) -> None:
    """Add start times and the rows ``after`` (one an edge) and ``by the end`` (one a task)."""
    tasks, singles = chains.tasks, chains.singles
    if singles.size == 0:
        return
    w, model, shortest = problem.workflow, fleet.model, problem.fastest_s * fleet.forgiven
    number = np.full(len(w), -1)
    number[tasks] = np.arange(tasks.size)
    last_start = windows.latest_end_s - shortest
    start = model.add_variables(
        "S",
        tasks.size,
        low=windows.earliest_start_s[tasks],
        high=np.maximum(last_start, windows.earliest_start_s)[tasks],
    )
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    parent = w.parents.astype(np.int64)
    inner = (number[child] >= 0) & (number[parent] >= 0)
    child, parent = child[inner], parent[inner]
    cell, task = _cells_of(fleet, singles)
    fixed = np.where(np.isin(np.arange(len(w)), singles), 0.0, shortest)
    # Each edge, and each task towards the end: S of the later side minus S minus duration >= 0.
    owner = np.concatenate([parent, tasks])
    row_of_owner, entry = _matches(owner, task)
    edge = np.arange(parent.size)
    rows = np.arange(owner.size)
    model.add_rows(
        "after",
        np.concatenate([edge, rows, row_of_owner]),
        np.concatenate([start[number[child]], start[number[owner]], fleet.x[cell[entry]]]),
        np.concatenate(
            [
                np.ones(edge.size),
                -np.ones(rows.size),
                -fleet.groups.shortest_s[fleet.group[cell[entry]], fleet.kind[cell[entry]]],
            ]
        ),
        low=fixed[owner] - np.where(rows < edge.size, 0.0, windows.latest_end_s[owner]),
    )


def narrow_precedence(
    box: Box, fleet: FleetModel, problem: Problem, chains: LongChains, windows: Windows
) -> None:
    """Narrow the start times and the rows ``by the end`` to windows within the model's own."""
    if "S" not in fleet.model.variables:
        return
    tasks, shortest = chains.tasks, problem.fastest_s * fleet.forgiven
    columns, rows = fleet.model.variables["S"], fleet.model.rows["after"]
    earliest, latest = windows.earliest_start_s[tasks], windows.latest_end_s[tasks]
    box.low[columns] = earliest
    box.high[columns] = np.maximum(latest - shortest[tasks], earliest)
    fixed = np.where(np.isin(tasks, chains.singles), 0.0, shortest[tasks])
    box.row_low[rows.stop - tasks.size : rows.stop] = fixed - latest


def precedence_prices(
    fleet: FleetModel, problem: Problem, chains: LongChains, dual: FloatArray
) -> FloatArray:
    """Return what a second of each group's task is worth by the rows' multipliers (<= 0)."""
    price = np.zeros(len(fleet.groups))
    if "after" not in fleet.model.rows:
        return price
    w, tasks = problem.workflow, chains.tasks
    inside = np.zeros(len(w), dtype=bool)
    inside[tasks] = True
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    kept = inside[child] & inside[w.parents]
    owner = np.concatenate([w.parents[kept].astype(np.int64), tasks])
    per_task = np.bincount(owner, weights=-dual[fleet.model.rows["after"]], minlength=len(w))
    price[fleet.groups.of_task[chains.singles]] = per_task[chains.singles]
    return price


def _cells_of(fleet: FleetModel, singles: IntArray) -> tuple[IntArray, IntArray]:
    """Return the x variables of the single tasks, and whose they are."""
    task_of_group = np.full(len(fleet.groups), -1)
    task_of_group[fleet.groups.of_task[singles]] = singles
    cell = np.flatnonzero(task_of_group[fleet.group] >= 0)
    return cell, task_of_group[fleet.group[cell]]


def _matches(owner: IntArray, task: IntArray) -> tuple[IntArray, IntArray]:
    """Return all pairs (row, entry) with ``owner[row] == task[entry]``."""
    order = np.argsort(task, kind="stable")
    low = np.searchsorted(task[order], owner, side="left")
    high = np.searchsorted(task[order], owner, side="right")
    count = high - low
    row = np.repeat(np.arange(owner.size), count)
    within = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
    return row, order[np.repeat(low, count) + within]
