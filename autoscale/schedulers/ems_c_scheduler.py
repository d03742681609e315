"""EMS-C: plans bred towards the front of cost and makespan.

Zhu, Zhang, Li and Tan, "Evolutionary multi-objective workflow scheduling in cloud", IEEE TPDS
27(5), 2016. A chromosome is a topological order of the tasks, an instance for each task and a type
for each instance. Crossover of two orders keeps the first part of one and the other's order for
the rest; assignments are crossed at a cut, an instance of both parents gets either one's type.
Mutation moves a task in the order between its parents and its children, merges two instances,
splits one, moves a task to another instance, or changes a type. The first population holds HEFT's
plan, the cheapest plan, and random ones: all on one instance, each on its own, and mixtures.
NSGA-II selects: parents by tournaments of rank and crowding, survivors from parents and children.

Here the cheapest plan is that of one list pass, HEFT's has every task on its quickest type at once,
types are those that no other beats in both time and price for a task, and a task whose instance
gets too small for it is moved to an instance of its own. Sizes of population and rates are chosen,
the paper's are not at hand. The final population is decoded by the execution model's own rules.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.plan.decode import decode, tighten
from autoscale.schedulers.about import About
from autoscale.schedulers.budgeted.fronts import (
    as_front,
    best_for_goal,
    non_dominated,
    selected,
)
from autoscale.schedulers.budgeted.listing import Offer, Rule, cheapest_pass, list_by_rule, offer

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.front import ParetoFront
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="pareto",
    summary="plans bred towards the front of cost and makespan (NSGA-II)",
    source="Zhu, Zhang, Li and Tan, IEEE TPDS 27(5), 2016",
    reconstruction="sizes and rates; what happens to tasks that an instance is too small for",
)

POPULATION = 40
"""Plans that survive a generation; even."""

GENERATIONS = 200
"""Generations, at most."""

WORK = 4e6
"""Tasks scheduled in all generations, at most; it bounds the time of large workflows."""

LARGE_TASKS = 5_000
"""Above so many tasks the first plans are not bred at all: one generation takes too long."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the plan of the front that serves the goal best.

    Parameters
    ----------
    problem
        With a deadline, a budget, both or neither.
    rng
        Draws the first plans, parents, cuts and mutations.
    time_limit_s
        Seconds after which no further generation is bred.
    """
    return best_for_goal(problem, _plans(problem, rng, time_limit_s))


def front(
    problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf
) -> ParetoFront:
    """Return all plans of which none beats another; see :func:`schedule` for the parameters."""
    return as_front(_plans(problem, rng, time_limit_s))


def _plans(problem: Problem, rng: np.random.Generator, time_limit_s: float) -> list[Plan]:
    from autoscale.schedulers.budgeted import kernels as lists

    ends = time.perf_counter() + time_limit_s
    given = offer(problem)
    quickest = list_by_rule(given, Rule(code=lists.WEIGHTED, coefficient=1.0))
    seeds = [quickest, cheapest_pass(given)]
    if len(problem.workflow) > LARGE_TASKS:
        return seeds
    population = _Population(given, seeds, rng)
    generations = int(min(GENERATIONS, WORK / (POPULATION * len(problem.workflow))))
    for _ in range(generations):
        if time.perf_counter() > ends:
            break
        population.next_generation(int(rng.integers(2**31)))
    return [*seeds, *population.plans()]


class _Population:
    """Chromosomes as rows; the second half has room for the children of the first."""

    def __init__(self, given: Offer, seeds: list[Plan], rng: np.random.Generator) -> None:
        from autoscale.schedulers.evolution import kernels

        self.given = given
        n = len(given.problem.workflow)
        self.order = np.empty((2 * POPULATION, n), dtype=np.int64)
        self.lease = np.empty((2 * POPULATION, n), dtype=np.int32)
        self.kind = np.empty((2 * POPULATION, n), dtype=np.int32)
        self.makespan = np.empty(2 * POPULATION)
        self.cost = np.empty(2 * POPULATION)
        for row in range(POPULATION):
            if row < len(seeds):
                plan = seeds[row]
                self.order[row] = np.lexsort((np.arange(n), plan.task_start_s))
                self.lease[row] = plan.task_lease
                self.kind[row] = np.resize(plan.lease_type, n)
            else:
                self.order[row] = given.order
                self.lease[row], self.kind[row] = self._random(row, rng)
            kernels.repair(given.x, given.types, self.lease[row], self.kind[row])
            self.makespan[row], self.cost[row] = kernels.evaluate(
                given.x, self.order[row], self.lease[row], self.kind[row]
            )
        self._select(np.arange(POPULATION))

    def _random(self, row: int, rng: np.random.Generator) -> Any:
        """Return machines and types: one for all, one each, or a mixture, in turn."""
        n = len(self.given.problem.workflow)
        types = np.unique(self.given.types[self.given.types >= 0])
        kind = rng.choice(types, n)
        if row % 3 == 0:
            return np.zeros(n, dtype=np.int32), kind
        if row % 3 == 1:
            own = self.given.types[self.given.problem.task_class]
            position = rng.integers(0, (own >= 0).sum(axis=1))
            return np.arange(n, dtype=np.int32), own[np.arange(n), position]
        return rng.integers(0, int(rng.integers(1, n + 1)), n), kind

    def next_generation(self, seed: int) -> None:
        """Breed as many children as there are parents, and keep the better half of all."""
        from autoscale.schedulers.evolution import kernels

        given = self.given
        kernels.breed(
            seed,
            given.x,
            given.types,
            self.order,
            self.lease,
            self.kind,
            np.arange(POPULATION),  # rows are sorted, the fittest first
            self.makespan,
            self.cost,
        )
        self._select(np.arange(2 * POPULATION))

    def _select(self, among: Any) -> None:
        """Sort the fittest rows to the front."""
        kept = among[selected(self.makespan[among], self.cost[among], POPULATION)]
        for column in (self.order, self.lease, self.kind, self.makespan, self.cost):
            column[:POPULATION] = column[kept]

    def plans(self) -> list[Plan]:
        """Return the plans of the chromosomes that no other beats."""
        rows = non_dominated(self.makespan[:POPULATION], self.cost[:POPULATION])
        return [
            tighten(decode(self.given.problem, self.kind[r], self.lease[r], self.order[r]))
            for r in rows
        ]
