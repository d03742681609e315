"""The cost in hindsight: never above what any schedule costs that meets the deadlines."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.lp.bound import CostBound
from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog
from autoscale.policies.protocol import Decision, Job
from simulator.chance import Boot, Chance, InstanceFailure, Runtime
from simulator.distributions import Lognormal, Uniform, factor
from simulator.streaming.hindsight import hindsight
from simulator.streaming.report import JobRecords
from simulator.streaming.scenario import Cloud, DeadlineRule, Estimates
from simulator.streaming.sources import JobClass, Patterned
from simulator.streams import merged, run_policy
from tests.streaming.small import FAST, OFFER, SLOW, small, two_steps

if TYPE_CHECKING:
    from autoscale.policies.protocol import ClusterState
    from simulator.streaming.scenario import Scenario, Stream


class Whims:
    """Random but never idle: any type, sometimes a lease that is free, sometimes kept for later."""

    name = "whims"

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.keep = self.rng.random()

    def __call__(self, state: ClusterState) -> Decision:
        free = [x.number for x in state.leases if x.idle and x.leaves_s is None]
        launches: list[int] = []
        assignments = []
        for task in state.ready.tolist():
            if free and self.rng.random() < 0.7:
                assignments.append((task, free.pop(int(self.rng.integers(len(free))))))
                continue
            assignments.append((task, state.next_lease + len(launches)))
            launches.append(int(self.rng.integers(len(state.catalog))))
        given_back = tuple(x for x in free if self.rng.random() > self.keep)
        return Decision(
            launches=tuple(launches), assignments=tuple(assignments), releases=given_back
        )


def case(seed: int, chance: Chance | None = None) -> Scenario:
    """Return a random scenario of a few jobs of two classes."""
    rng = np.random.default_rng(seed)
    classes = tuple(
        JobClass(
            name=name,
            workflow=two_steps(name, float(rng.choice([20, 300, 1500]))),
            deadline=DeadlineRule(factor=float(rng.choice([1.0, 1.5, 4.0, 20.0]))),
        )
        for name in ("one", "two")
    )
    return small(
        source=Patterned(pattern=small().source.pattern, classes=classes),
        cloud=Cloud(
            catalog=OFFER,
            boot_s=float(rng.choice([0, 60])),
            billing=HOURLY if rng.random() < 0.5 else PER_SECOND,
        ),
        chance=chance or Chance(),
        estimates=Estimates(bias=float(rng.choice([-0.2, 0, 0.2]))),
    )


def played(s: Scenario, seed: int, whim: int) -> tuple[Stream, Any, JobRecords]:
    stream = s.stream(seed)
    result = run_policy(stream.jobs, Whims(whim), s.luck, seed=seed)
    assert result.reason is None
    return stream, result, JobRecords.of(stream, result)


NOISY = Chance(
    boot=Boot(time_s=Uniform(low=20, high=90)),
    runtime=Runtime(task=factor(0.3), lease=Lognormal(mean=1, cv=0.2)),
    instance_failure=InstanceFailure(rate_per_hour=1.0),
)


@settings(max_examples=15, deadline=None)
@given(hs.integers(0, 10**6), hs.sampled_from([None, NOISY]))
def test_no_run_costs_less(seed: int, chance: Chance | None) -> None:
    """Whatever the run: never below the work; with all deadlines kept never below the bound.

    Deadlines are put where the run ended, so that it just keeps them.
    """
    s = case(seed, chance)
    stream, result, jobs = played(s, seed % 5, seed)
    found = hindsight(s, stream, seed % 5, [result], time_limit_s=0.3)
    assert found.work_usd <= found.usd
    assert found.work_usd <= result.cost_usd
    if not jobs.missed.any():
        assert found.usd <= result.cost_usd
    kept = [
        Job(
            problem=job.problem.replace(deadline_s=float(t)),
            arrival_s=job.arrival_s,
            priority=job.priority,
        )
        for job, t in zip(stream.jobs, jobs.turnaround_s, strict=True)
    ]
    just = type(stream)(jobs=tuple(kept), kinds=stream.kinds, hopeless=stream.hopeless, rejected=0)
    tight = hindsight(s, just, seed % 5, [result], time_limit_s=0.3)
    assert tight.late == 0
    assert tight.usd <= result.cost_usd


def parallel_jobs(n: int, gap_s: float, after_s: float, **cloud: Any) -> tuple[Scenario, Stream]:
    """Return jobs of one task of 600 s on a slow machine, each ``gap_s`` after the other."""
    s = small(cloud=Cloud(catalog=Catalog((SLOW,)), boot_s=60.0, **cloud))
    w = two_steps(runtime_s=300.0)
    problem = s.cloud.problem(w).replace(deadline_s=after_s)
    jobs = tuple(Job(problem=problem, arrival_s=60 + i * gap_s) for i in range(n))
    kinds = ("two",) * n
    from simulator.streaming.scenario import Stream

    return s, Stream(jobs=jobs, kinds=kinds, hopeless=(False,) * n, rejected=0)


def test_tight_jobs_at_once_need_a_machine_each() -> None:
    """Five jobs at once with no slack: five leases, each an hour by the clock of 2011."""
    s, stream = parallel_jobs(5, 0.0, 600.0, billing=HOURLY)
    found = hindsight(s, stream, 0, [], time_limit_s=5.0)
    assert found.usd == pytest.approx(0.5, rel=1e-3)
    assert found.work_usd < 0.11
    # One after the other, a single lease does all within its hour.
    s, stream = parallel_jobs(5, 600.0, 600.0, billing=HOURLY)
    assert hindsight(s, stream, 0, [], time_limit_s=5.0).usd == pytest.approx(0.1, rel=1e-3)
    s, stream = parallel_jobs(5, 0.0, 3000.0, billing=HOURLY)
    assert hindsight(s, stream, 0, [], time_limit_s=5.0).usd == pytest.approx(0.1, rel=1e-3)


def test_jobs_that_nothing_could_save_count_with_their_work_alone() -> None:
    s, stream = parallel_jobs(3, 0.0, 599.0)
    found = hindsight(s, stream, 0, [], time_limit_s=5.0)
    assert found.late == 3
    assert found.usd == found.work_usd == pytest.approx((3 * 600 + 60) * 0.1 / 3600, rel=1e-4)


def test_one_job_is_the_bound_of_a_plan() -> None:
    """A job at 0 with nothing after it: what the planner's own bound says."""
    s = small(cloud=Cloud(catalog=Catalog((SLOW, FAST)), boot_s=60.0))
    problem = s.cloud.problem(two_steps()).replace(deadline_s=500.0)
    from simulator.streaming.scenario import Stream

    stream = Stream(jobs=(Job(problem=problem),), kinds=("x",), hopeless=(False,), rejected=0)
    found = hindsight(s, stream, 0, [], time_limit_s=5.0)
    expected = CostBound(merged(stream.jobs).replace(deadline_s=500.0)).root().usd
    assert found.usd == pytest.approx(expected, rel=1e-6)


def test_less_time_never_costs_less() -> None:
    """The bound does not fall as deadlines get tighter."""
    found = []
    for after_s in (5000.0, 2000.0, 1000.0, 700.0, 600.0):
        s, stream = parallel_jobs(8, 90.0, after_s, billing=HOURLY)
        found.append(hindsight(s, stream, 0, [], time_limit_s=5.0).usd)
    assert all(b >= a * (1 - 1e-3) for a, b in itertools.pairwise(found))
    assert found[-1] > 4 * found[0]
