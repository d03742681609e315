"""IC-Loss: everything on the fastest type, then whole instances move to cheaper ones.

Abrishami, Naghibzadeh and Epema, FGCS 29(1), 2013, after LOSS of Sakellariou et al. The start is
HEFT with a machine of each task's fastest type whenever one is wanted. Then, again and again, all
tasks of one instance move to a cheaper existing or new instance; of the moves that keep the
deadline, the one with the least (makespan lost) / (money saved) is made.

Own model as for IC-PCP. Reconstruction: a move to a new instance keeps the instance and changes
its type; of existing instances those are tried that end last before the one to move begins, and
the cheapest ones, as nothing says which. Moves are valued anew only when their turn comes: the
value of all others is that of their last evaluation.
"""

from __future__ import annotations

import heapq
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.plan.decode import decode
from autoscale.schedulers.about import About
from autoscale.schedulers.fastest_scheduler import schedule as fastest
from autoscale.schedulers.leasing.instance import instance
from autoscale.schedulers.leasing.offer import useful_types

if TYPE_CHECKING:
    from autoscale.model.arrays import Int32Array, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="the fastest plan, then whole instances move to cheaper ones while it stays in time",
    source="Abrishami, Naghibzadeh and Epema, FGCS 29(1), 2013",
    reconstruction="which existing instances are tried; moves are valued when their turn comes",
)

TYPES, EXISTING = 12, 4
"""Types that a lease is tried as, and existing leases of either kind that it is tried on."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the IC-Loss plan.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Seconds after which no further move is tried.
    """
    ends = time.perf_counter() + time_limit_s
    moves = _Moves(problem, fastest(problem, rng=rng))
    queue: list[tuple[float, int]] = []
    for lease in range(moves.kind.size):
        weight, _ = moves.best(lease)
        if math.isfinite(weight):
            heapq.heappush(queue, (weight, lease))
        if time.perf_counter() > ends:
            break
    while queue and time.perf_counter() <= ends:
        _, lease = heapq.heappop(queue)
        weight, target = moves.best(lease)
        if not math.isfinite(weight):
            continue
        if queue and weight > queue[0][0]:
            heapq.heappush(queue, (weight, lease))
            continue
        moves.make(lease, target)
        if target >= 0:
            heapq.heappush(queue, (weight, lease))
    return decode(problem, moves.kind, moves.task_lease, moves.order)


class _Moves:
    """Leases and the tasks on them, and what moving all of a lease's tasks would do."""

    def __init__(self, problem: Problem, plan: Plan) -> None:
        from autoscale.schedulers.leasing.kernels import topological_by, upward_ranks

        self.x = instance(problem)
        self.kind: Int32Array = np.array(plan.lease_type, dtype=np.int32)
        self.task_lease: Int32Array = np.array(plan.task_lease, dtype=np.int32)
        self.order: IntArray = topological_by(self.x, -upward_ranks(self.x, problem.fastest_s))
        self.types = useful_types(problem, TYPES)
        self._judge()

    def best(self, lease: int) -> tuple[float, int]:
        """Return (seconds lost per USD saved, target) of a lease's best move; inf without one."""
        from autoscale.schedulers.search import kernels

        if not self.used[lease]:
            return math.inf, -1
        weight, target, _, _ = kernels.best_move(
            self.x, self.order, self.task_lease, self.kind, lease, self.types,
            self._existing(lease), self.makespan_s, self.cost_usd,
        )  # fmt: skip
        return float(weight), int(target)

    def make(self, lease: int, target: int) -> None:
        """Move all tasks of a lease: to a type >= 0, or to lease ``-1 - target``."""
        if target >= 0:
            self.kind[lease] = target
        else:
            self.task_lease[self.task_lease == lease] = -1 - target
        self._judge()

    def _existing(self, lease: int) -> IntArray:
        """Return leases to join: those that end last before it begins, and the cheapest ones."""
        others = np.flatnonzero(self.used)
        others = others[others != lease]
        idle = others[self.last[others] <= self.first[lease] + 1e-9]
        idle = idle[np.lexsort((idle, -self.last[idle]))][:EXISTING]
        price = self.x.price[self.kind[others]]
        cheap = others[np.lexsort((others, self.last[others], price))][:EXISTING]
        return np.unique(np.concatenate((idle, cheap))).astype(np.int64)

    def _judge(self) -> None:
        from autoscale.schedulers.search import kernels

        found: Any = kernels.judge(self.x, self.order, self.task_lease, self.kind)
        self.makespan_s, self.cost_usd, start = found
        held = self.x.duration[self.x.task_class, self.kind[self.task_lease]]
        self.first = np.full(self.kind.size, np.inf)
        self.last = np.full(self.kind.size, -np.inf)
        np.minimum.at(self.first, self.task_lease, start)
        np.maximum.at(self.last, self.task_lease, start + held)
        self.used = np.isfinite(self.first)
