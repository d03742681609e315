"""A type for every task: the cheapest at first, then upgrades until the deadline is met."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.model import graph

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem

STEPS = 2_000
"""Upgrades made between two looks at the clock."""


def alone_usd(problem: Problem) -> FloatArray:
    """Return what a lease of its own costs a task of each class on each type; inf where unfit."""
    finite = np.isfinite(problem.duration_s)
    held = np.where(finite, problem.duration_s, 0.0) + problem.boot_s
    billed = problem.billing.billed_array_s(held)
    return np.where(finite, billed * problem.catalog.price_per_s, np.inf)


def greedy_types(problem: Problem, *, ends: float) -> IntArray:
    """Return types upgraded along the critical path, the best value first (SC'11).

    Parameters
    ----------
    problem
        With a deadline, or without one (then every task keeps its cheapest type).
    ends
        Reading of ``time.perf_counter()`` after which all tasks get their fastest type.
    """
    from autoscale.schedulers.upgrades import kernels

    w, cost = problem.workflow, alone_usd(problem)
    kind: IntArray = kernels.cheapest_types(problem.duration_s, cost)[problem.task_class]
    if problem.deadline_s is None:
        return kind
    shared = (w.parent_ptr, w.parents, problem.task_class, problem.duration_s, cost)
    while not kernels.upgrade_critical(
        *shared, kind, problem.boot_s, problem.deadline_s + 1e-9, STEPS
    ):
        if time.perf_counter() > ends:
            fastest: IntArray = problem.duration_s.argmin(axis=1)[problem.task_class]
            return fastest
    return kind


def gain_types(problem: Problem) -> IntArray:
    """Return types upgraded by GAIN's weights, whole classes of like tasks one task at a time.

    The order of upgrades does not depend on the makespan, which only falls, so the first that
    meets the deadline is found by bisection.
    """
    from autoscale.schedulers.upgrades import kernels

    cost = alone_usd(problem)
    start: IntArray = kernels.cheapest_types(problem.duration_s, cost)
    if problem.deadline_s is None:
        return start[problem.task_class]
    weight, owner, to = kernels.all_upgrades(problem.duration_s, cost, start)
    members, first, size = _members(problem)
    # Every upgrade of a class is made for each of its tasks; they go one by one.
    step = np.repeat(np.arange(owner.size), size[owner])
    within = np.arange(step.size) - np.repeat(np.cumsum(size[owner]) - size[owner], size[owner])
    task = members[first[owner[step]] + within]
    order = np.lexsort((task, step, -weight[step]))
    task, kind = task[order], to[step[order]]

    def after(count: int) -> IntArray:
        out = start[problem.task_class]
        out[task[:count]] = kind[:count]
        return out

    return after(_fewest(problem, after, task.size))


def _fewest(problem: Problem, after: object, most: int) -> int:
    """Return how many upgrades meet the deadline at the least; all of them where none do."""
    assert callable(after)
    deadline = (problem.deadline_s or 0.0) + 1e-9
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        finish = graph.earliest_finish_s(
            problem.workflow, problem.durations_on(after(middle)), problem.boot_s
        )
        if float(finish.max(initial=0.0)) <= deadline:
            high = middle
        else:
            low = middle + 1
    return high


def _members(problem: Problem) -> tuple[IntArray, IntArray, IntArray]:
    """Return the tasks by class, where each class begins among them, and how many it has."""
    size = np.bincount(problem.task_class, minlength=len(problem.duration_s))
    return np.argsort(problem.task_class, kind="stable"), np.cumsum(size) - size, size
