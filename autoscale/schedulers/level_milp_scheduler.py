"""The level MILP: machines for groups of like tasks, level after level, as an integer program.

Malawski, Figiela, Bubak, Deelman and Nabrzyski, PPAM'13 and Scientific Programming 2015, id
680271. Tasks of one level and kind are a group; machines are not shared between groups; levels run
one after another, and their times add up to the deadline.

Sets: groups g with A_g tasks in level l(g), types k, numbers of rounds m (a machine that runs its
slots q_gk m times in a row). Variables: x[g,k,m] machines, whole; y[g,k,m] whether there are any;
T_l >= 0 the time of level l. With u_gk the time of the group's longest task and b the bill:

    min sum b(boot + m u_gk) x[g,k,m]
    (1) sum over k, m of q_gk m x[g,k,m] >= A_g     every task is run
    (2) x[g,k,m] <= ceil(A_g / (q_gk m)) y[g,k,m]   machines only where there are any
    (3) T_l(g) >= m u_gk y[g,k,m]                   a level lasts as long as its slowest machine
    (4) sum over l of T_l <= D - boot               the deadline

The paper has variables by single machine, with symmetry cut away by order; counting machines alike
is the same program with fewer variables, with numbers of rounds from a list above 4. Groups are
told apart by length as well (within a factor of 2), since real tasks of a kind are not alike. The
plan is then decoded level by level with every task's own duration: it is at most as late and as
dear as the program says.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.plan.decode import decode
from autoscale.schedulers import fastest_scheduler
from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.offer import useful_types
from autoscale.schedulers.levels.groups import columns_of, groups_of

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan
    from autoscale.schedulers.levels.groups import Column, Group

ABOUT = About(
    goal="deadline",
    summary="integer program over machines for groups of like tasks, level after level",
    source="Malawski et al., PPAM 2013 and Scientific Programming 2015, 680271",
    reconstruction="machines alike are counted; groups of tasks of nearly one length",
)

TYPES = 12
"""Types in the program, of a catalogue with more."""

NODES, GAP = 2_000, 0.01
"""Nodes of the search, and the gap, at which the solver stops."""

LONGEST_S = 60.0
"""Seconds after which the solver stops where no time limit is given."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the plan of the level MILP; the quickest plan where levels cannot meet the deadline.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Not used: the solver is deterministic.
    time_limit_s
        Seconds after which the solver stops; a minute by default.
    """
    groups = groups_of(problem)
    columns = columns_of(problem, groups, useful_types(problem, TYPES))
    limit = min(time_limit_s, LONGEST_S)
    count = _solved(problem, groups, columns, limit) if limit > 0 else None
    if count is None:
        return fastest_scheduler.schedule(problem, rng=rng)
    lease_type, task_lease = _machines(problem, groups, columns, count)
    w = problem.workflow
    order = np.lexsort((np.arange(len(w)), -problem.fastest_s, w.level))
    begun = _level_starts_s(problem, groups, columns, count)[w.level]
    return decode(problem, lease_type, task_lease, order, not_before_s=begun)


def _solved(
    problem: Problem, groups: list[Group], columns: list[Column], limit_s: float
) -> IntArray | None:
    """Return how many machines of each column there are, or None if no solution was found."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    cost, rows, low, high, upper = _program(problem, groups, columns)
    n = len(columns)
    whole = np.concatenate((np.ones(2 * n), np.zeros(cost.size - 2 * n)))
    found: Any = milp(
        cost,
        integrality=whole,
        bounds=Bounds(0.0, upper),
        constraints=LinearConstraint(rows, low, high),
        options={"time_limit": limit_s, "mip_rel_gap": GAP, "node_limit": NODES},
    )
    if found.x is None:
        return None
    count: IntArray = np.round(found.x[:n]).astype(np.int64)
    return count


def _program(problem: Problem, groups: list[Group], columns: list[Column]) -> Any:
    """Return (objective, matrix, lower and upper sides, bounds) of constraints (1) to (4)."""
    from scipy.sparse import csr_array

    n, levels = len(columns), problem.workflow.n_levels
    group = np.array([c.group for c in columns])
    level = np.array([groups[c.group].level for c in columns])
    covers = np.array([c.covers for c in columns], dtype=np.float64)
    held = np.array([c.held_s for c in columns])
    size = np.array([g.tasks.size for g in groups], dtype=np.float64)
    most = np.ceil(size[group] / covers)
    each = np.arange(n)
    first = len(groups)  # rows: (1) by group, (2) and (3) by column, (4)
    last = first + 2 * n
    timed = int(problem.deadline_s is not None)
    longest = problem.deadline_s - problem.boot_s if problem.deadline_s is not None else np.inf
    row = [group, first + each, first + each, first + n + each, first + n + each]
    column = [each, each, n + each, 2 * n + level, n + each]
    value = [covers, np.ones(n), -most, np.ones(n), -held]
    if timed:
        row.append(np.full(levels, last))
        column.append(2 * n + np.arange(levels))
        value.append(np.ones(levels))
    matrix = csr_array(
        (np.concatenate(value), (np.concatenate(row), np.concatenate(column))),
        shape=(last + timed, 2 * n + levels),
    )
    low = np.concatenate((size, np.full(n, -np.inf), np.zeros(n), np.full(timed, -np.inf)))
    high = np.concatenate(
        (np.full(first, np.inf), np.zeros(n), np.full(n, np.inf), np.full(timed, longest))
    )
    upper: FloatArray = np.concatenate((most, np.ones(n), np.full(levels, np.inf)))
    cost = np.concatenate(([c.usd for c in columns], np.zeros(n + levels)))
    return cost, matrix, low, high, upper


def _level_starts_s(
    problem: Problem, groups: list[Group], columns: list[Column], count: IntArray
) -> FloatArray:
    """Return when each level starts, seconds: after the slowest machine of every level before."""
    lasts = np.zeros(problem.workflow.n_levels)
    for number in np.flatnonzero(count):
        level = groups[columns[number].group].level
        lasts[level] = max(lasts[level], columns[number].held_s)
    out: FloatArray = problem.boot_s + np.cumsum(lasts) - lasts
    return out


def _machines(
    problem: Problem, groups: list[Group], columns: list[Column], count: IntArray
) -> tuple[Any, Any]:
    """Return (type of each lease, lease of each task): the longest tasks to the longest shares."""
    task_lease = np.empty(len(problem.workflow), dtype=np.int64)
    lease_type: list[int] = []
    taken = [0] * len(groups)
    queue = [g.tasks[np.lexsort((g.tasks, -problem.fastest_s[g.tasks]))] for g in groups]
    for number, column in enumerate(columns):
        for _ in range(int(count[number])):
            begin = taken[column.group]
            tasks = queue[column.group][begin : begin + column.covers]
            if tasks.size == 0:
                continue
            task_lease[tasks] = len(lease_type)
            lease_type.append(column.kind)
            taken[column.group] += tasks.size
    return lease_type, task_lease
