"""Luck: every draw of a run, as a pure function of seed, run, source, entity and attempt.

Each source of chance has its own key, made from the seed and the source's number; the counter of
the generator is (entity, attempt, run). So the same task meets the same luck in every policy, and
switching another source on or asking in another order changes no draw. Entities are tasks,
categories, leases of the plan (machines of a policy, by order of request) and markets; attempts
count a task's starts and a lease's machines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from simulator.chance import EstimateError, Runtime
from simulator.distributions import Coded, Constant, Distribution, Weibull

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from simulator.chance import Chance

(
    BOOT_TIME,
    BOOT_FAILURE,
    RUNTIME_TASK,
    RUNTIME_LEASE,
    ESTIMATE_TASK,
    ESTIMATE_CATEGORY,
    TASK_FAILURE,
    TASK_FAILURE_MOMENT,
    INSTANCE_FAILURE,
    SPOT,
    MARKET,
) = range(11)
"""Numbers of the streams; they are part of what a seed means, so they are never reused."""

N_STREAMS = 11


def keys_of(seed: int) -> np.ndarray:
    """Return the key of each stream, shape (streams, 2), unsigned 64-bit.

    Raises
    ------
    InputError
        A negative seed.
    """
    if seed < 0:
        raise InputError(f"seed: expected a whole number >= 0, got {seed}")
    states = [
        np.random.SeedSequence([seed, stream]).generate_state(2, np.uint64)
        for stream in range(N_STREAMS)
    ]
    return np.array(states, dtype=np.uint64)


def lifetime_s(rate_per_hour: float) -> Distribution | None:
    """Return the distribution of seconds until an event of the rate; None: never."""
    return Weibull(scale=3600 / rate_per_hour) if rate_per_hour > 0 else None


@dataclass(frozen=True, slots=True)
class Draws:
    """The distributions of a chance, coded once for many runs.

    Parameters
    ----------
    keys
        See :func:`keys_of`.
    coded
        A distribution for each stream that has one, else None.
    """

    keys: np.ndarray
    coded: tuple[Coded | None, ...]

    @classmethod
    def of(cls, chance: Chance, boot_s: float, seed: int) -> Draws:
        """Return the draws of a chance; machines boot ``boot_s`` where it does not say."""
        one = Constant(value=1.0)
        runtime = chance.runtime or Runtime(task=one, lease=one)
        error = chance.estimate_error or EstimateError(task=one, category=one)
        spot_rate = chance.spot.rate_per_hour if chance.spot else 0.0
        death_rate = chance.instance_failure.rate_per_hour if chance.instance_failure else 0.0
        given: dict[int, Distribution | None] = {
            BOOT_TIME: chance.boot.time_s if chance.boot else Constant(value=boot_s),
            RUNTIME_TASK: runtime.task,
            RUNTIME_LEASE: runtime.lease,
            ESTIMATE_TASK: error.task,
            ESTIMATE_CATEGORY: error.category,
            INSTANCE_FAILURE: lifetime_s(death_rate),
            SPOT: lifetime_s(spot_rate),
        }
        coded = [None if (d := given.get(s)) is None else d.coded() for s in range(N_STREAMS)]
        return cls(keys_of(seed), tuple(coded))

    def constant(self, stream: int) -> float | None:
        """Return the value of a stream that always draws the same, else None."""
        coded = self.coded[stream]
        if coded is None:
            return math.inf
        return coded.figures[0] if coded.family == 0 else None


class Luck:
    """The draws of one run, for the engine.

    Parameters
    ----------
    chance
        The sources that are on.
    problem
        Gives the tasks, their categories and the planned boot time.
    seed, run
        Which luck, and which replication of it; both >= 0.
    """

    def __init__(self, chance: Chance, problem: Problem, seed: int = 0, run: int = 0) -> None:
        if run < 0:
            raise InputError(f"run: expected a whole number >= 0, got {run}")
        self.chance = chance
        self.run = run
        self._draws = Draws.of(chance, problem.boot_s, seed)
        self._failure = chance.task_failure
        w = problem.workflow
        n = len(w)
        self.task_factor_first: list[float] | None = self._all(RUNTIME_TASK, n)
        by_category = self._all(ESTIMATE_CATEGORY, len(w.categories))
        by_task = self._all(ESTIMATE_TASK, n)
        self.truth: list[float] | None = None
        if by_task is not None or by_category is not None:
            truth = np.ones(n) if by_task is None else np.array(by_task)
            if by_category is not None:
                truth = truth * np.array(by_category)[w.category]
            self.truth = truth.tolist()
        self._fails_first: list[bool] | None = None
        if self._failure is not None and self._failure.probability > 0:
            first = self._uniforms(TASK_FAILURE, n) < self._failure.probability
            self._fails_first = first.tolist()

    def _uniforms(self, stream: int, n: int, attempt: int = 0) -> FloatArray:
        from simulator import kernels

        out = np.empty(n)
        k0, k1 = self._draws.keys[stream]
        kernels.uniforms(k0, k1, self.run, attempt, out)
        return out

    def _all(self, stream: int, n: int) -> list[float] | None:
        """Return the first draw of every entity, or None when all are exactly 1."""
        constant = self._draws.constant(stream)
        if constant is not None:
            return None if constant == 1.0 else [constant] * n
        from simulator import kernels

        coded = self._draws.coded[stream]
        assert coded is not None
        table = (np.array(coded.probabilities), np.array(coded.values))
        u = self._uniforms(stream, n)
        drawn: list[float] = kernels.quantiles(coded.family, *coded.figures, *table, u).tolist()
        return drawn

    def uniform(self, stream: int, entity: int, attempt: int = 0) -> float:
        """Return the uniform number of one entity, strictly between 0 and 1."""
        from simulator import kernels

        k0, k1 = self._draws.keys[stream]
        return float(kernels.uniform(k0, k1, self.run, entity, attempt))

    def draw(self, stream: int, entity: int, attempt: int = 0) -> float:
        """Return one draw of the stream's distribution; infinite where it has none."""
        constant = self._draws.constant(stream)
        if constant is not None:
            return constant
        from simulator import kernels

        coded = self._draws.coded[stream]
        assert coded is not None
        table = (np.array(coded.probabilities), np.array(coded.values))
        u = self.uniform(stream, entity, attempt)
        return float(kernels.quantile(coded.family, *coded.figures, *table, u))

    def task_factor(self, task: int, attempt: int) -> float:
        """Return the factor on the computing time of one attempt of a task."""
        if self.task_factor_first is None:
            return 1.0
        return self.draw(RUNTIME_TASK, task, attempt) if attempt else self.task_factor_first[task]

    def failure_moment(self, task: int, attempt: int) -> float | None:
        """Return the share of its computation after which an attempt fails, or None."""
        if self._fails_first is None or self._failure is None:
            return None
        fails = (
            self.uniform(TASK_FAILURE, task, attempt) < self._failure.probability
            if attempt
            else self._fails_first[task]
        )
        return self.uniform(TASK_FAILURE_MOMENT, task, attempt) if fails else None

    def boot_fails(self, lease: int, attempt: int) -> bool:
        """Return whether one machine never becomes ready."""
        failure = self.chance.boot_failure
        return failure is not None and (
            self.uniform(BOOT_FAILURE, lease, attempt) < failure.probability
        )
