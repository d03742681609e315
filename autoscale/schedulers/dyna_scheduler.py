"""Dyna's offline search: the cheapest types with which the deadline is met often enough.

Zhou, He and Liu, "Monetary cost optimizations for hosting workflow-as-a-service in IaaS clouds",
IEEE Trans. Cloud Computing 4(1), 2016. A deadline is met if the makespan is at most D with
probability p. A* searches the types of the tasks: the start has every task on its cheapest type,
a child decides the type of one more task, the cost so far (with the undecided tasks on their
cheapest types) orders the states and prunes those that are no cheaper than the best one found;
at most 10,000 states are expanded. Whether a state is feasible is decided by Monte Carlo.

The paper draws from measured performance of CPU, disk and network; here a task's duration is
multiplied by a lognormal factor of mean 1 (:class:`Chance`), leases are ready when the nominal
durations say, and these must be in time too. The first solution is the first feasible one on the
way of GAIN (:mod:`~autoscale.schedulers.gain_budget_scheduler`), since the plain search meets none
on a large workflow. A state whose undecided tasks' quickest types are not in time is not expanded.
In the search a task costs its share of a machine. The types found are packed onto leases as late as
the probability, now with tasks waiting for room, allows; if it allows no sharing, every task has a
lease of its own. The second step, a spot instance before each on-demand one, is not part of this.
"""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.model import graph
from autoscale.plan.decode import capacities, decode
from autoscale.schedulers.about import About
from autoscale.schedulers.budgeted.listing import Offer, cheapest_pass, offer
from autoscale.schedulers.budgeted.moves.path import Way, assignment_plan, way_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="cheapest types that meet the deadline with a probability, searched by A*",
    source="Zhou, He and Liu, IEEE Trans. Cloud Computing 4(1), 2016",
    reconstruction="the distribution of run times, and how tasks share leases",
)

EXPANSIONS = 10_000
"""States expanded at most."""

WORK = 2e8
"""Draws times tasks looked at in the search, at most; it bounds the time of large workflows."""

PATIENCE = (1.0, 0.6, 0.3, 0.1, 0.0)
"""Parts of the time to spare that are tried for packing tasks onto few leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """How sure the deadline is to be, and how sure run times are.

    Parameters
    ----------
    probability
        With which the deadline is to be met, in (0, 1].
    runtime_cv
        Coefficient of variation of a task's duration, >= 0.
    draws
        Samples, >= 1.

    Raises
    ------
    InputError
        A figure out of range.
    """

    probability: float = 0.96
    runtime_cv: float = 0.05
    draws: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise InputError(
                f"probability: expected more than 0, at most 1, got {self.probability}"
            )
        if not 0 <= self.runtime_cv < math.inf or not self.draws >= 1:
            raise InputError(
                f"chance: expected a variation >= 0 and draws >= 1, got {self.runtime_cv} and "
                f"{self.draws}"
            )

    @property
    def least(self) -> int:
        """Draws that must be in time."""
        return math.ceil(self.probability * self.draws - 1e-9)

    def factors(self, n_tasks: int, rng: np.random.Generator) -> FloatArray:
        """Return what durations are multiplied by, shape (draws, tasks)."""
        spread = math.sqrt(math.log1p(self.runtime_cv**2))
        drawn: FloatArray = rng.lognormal(-0.5 * spread**2, spread, (self.draws, n_tasks))
        return drawn


def schedule(
    problem: Problem,
    *,
    rng: np.random.Generator,
    time_limit_s: float = math.inf,
    chance: Chance | None = None,
) -> Plan:
    """Return a cheap plan that meets the deadline with the probability, or the quickest one.

    Parameters
    ----------
    problem
        With a deadline, or without: then the cheapest plan of one pass is returned.
    rng
        Draws the run times.
    time_limit_s
        Seconds after which no further state is expanded.
    chance
        The probability, and how run times vary.
    """
    given = offer(problem)
    if problem.deadline_s is None:
        return cheapest_pass(given)
    odds = _Odds(given, chance or Chance(), rng)
    types = search(odds, time_limit_s=time_limit_s)
    return _packed(odds, types)


class _Odds:
    """Decides whether types, or a plan, meet the deadline often enough, always by the same luck."""

    def __init__(self, given: Offer, chance: Chance, rng: np.random.Generator) -> None:
        self.given, self.problem = given, given.problem
        self.factors = chance.factors(len(given.problem.workflow), rng)
        self.least = chance.least
        self.deadline_s = (given.problem.deadline_s or 0.0) + 1e-9

    def types_do(self, types: Any) -> bool:
        """Return whether the types do, with a lease for every task, ready when it should start."""
        from autoscale.schedulers.chances import kernels

        seconds = self.problem.durations_on(types)
        problem = self.problem
        nominal = graph.earliest_finish_s(problem.workflow, seconds, problem.boot_s)
        if nominal.max() > self.deadline_s:
            return False
        planned = nominal - seconds
        count = kernels.in_time_with_any_machines(
            self.given.x, planned, seconds, self.factors, self.deadline_s, self.least
        )
        return int(count) >= self.least

    def plan_does(self, plan: Plan) -> bool:
        """Return whether the plan does, with tasks that wait for room on their leases."""
        from autoscale.schedulers.chances import kernels

        if plan.makespan_s > self.deadline_s:
            return False
        n = len(self.problem.workflow)
        ready = plan.lease_start_s[plan.task_lease] + self.problem.boot_s
        count = kernels.in_time_on_leases(
            self.given.x,
            np.lexsort((np.arange(n), plan.task_start_s)),
            plan.task_lease,
            capacities(self.problem)[plan.lease_type],
            ready,
            self.problem.durations_on(plan.lease_type[plan.task_lease]),
            self.factors,
            self.deadline_s,
        )
        return int(count) >= self.least


def search(odds: _Odds, *, time_limit_s: float = math.inf) -> Any:
    """Return each task's type: the cheapest found that do, or the quickest where none do."""
    way = way_of(odds.given, gain=True, renewed=True)
    low, high = 0, len(way)
    while low < high:
        middle = (low + high) // 2
        if odds.types_do(way.types_after(middle)):
            high = middle
        else:
            low = middle + 1
    first = way.types_after(low)
    if not odds.types_do(first):  # the way ends before types that shorten no longest path
        first = odds.given.types[odds.problem.task_class, 0]
        if not odds.types_do(first):
            return first
    return _AStar(odds, way, first).run(time_limit_s)


