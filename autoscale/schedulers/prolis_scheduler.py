"""ProLiS: sub-deadlines in proportion to a probabilistic upward rank, least added cost.

Wu, Ishikawa, Zhu, Xia and Wen, TPDS 28(12), 2017, read with the authors' code. A task's rank is
its least duration plus the longest chain after it, in which a data transfer counts only with a
chance that grows as the transfer does. Tasks go by descending rank; the sub-deadline is the share
of the deadline that the ranks give; a task goes where it raises the bill least, over used leases
and a fresh one of every type, among what ends by its sub-deadline.

Own model: one task at a time, charged by the interval, data between machines (``edge_s``), no
boot. Here the boot comes off the deadline before it is shared, and a lease runs as many tasks as
fit. In the execution model no transfer depends on the place, so the rank has no chance in it.
Reconstruction: where nothing is in time, the code upgrades a machine's type step by step; here the
task goes where it ends first. That can happen only where the deadline cannot be met, or where
data travel between machines.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.instance import Instance, instance
from autoscale.schedulers.subdeadline import allocated

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="sub-deadlines in proportion to a probabilistic rank, then least added cost",
    source="Wu, Ishikawa, Zhu, Xia and Wen, TPDS 28(12), 2017",
    reconstruction="a task that nothing ends in time goes where it ends first",
)

THETA = 1.5
"""The paper's base of the chance that a transfer counts."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the ProLiS plan.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Decides which transfers count in the ranks; without transfers it is not used.
    time_limit_s
        Not used: the algorithm ends by itself.
    """
    return prolis_plan(problem, rng=rng)


def prolis_plan(
    problem: Problem, *, rng: np.random.Generator, edge_s: FloatArray | None = None
) -> Plan:
    """Return the ProLiS plan; ``edge_s`` are seconds that data take between leases."""
    from autoscale.schedulers.leasing.kernels import topological_by

    x = instance(problem, edge_s)
    rank = ranks(problem, x, rng)
    limit = sub_deadlines(problem, rank, x.deadline)
    return allocated(problem, topological_by(x, -rank), limit, edge_s=edge_s)


def ranks(problem: Problem, x: Instance, rng: np.random.Generator) -> FloatArray:
    """Return the probabilistic upward rank of each task, seconds."""
    from autoscale.schedulers.subdeadline import kernels

    luck = np.zeros(x.children.size)
    if x.edge_s.any():
        luck = rng.random(x.children.size)
    out: FloatArray = kernels.probabilistic_ranks(x, problem.fastest_s, luck, THETA)
    return out


def sub_deadlines(problem: Problem, rank: FloatArray, deadline_s: float) -> FloatArray:
    """Return each task's share of a deadline after boot, by how much rank is behind it."""
    if not math.isfinite(deadline_s):
        return np.full(rank.size, math.inf)
    longest = max(float(rank.max(initial=0.0)), 1e-300)
    done: FloatArray = (longest - rank + problem.fastest_s) / longest
    # The last task's share is the whole, whatever rounding says.
    return problem.boot_s + np.minimum(done, 1.0) * (deadline_s - problem.boot_s)
