"""L-ACO: ants build orders of tasks, ProLiS's allocator makes plans of them.

Wu, Ishikawa, Zhu, Xia and Wen, TPDS 28(12), 2017, read with the authors' code. 20 ants walk 50
times; the next task is drawn with a chance in proportion to the trail from the last one times the
square of its probabilistic rank. An order is decoded task by task against ProLiS's sub-deadlines
of a relaxed deadline, ``D + (D_cheap - D) (1 - round / 35)^4`` in the first 35 rounds. The trail
keeps 0.8 of itself a round and gains ``1 / cost + 0.5`` along the round's best walk, or the best
of all with a chance of 0.1, within [0.2, 1]. Plans in time beat late ones.

Own model and adaptation as for ProLiS (``prolis_scheduler``). ``D_cheap`` is the makespan of the
allocator with all the time there is. Above 3,000 tasks the trail is kept by task, not by pair of
tasks, for the memory that pairs would take.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.instance import instance, plan_of
from autoscale.schedulers.prolis_scheduler import ranks, sub_deadlines

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="ant colony over orders of tasks, decoded by ProLiS's allocator",
    source="Wu, Ishikawa, Zhu, Xia and Wen, TPDS 28(12), 2017",
    reconstruction="the trail is by task above 3,000 tasks",
)

ANTS, ROUNDS, RELAXED = 20, 50, 35
"""The paper's ants, rounds, and rounds with a relaxed deadline."""

KEEP, LEAST_TRAIL, MOST_TRAIL = 0.8, 0.2, 1.0

PAIRS = 3_000
"""Tasks up to which the trail is kept by pairs."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the best plan that the ants find.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Draws the walks.
    time_limit_s
        Seconds after which no further ant sets out.
    """
    from autoscale.schedulers.leasing.kernels import topological_by
    from autoscale.schedulers.search import kernels

    ends = time.perf_counter() + time_limit_s
    colony = _Colony(problem, rng)
    n = len(problem.workflow)
    deadline = colony.x.deadline
    cheap = colony.allocate(topological_by(colony.x, -colony.rank), math.inf)
    if not math.isfinite(deadline):
        deadline = float(cheap.finish.max())
    longest = max(float(cheap.finish.max()), deadline)
    trail = np.full((n + 1 if n <= PAIRS else 1, n), MOST_TRAIL)
    best = None
    for number in range(ROUNDS):
        relaxed = deadline
        if number < RELAXED:
            relaxed += (longest - deadline) * (1 - number / RELAXED) ** 4
        found = None
        for _ in range(ANTS):
            order = kernels.ant_order(colony.x, trail, colony.rank, rng.random(n))
            leases = colony.allocate(order, relaxed)
            walk = (*colony.value(leases, deadline), order, leases)
            found = walk if found is None or walk[:2] < found[:2] else found
            if time.perf_counter() > ends:
                break
        best = found if best is None or (found and found[:2] < best[:2]) else best
        if time.perf_counter() > ends:
            break
        chosen: Any = best if rng.random() < 0.1 else found
        deposit = 1 / max(colony.cost(chosen[3]), 1e-9) + 0.5
        kernels.lay(trail, chosen[2], KEEP, deposit, LEAST_TRAIL, MOST_TRAIL)
    assert best is not None
    if best[0] > 0.0:  # cut short while the deadline was still relaxed: the first walk, in time
        first = colony.allocate(topological_by(colony.x, -colony.rank), deadline)
        if colony.value(first, deadline) < best[:2]:
            return plan_of(problem, first)
    return plan_of(problem, best[3])


class _Colony:
    """What all ants share: the problem as arrays, ranks, and the allocator."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        from autoscale.schedulers.subdeadline import kernels

        self.problem = problem
        self.x = instance(problem)
        self.rank: FloatArray = ranks(problem, self.x, rng)
        self._ranking = kernels.new_lease_ranking(self.x)
        self._any = np.full(len(problem.workflow), -1, dtype=np.int64)

    def allocate(self, order: Any, deadline_s: float) -> Any:
        """Return the leases that ProLiS's allocator fills in an order, for a deadline."""
        from autoscale.schedulers.subdeadline import LEAST, kernels

        limit = sub_deadlines(self.problem, self.rank, deadline_s)
        return kernels.allocate(self.x, order, limit, self._ranking, LEAST, self._any)

    @staticmethod
    def cost(leases: Any) -> float:
        """Return the bill of all leases, USD."""
        from autoscale.schedulers.leasing.kernels import total_cost

        return float(total_cost(leases))

    def value(self, leases: Any, deadline_s: float) -> tuple[float, float]:
        """Return (lateness, cost): the less, the better."""
        late = float(leases.finish.max(initial=0.0)) - deadline_s
        return (late if late > 1e-6 else 0.0), self.cost(leases)