class _AStar:
    """The tree of decisions: a state is its parent's with the position of one more task."""

    def __init__(self, odds: _Odds, way: Way, first: Any) -> None:
        self.odds, given = odds, odds.given
        cls = given.problem.task_class
        self.rows, self.usd = given.types[cls], given.type_usd[cls]
        self.cheapest = np.asarray(way.start, dtype=np.int64)
        self.everyone = np.arange(cls.size)
        self.best_types = first
        at_first = np.argmax(self.rows == first[:, None], axis=1)
        self.best_usd = float(self.usd[self.everyone, at_first].sum())
        self.parent, self.position = [-1], [-1]
        draws, n = odds.factors.shape
        self.expansions = int(min(EXPANSIONS, WORK / (2 * draws * n)))

    def run(self, time_limit_s: float) -> Any:
        """Expand states, cheapest first, until one does or a limit is reached."""
        ends = time.perf_counter() + time_limit_s
        start = float(self.usd[self.everyone, self.cheapest].sum())
        heap = [(start, 0, 0)]  # cost, number of the state, tasks decided
        for _ in range(self.expansions):
            if not heap or time.perf_counter() > ends:
                break
            cost, state, depth = heapq.heappop(heap)
            if cost >= self.best_usd - 1e-12:
                break  # every other state is as dear
            decided = self._decided(state, depth)
            types = self._types(decided, self.cheapest)
            if self.odds.types_do(types):
                self.best_types, self.best_usd = types, cost
                break
            if depth == self.everyone.size:
                continue
            if not self.odds.types_do(self._types(decided, np.zeros_like(self.cheapest))):
                continue  # nothing below it does
            for child in self._children(cost, state, depth):
                heapq.heappush(heap, child)
        return self.best_types

    def _children(self, cost: float, state: int, depth: int) -> Iterator[tuple[float, int, int]]:
        """Yield the states with the next task decided, if they are cheaper than the best."""
        last = int(self.cheapest[depth])
        for position in range(last, -1, -1):
            usd = cost + float(self.usd[depth, position] - self.usd[depth, last])
            if usd < self.best_usd - 1e-12:
                self.parent.append(state)
                self.position.append(position)
                yield usd, len(self.parent) - 1, depth + 1

    def _decided(self, state: int, depth: int) -> list[int]:
        """Return the positions of the first tasks."""
        out = [0] * depth
        for at in range(depth - 1, -1, -1):
            out[at] = self.position[state]
            state = self.parent[state]
        return out

    def _types(self, decided: list[int], rest: Any) -> Any:
        position = rest.copy()
        position[: len(decided)] = decided
        return self.rows[self.everyone, position]


def _packed(odds: _Odds, types: Any) -> Plan:
    """Return the cheapest plan on the types that still meets the deadline often enough."""
    problem, n = odds.problem, len(odds.problem.workflow)
    length = graph.critical_path_s(problem.workflow, problem.durations_on(types))
    most = (odds.deadline_s - problem.boot_s) / max(length, 1e-300)
    alone = decode(problem, types, np.arange(n), odds.given.order)
    plans = [alone]
    for part in PATIENCE:
        plan = assignment_plan(odds.given, types, max(1.0, 1.0 + part * (most - 1.0)))
        if odds.plan_does(plan):
            plans.append(plan)
    return min(plans, key=lambda plan: plan.cost_usd)
