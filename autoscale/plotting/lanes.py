"""The geometry of a Gantt chart: which lease is drawn in which row, which task in which lanes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of leases, grouped by instance type.

    Parameters
    ----------
    row
        Row of each lease, shape (leases,); rows of a group are consecutive.
    row_type
        Catalogue index of each row's type, shape (rows,).
    """

    row: IntArray
    row_type: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Rectangles of busy time, each on adjacent vCPU lanes of one lease.

    Parameters
    ----------
    task
        The task (or the first of several drawn as one), shape (blocks,).
    lane, height
        First vCPU lane and number of lanes, shape (blocks,).
    start_s, end_s
        Seconds, shape (blocks,).
    """

    task: IntArray
    lane: IntArray
    height: IntArray
    start_s: FloatArray
    end_s: FloatArray


def lease_rows(plan: Plan, *, share: bool) -> Rows:
    """Return the rows: a row a lease, or, to ``share``, a row for leases that follow one another.

    Groups are ordered by what they cost, most first.
    """
    cost = np.bincount(
        plan.lease_type, weights=plan.lease_cost_usd, minlength=len(plan.problem.catalog)
    )
    row = np.zeros(plan.n_leases, dtype=np.int64)
    row_type: list[int] = []
    for kind in np.argsort(-cost, kind="stable").tolist():
        members = np.flatnonzero(plan.lease_type == kind)
        order = members[np.argsort(plan.lease_start_s[members], kind="stable")]
        rank, n_rows = _first_free(plan, order) if share else (np.arange(order.size), order.size)
        row[order] = rank + len(row_type)
        row_type += [kind] * n_rows
    return Rows(row=row, row_type=np.array(row_type, dtype=np.int64))


def _first_free(plan: Plan, order: IntArray) -> tuple[IntArray, int]:
    """Give each lease, by start, the lowest row whose last lease has ended."""
    free: list[int] = []
    running: list[tuple[float, int]] = []
    rank, n_rows = np.zeros(order.size, dtype=np.int64), 0
    starts, ends = plan.lease_start_s[order].tolist(), plan.lease_end_s[order].tolist()
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        while running and running[0][0] <= start + TIME_TOL_S:
            heapq.heappush(free, heapq.heappop(running)[1])
        if free:
            rank[i] = heapq.heappop(free)
        else:
            rank[i], n_rows = n_rows, n_rows + 1
        heapq.heappush(running, (end, int(rank[i])))
    return rank, n_rows


def busy_blocks(plan: Plan) -> Blocks:
    """Return where tasks are drawn: each takes the lowest lanes of its lease that are free."""
    w = plan.problem.workflow
    vcpus = plan.problem.catalog.vcpus[plan.lease_type].tolist()
    order = np.lexsort((np.arange(len(w)), plan.task_start_s, plan.task_lease))
    columns = (plan.task_lease, plan.task_start_s, plan.task_end_s, w.vcpus)
    rows: list[tuple[int, int, int]] = []
    free: list[int] = []
    running: list[tuple[float, list[int]]] = []
    current = -1
    for i, lease, start, end, need in zip(
        order.tolist(), *(column[order].tolist() for column in columns), strict=True
    ):
        if lease != current:
            current, running, free = lease, [], list(range(vcpus[lease]))
        while running and running[0][0] <= start + TIME_TOL_S:
            for lane in heapq.heappop(running)[1]:
                heapq.heappush(free, lane)
        # A plan that breaks the rules is drawn too: what does not fit is drawn in lane 0.
        taken = [heapq.heappop(free) for _ in range(min(need, len(free)))]
        heapq.heappush(running, (end, taken))
        rows += [(i, first, count) for first, count in _runs(taken or [0])]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Blocks(
        task=table[:, 0],
        lane=table[:, 1],
        height=table[:, 2],
        start_s=plan.task_start_s[table[:, 0]],
        end_s=plan.task_end_s[table[:, 0]],
    )


def _runs(lanes: list[int]) -> list[tuple[int, int]]:
    """Return ``(first, count)`` of each run of adjacent lanes; the lanes are ascending."""
    runs: list[tuple[int, int]] = []
    for lane in lanes:
        if runs and lane == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((lane, 1))
    return runs


def merged(plan: Plan, blocks: Blocks, closer_than_s: float) -> Blocks:
    """Return the blocks with neighbours of one category on the same lanes drawn as one.

    Parameters
    ----------
    plan
        The plan.
    blocks
        Its blocks.
    closer_than_s
        Gaps shorter than this, in seconds, are closed: less than a pixel.
    """
    lease = plan.task_lease[blocks.task]
    kind = plan.problem.workflow.category[blocks.task]
    order = np.lexsort((blocks.start_s, blocks.height, blocks.lane, lease))
    lane, height = blocks.lane[order], blocks.height[order]
    start, end = blocks.start_s[order], blocks.end_s[order]
    begins = np.ones(order.size, dtype=bool)
    begins[1:] = start[1:] - end[:-1] > closer_than_s
    for key in (lease[order], lane, height, kind[order]):
        begins[1:] |= key[1:] != key[:-1]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], order.size) - 1
    return Blocks(
        task=blocks.task[order][first],
        lane=lane[first],
        height=height[first],
        start_s=start[first],
        end_s=end[last],
    )
