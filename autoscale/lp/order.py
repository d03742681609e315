"""Precedence among stages: what follows one another shares the slack, whatever types it takes.

Windows let every stage of a workflow use all the slack, so that in the relaxation each of them may
run on slow and cheap machines. A stage is the tasks of one category on one level. With A the mean
start of a stage's tasks and D their mean duration,

    A_t >= A_s + D_s      where the tasks of t can be paired evenly with tasks of s before them,
    A_s + D_s <= the mean latest end,
    D_s >= sum_{g in s} sum_{k,b} seconds_gk x[g,k,b] / |s|.

An even pairing gives every task of t the same weight, every task of s the same weight, and weight
only to pairs in which the task of t follows that of s: then the mean start of t is a mean of
starts that come after ends whose mean is A_s + D_s. It is found as a maximum flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autoscale.lp.fleet import FleetModel
    from autoscale.lp.model import Box
    from autoscale.lp.windows import Windows
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem

MOST_STAGES = 150
"""Above so many stages the rows are left out."""

MOST_CHOSEN = 30
"""Stages whose durations depend on the types in the model; the others take their shortest."""

MOST_PAIRS = 400_000
"""Pairs of tasks among which an even pairing is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class StageOrder:
    """The stages of a workflow and which follow which.

    Parameters
    ----------
    of_task
        Stage of each task.
    size
        Tasks in each stage.
    before, after
        Pairs of stages, such that the mean start of the second is at least the mean end of the
        first.
    chosen
        Whether the durations of a stage depend on the types: those with most work.
    """

    of_task: IntArray
    size: IntArray
    before: IntArray
    after: IntArray
    chosen: Any

    @property
    def key(self) -> IntArray:
        """Return the chosen stage of each task, counted from 1; 0 for the others."""
        number = np.where(self.chosen, np.arange(1, self.size.size + 1), 0)
        out: IntArray = number[self.of_task]
        return out


def stage_order(problem: Problem) -> StageOrder | None:
    """Return the stages, or None where there are too many, or none follows another evenly."""
    w = problem.workflow
    key = w.level.astype(np.int64) * len(w.categories) + w.category
    _, of_task = np.unique(key, return_inverse=True)
    size = np.bincount(of_task)
    if not 1 < size.size <= MOST_STAGES:
        return None
    work = np.bincount(of_task, weights=problem.fastest_s * w.vcpus)
    ranked = np.argsort(-work, kind="stable")[:MOST_CHOSEN]
    chosen = np.zeros(size.size, dtype=bool)
    chosen[ranked] = work[ranked] > 0
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    parent = w.parents.astype(np.int64)
    pair = of_task[parent] * size.size + of_task[child]
    order = np.argsort(pair, kind="stable")
    pairs, first = np.unique(pair[order], return_index=True)
    before, after = [], []
    for number, edges in enumerate(np.split(order, first[1:])):
        s, t = divmod(int(pairs[number]), size.size)
        if _evenly_paired(parent[edges], child[edges], int(size[s]), int(size[t])):
            before.append(s)
            after.append(t)
    if not before:
        return None
    return StageOrder(of_task, size, np.array(before), np.array(after), chosen)


