"""PSO: particles are assignments of tasks to a pool of machines; cheapest in time wins.

Rodriguez and Buyya, TCC 2(2), 2014. A particle has one coordinate a task, an index into a pool
with as many machines of each type as tasks may run in parallel. 100 particles fly 100 times with
inertia 0.5 and c1 = c2 = 2; a position is decoded in topological order, every task as soon as its
parents end and its machine is free. Positions in time beat late ones, cheaper beat dearer, and of
late ones the quicker wins (Deb's rule).

Own model: one task at a time, hourly billing, boot and data between machines. Here a machine runs
as many tasks as fit, and is leased a boot before its first task. With a large catalogue the pool
has the types that suit some task best; a task whose machine is too small for it goes to a machine
of its fastest type.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.plan.decode import decode
from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.instance import instance
from autoscale.schedulers.leasing.offer import useful_types

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="particle swarm over the assignment of tasks to a pool of machines",
    source="Rodriguez and Buyya, TCC 2(2), 2014",
    reconstruction="pool of at most 12 types from a larger catalogue",
)

PARTICLES, ROUNDS = 100, 100
"""The paper's size of the swarm and number of moves."""

TYPES = 12
"""Types in the pool, of a catalogue with more."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the best plan that the swarm meets.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Draws positions and moves.
    time_limit_s
        Seconds after which the swarm moves no further.
    """
    from autoscale.schedulers.search import kernels

    ends = time.perf_counter() + time_limit_s
    x = instance(problem)
    n = len(problem.workflow)
    types = useful_types(problem, TYPES)
    copies = int(np.bincount(problem.workflow.level).max())
    order = np.arange(n)
    fallback = problem.duration_s.argmin(axis=1)
    position = rng.random((PARTICLES, n)) * (types.size * copies)
    speed = np.zeros_like(position)
    best, best_value = position.copy(), np.full((PARTICLES, 2), np.inf)
    leader, leader_value = position[0].copy(), np.full(2, np.inf)
    flock = (best, best_value, leader, leader_value, types, copies, fallback)
    for number in range(ROUNDS + 1):
        luck = rng.random((2, PARTICLES, n)) if number else np.zeros((2, 1, 1))
        kernels.fly(x, order, position, speed, luck, *flock, number > 0)
        if time.perf_counter() > ends:
            break
    task_lease, kind = kernels.machines_of(x, leader, types, copies, fallback)
    return decode(problem, kind, task_lease, order)
