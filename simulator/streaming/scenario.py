"""A scenario: what arrives when, on which cloud, under which chance and terms.

A scenario and a seed give one stream of jobs; every policy meets the same one, with the same luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from autoscale.errors import InputError, unknown
from autoscale.model.billing import Billing
from autoscale.model.problem import Problem
from autoscale.policies.about import Terms
from autoscale.policies.protocol import Job
from autoscale.units import HOUR_S, TIME_TOL_S
from simulator.chance import Chance, EstimateError
from simulator.distributions import Constant, Lognormal

if TYPE_CHECKING:
    from autoscale.model.catalog import Catalog
    from autoscale.model.limits import AllowedTypes, Quota
    from autoscale.model.workflow import Workflow
    from autoscale.policies.about import Aim
    from simulator.streaming.sources import Drawn, Source

Late = Literal["best-effort", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """What may be leased, and under which rules; as for a problem.

    Parameters
    ----------
    catalog, boot_s, billing, transfers, storage_bandwidth, quotas, allowed
        See :class:`~autoscale.model.problem.Problem`.
    """

    catalog: Catalog
    boot_s: float = 90.0
    billing: Billing = field(default_factory=Billing)
    transfers: bool = True
    storage_bandwidth: float = math.inf
    quotas: tuple[Quota, ...] = ()
    allowed: tuple[AllowedTypes, ...] = ()

    def problem(self, workflow: Workflow) -> Problem:
        """Return the problem of one workflow on this cloud, without goals."""
        return Problem(
            workflow=workflow,
            catalog=self.catalog,
            boot_s=self.boot_s,
            billing=self.billing,
            transfers=self.transfers,
            storage_bandwidth=self.storage_bandwidth,
            quotas=self.quotas,
            allowed=self.allowed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineRule:
    """By when a job should end, counted from its arrival; one of the two is given.

    Parameters
    ----------
    factor
        Times the critical path on the fastest types, after one boot; > 0.
    after_s
        Seconds, > 0.
    """

    factor: float | None = None
    after_s: float | None = None

    def __post_init__(self) -> None:
        given = self.factor if self.after_s is None else self.after_s
        if (self.factor is None) == (self.after_s is None) or not 0 < (given or 0) < math.inf:
            raise InputError(
                "deadline: expected a duration > 0, or a factor > 0 of the critical path, got "
                f"{self.after_s!r} and {self.factor!r}"
            )

    def of(self, problem: Problem) -> float:
        """Return the deadline of a job, seconds after its arrival."""
        if self.after_s is not None:
            return self.after_s
        assert self.factor is not None
        path_s = problem.least_makespan_s - problem.boot_s
        return problem.boot_s + self.factor * max(path_s, TIME_TOL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """How wrong a policy's estimates of runtimes are.

    Parameters
    ----------
    bias
        By this share they are too long, > -1: with 0.2 a task that takes 100 s is believed to
        take 120.
    cv
        Coefficient of variation of what tasks take about their (unbiased) estimate, >= 0.
    """

    bias: float = 0.0
    cv: float = 0.0

    def __post_init__(self) -> None:
        if not -1 < self.bias < math.inf:
            raise InputError(f"bias: expected a share > -1, got {self.bias!r}")
        if not 0 <= self.cv < math.inf:
            raise InputError(f"cv: expected a coefficient of variation >= 0, got {self.cv!r}")

    def believed(self, workflow: Workflow) -> Workflow:
        """Return the workflow as a policy sees it."""
        if self.bias == 0:
            return workflow
        runtime_s = workflow.runtime_s * (1 + self.bias)
        runtime_s.flags.writeable = False
        return workflow.replace(runtime_s=runtime_s)

    def added_to(self, chance: Chance) -> Chance:
        """Return the chance by which the truth comes out of what is believed.

        Raises
        ------
        InputError
            The chance has errors of task estimates of its own.
        """
        if self.bias == 0 and self.cv == 0:
            return chance
        given = chance.estimate_error or EstimateError()
        if given.task != Constant(value=1.0):
            raise InputError(
                "[estimates]: the chance has an [estimate_error] with task already; give one"
            )
        mean = 1 / (1 + self.bias)
        wrong = Lognormal(mean=mean, cv=self.cv) if self.cv else Constant(value=mean)
        return chance.replace(estimate_error=replace(given, task=wrong))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """The jobs of one seed.

    Parameters
    ----------
    jobs
        Those that are run, in the order of arrival.
    kinds
        The class of each.
    hopeless
        Of each, whether its deadline could not be met when it arrived: not even on machines that
        are ready, as far as estimates tell; shape (jobs,).
    rejected
        Jobs that were not admitted for that reason.
    """

    jobs: tuple[Job, ...]
    kinds: tuple[str, ...]
    hopeless: tuple[bool, ...]
    rejected: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenario:
    """What arrives, where it runs, and what the policies are told.

    Parameters
    ----------
    name
        What reports call it.
    source
        Where the jobs come from.
    cloud
        What may be leased.
    horizon_s
        No job arrives after it, seconds, > 0; for an ensemble, its deadline.
    chance
        What may go otherwise than estimated.
    estimates
        How wrong the policies' estimates are.
    late
        What happens to a job whose deadline cannot be met when it arrives: it is run all the
        same, or rejected.
    budget_usd_per_hour, budget_usd
        What policies may spend, see :class:`~autoscale.policies.about.Terms`.
    note
        Where its figures come from, free text.
    doubts
        What was doubtful in its files, one line each.
    """

    name: str
    source: Source
    cloud: Cloud
    horizon_s: float
    chance: Chance = field(default_factory=Chance)
    estimates: Estimates = field(default_factory=Estimates)
    late: Late = "best-effort"
    budget_usd_per_hour: float | None = None
    budget_usd: float | None = None
    note: str = ""
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.horizon_s < math.inf:
            raise InputError(f"horizon: expected seconds > 0, got {self.horizon_s!r}")
        if self.late not in get_args(Late):
            raise InputError(f"late: {unknown('rule', str(self.late), get_args(Late))}")
        self.terms(0)

    def replace(self, **changes: object) -> Scenario:
        """Return a copy with some parts changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def is_ensemble(self) -> bool:
        """Whether all jobs share one deadline, after which the run ends."""
        return self.source.shares_deadline

    @property
    def aim(self) -> Aim:
        """What policies are for that suit the scenario's terms."""
        if self.is_ensemble:
            return "ensemble"
        return "deadlines" if self.budget_usd_per_hour is None else "turnaround"

    @property
    def limit_s(self) -> float:
        """When a run that does not come to its end is given up, seconds."""
        return 10 * self.horizon_s + 24 * HOUR_S

    @cached_property
    def luck(self) -> Chance:
        """All chance: the scenario's, and the errors of its estimates."""
        return self.estimates.added_to(self.chance)

    def terms(self, seed: int) -> Terms:
        """Return what a policy is told before the run of a seed."""
        return Terms(
            budget_usd_per_hour=self.budget_usd_per_hour,
            budget_usd=self.budget_usd,
            horizon_s=self.horizon_s,
            seed=seed,
        )

    def stream(self, seed: int) -> Stream:
        """Return the stream of a seed.

        Raises
        ------
        InputError
            No job arrives, or none is admitted; a job that fits no type.
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0x57EA]))
        drawn = self.source.draw(self.horizon_s, rng)
        made = _Maker(self)
        jobs, kinds, hopeless = [], [], []
        rejected = 0
        for one in drawn:
            job, is_hopeless = made.job(one)
            if is_hopeless and self.late == "reject":
                rejected += 1
                continue
            jobs.append(job)
            kinds.append(one.kind)
            hopeless.append(is_hopeless)
        if not jobs:
            why = f"{rejected} were rejected" if rejected else "none arrives before the horizon"
            raise InputError(f"{self.name}: seed {seed}: there are no jobs to run: {why}")
        return Stream(
            jobs=tuple(jobs), kinds=tuple(kinds), hopeless=tuple(hopeless), rejected=rejected
        )


class _Maker:
    """Makes jobs; jobs of one workflow and deadline share their problem."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._made: dict[tuple[int, object], tuple[Problem, bool]] = {}
        self._kept: list[Workflow] = []  # so that no two workflows have the same id()

    def job(self, one: Drawn) -> tuple[Job, bool]:
        key = (id(one.workflow), one.deadline)
        if key not in self._made:
            self._kept.append(one.workflow)
            self._made[key] = self._problem(one)
        problem, hopeless = self._made[key]
        return Job(problem=problem, arrival_s=one.arrival_s, priority=one.priority), hopeless

    def _problem(self, one: Drawn) -> tuple[Problem, bool]:
        cloud, estimates = self._scenario.cloud, self._scenario.estimates
        true = cloud.problem(one.workflow)
        believed = estimates.believed(one.workflow)
        problem = true if believed is one.workflow else cloud.problem(believed)
        if one.deadline is None:
            return problem, False
        deadline_s = one.deadline.of(true)
        warm_s = problem.least_makespan_s - problem.boot_s
        return problem.replace(deadline_s=deadline_s), warm_s > deadline_s + TIME_TOL_S