def _evenly_paired(parent: IntArray, child: IntArray, n_parents: int, n_children: int) -> bool:
    """Return whether weights on the edges give all parents the same, and all children the same."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    parents, p = np.unique(parent, return_inverse=True)
    children, c = np.unique(child, return_inverse=True)
    if parents.size < n_parents or children.size < n_children:
        return False
    if n_parents == 1 or n_children == 1 or parent.size == n_parents * n_children:
        return True
    if parent.size > MOST_PAIRS or n_parents * n_children >= 2**31:
        return False
    # Source, parents, children, sink; whole numbers: a parent gives n_children, a child takes
    # n_parents.
    source, sink = 0, n_parents + n_children + 1
    tail = np.concatenate([np.zeros(n_parents, int), 1 + p, 1 + n_parents + np.arange(n_children)])
    head = np.concatenate([1 + np.arange(n_parents), 1 + n_parents + c, np.full(n_children, sink)])
    room = np.concatenate(
        [
            np.full(n_parents, n_children),
            np.full(p.size, min(n_parents, n_children)),
            np.full(n_children, n_parents),
        ]
    ).astype(np.int32)
    graph = csr_array((room, (tail, head)), shape=(sink + 1, sink + 1))
    return int(maximum_flow(graph, source, sink).flow_value) == n_parents * n_children


def add_stage_rows(
    fleet: FleetModel, problem: Problem, order: StageOrder, windows: Windows
) -> None:
    """Add A and D of every stage, and the rows ``stage lasts``, ``stage after``, ``stage ends``.

    The groups of the chosen stages must not reach over stages.
    """
    model, groups, n = fleet.model, fleet.groups, order.size.size
    shortest = problem.fastest_s * fleet.forgiven
    mean = _means(order)
    latest = mean(windows.latest_end_s)
    least = mean(shortest)
    start = model.add_variables(
        "A", n, low=np.minimum(mean(windows.earliest_start_s), latest), high=latest
    )
    lasts = model.add_variables("D", n, low=np.where(order.chosen, 0.0, least), high=latest + least)
    stage, cell = _cells(fleet, order)
    seconds = groups.task_s[fleet.group[cell], fleet.kind[cell]] / order.size[stage]
    numbers, row = np.unique(stage, return_inverse=True)
    model.add_rows(
        "stage lasts",
        np.concatenate([np.arange(numbers.size), row]),
        np.concatenate([lasts[numbers], fleet.x[cell]]),
        np.concatenate([np.ones(numbers.size), -seconds]),
        low=np.zeros(numbers.size),
    )
    own = np.arange(order.before.size)
    model.add_rows(
        "stage after",
        np.concatenate([own, own, own]),
        np.concatenate([start[order.after], start[order.before], lasts[order.before]]),
        np.concatenate([np.ones(own.size), -np.ones(own.size), -np.ones(own.size)]),
        low=np.zeros(own.size),
    )
    every = np.arange(n)
    model.add_rows(
        "stage ends",
        np.concatenate([every, every]),
        np.concatenate([start, lasts]),
        1.0,
        high=latest * (1 + 1e-9) + 1e-9,
    )


def narrow_stages(box: Box, fleet: FleetModel, order: StageOrder, windows: Windows) -> None:
    """Narrow the mean starts and ends of stages to windows within the model's own."""
    if "A" not in fleet.model.variables:
        return
    mean = _means(order)
    columns, latest = fleet.model.variables["A"], mean(windows.latest_end_s)
    box.low[columns] = np.minimum(mean(windows.earliest_start_s), latest)
    box.high[columns] = latest
    box.row_high[fleet.model.rows["stage ends"]] = latest * (1 + 1e-9) + 1e-9


def stage_prices(fleet: FleetModel, order: StageOrder | None, dual: FloatArray) -> FloatArray:
    """Return what a second of each group's tasks is worth by the rows' multipliers (<= 0)."""
    price = np.zeros(len(fleet.groups))
    if order is None or "stage lasts" not in fleet.model.rows:
        return price
    stage, cell = _cells(fleet, order)
    numbers, row = np.unique(stage, return_inverse=True)
    price[fleet.group[cell]] = -(dual[fleet.model.rows["stage lasts"]] / order.size[numbers])[row]
    return price


def _means(order: StageOrder) -> Any:
    """Return the function that takes the mean of a task column over each stage."""

    def mean(column: FloatArray) -> FloatArray:
        return np.bincount(order.of_task, weights=column, minlength=order.size.size) / order.size

    return mean


def _cells(fleet: FleetModel, order: StageOrder) -> tuple[IntArray, IntArray]:
    """Return the stage of each x variable that counts, and the variable's place in ``fleet.x``."""
    of_group = np.zeros(len(fleet.groups), dtype=np.int64)
    of_group[fleet.groups.of_task] = order.of_task
    stage = of_group[fleet.group]
    cell = np.flatnonzero(order.chosen[stage])
    return stage[cell], cell
