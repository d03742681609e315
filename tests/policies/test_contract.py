"""What every policy keeps to, whoever wrote it.

It never acts on the future, brings every job to its end, decides alike twice, costs no less than
hindsight allows, and stays within what it is told to spend.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.policies import POLICIES, about_policy, make_policy
from autoscale.units import TIME_TOL_S
from autoscale.workloads import OnOff, Stable, application
from simulator.chance import Boot, Chance, InstanceFailure, Runtime
from simulator.distributions import Uniform, factor
from simulator.streaming.hindsight import hindsight
from simulator.streaming.report import PolicyRun
from simulator.streaming.scenario import Cloud, DeadlineRule, Estimates, Scenario
from simulator.streaming.sources import JobClass, Patterned, Together
from simulator.streams import run_policy
from tests.policies.simple import OneEach, Pool
from tests.streaming.small import OFFER, small

if TYPE_CHECKING:
    from autoscale.policies.about import About
    from autoscale.policies.protocol import ClusterState, Decision, Job, Policy
    from simulator.records import SimulationResult

SIMPLE: dict[str, Any] = {"one-each": OneEach, "pool": Pool}
"""Policies of the tests themselves, so that the kit is tried even on its own."""

NAMES = (*POLICIES, *SIMPLE)

NOISE = Chance(boot=Boot(time_s=Uniform(low=30, high=80)), runtime=Runtime(task=factor(0.2)))


def classes(deadline: DeadlineRule | None) -> tuple[JobClass, ...]:
    """Return three small shapes."""
    rng = np.random.default_rng(5)
    return tuple(
        JobClass(
            name=name,
            workflow=application(name, n, rng, runtime_mean_s=200, runtime_cv=0.5),
            deadline=deadline,
            priority=priority,
        )
        for name, n, priority in (("pipeline", 3, 1.0), ("parallel", 6, 2.0), ("hybrid", 5, 4.0))
    )


@cache
def scenario(kind: str, aim: str) -> Scenario:
    """Return a small scenario of a kind, with the terms that the aim needs."""
    hourly = kind in ("hourly", "failures")
    pattern: Any = Stable(rate_per_hour=10)
    if kind == "hourly":
        pattern = OnOff(rate_per_hour=20, on_s=1200, off_s=1800)
    chance = {"calm": Chance(), "failures": NOISE.replace(
        instance_failure=InstanceFailure(rate_per_hour=0.5)
    )}.get(kind, NOISE)  # fmt: skip
    made = small(
        name=f"{kind}, {aim}",
        source=Patterned(pattern=pattern, classes=classes(DeadlineRule(factor=4.0))),
        cloud=Cloud(catalog=OFFER, boot_s=60.0, billing=HOURLY if hourly else PER_SECOND),
        chance=chance,
        estimates=Estimates(bias=0.2 if kind == "noise" else 0.0),
        horizon_s=3600.0,
    )
    if aim == "turnaround":
        return made.replace(budget_usd_per_hour=1.5)
    if aim == "ensemble":
        rng = np.random.default_rng(8)
        sizes = (12, 9, 9, 5, 3)
        given = tuple(
            application("parallel", n, rng, runtime_mean_s=300).replace(priority=2.0 ** -(p + 1))
            for p, n in enumerate(sizes)
        )
        return made.replace(source=Together(given=given), budget_usd=0.6, horizon_s=7200.0)
    return made


KINDS = ("calm", "noise", "hourly", "failures")


class Watched:
    """A policy whose decisions are kept, with the time of each."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.said: list[tuple[float, Decision]] = []

    @property
    def name(self) -> str:
        return self._policy.name

    def __call__(self, state: ClusterState) -> Decision:
        decision = self._policy(state)
        self.said.append((state.now_s, decision))
        return decision


def about(name: str) -> str:
    """Return what a policy is for."""
    if name in SIMPLE:
        return "deadlines"
    found: About = about_policy(name)
    return found.aim


def made(name: str, s: Scenario, seed: int) -> Watched:
    """Return a fresh policy."""
    if name in SIMPLE:
        return Watched(SIMPLE[name]())
    return Watched(make_policy(name, s.terms(seed)))


def play(
    name: str, s: Scenario, seed: int = 0, jobs: tuple[Job, ...] | None = None
) -> tuple[SimulationResult, Watched]:
    """Run the policy."""
    policy = made(name, s, seed)
    stream = s.stream(seed).jobs if jobs is None else jobs
    until_s = s.horizon_s if s.is_ensemble else np.inf
    result = run_policy(stream, policy, s.luck, seed=seed, limit_s=s.limit_s, until_s=until_s)
    return result, policy


@cache
def played(name: str, kind: str) -> tuple[SimulationResult, Watched]:
    """Run the policy once for several tests."""
    return play(name, scenario(kind, about(name)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_it_comes_to_its_end(name: str, kind: str) -> None:
    """Nothing is refused, every job ends (of an ensemble: those that it takes), none too early."""
    s = scenario(kind, about(name))
    result, _ = played(name, kind)
    assert result.reason is None
    stream = s.stream(0)
    run = PolicyRun.of(name, 0, stream, result, decisions=0, deciding_s=0.0, slowest_decision_s=0.0)
    ended = ~np.isnan(run.jobs.end_s)
    if s.is_ensemble:
        assert (run.jobs.end_s[ended] <= s.horizon_s + TIME_TOL_S).all()
    else:
        assert ended.all()
    arrival_s = np.repeat(run.jobs.arrival_s, [len(j.problem.workflow) for j in stream.jobs])
    started = ~np.isnan(result.tasks.first_start_s)
    assert (result.tasks.first_start_s[started] >= arrival_s[started]).all()


@pytest.mark.parametrize("kind", ["noise", "hourly"])
@pytest.mark.parametrize("name", NAMES)
def test_it_costs_no_less_than_hindsight_allows(name: str, kind: str) -> None:
    s = scenario(kind, about(name))
    if s.is_ensemble:
        pytest.skip("an ensemble's jobs need not end")
    result, _ = played(name, kind)
    stream = s.stream(0)
    run = PolicyRun.of(name, 0, stream, result, decisions=0, deciding_s=0.0, slowest_decision_s=0.0)
    found = hindsight(s, stream, 0, [result], time_limit_s=0.3)
    assert found.work_usd <= result.cost_usd
    if not run.jobs.missed[~run.jobs.hopeless].any():
        assert found.usd <= result.cost_usd


@pytest.mark.parametrize("name", NAMES)
def test_it_decides_alike_twice(name: str) -> None:
    first, one = played(name, "noise")
    second, two = play(name, scenario("noise", about(name)))
    assert one.said == two.said
    assert first.cost_usd == second.cost_usd


@pytest.mark.parametrize("kind", ["noise", "hourly"])
@pytest.mark.parametrize("name", [n for n in NAMES if about(n) != "ensemble"])
def test_it_never_acts_on_the_future(name: str, kind: str) -> None:
    """Other jobs later, at other times, change no decision before the first of them arrives."""
    s = scenario(kind, about(name))
    jobs = s.stream(0).jobs
    half = len(jobs) // 2
    rng = np.random.default_rng(1)
    later = [
        dataclasses.replace(jobs[int(k)], arrival_s=jobs[half].arrival_s + 60 * i)
        for i, k in enumerate(rng.permutation(np.arange(half, len(jobs)))[: half // 2])
    ]
    _, one = played(name, kind)
    _, two = play(name, s, jobs=(*jobs[:half], *later))
    until_s = jobs[half].arrival_s
    before = [[x for x in said.said if x[0] < until_s] for said in (one, two)]
    assert before[0]
    assert before[0] == before[1]


@pytest.mark.parametrize("name", [n for n in NAMES if about(n) == "turnaround"])
def test_the_hourly_budget_is_kept(name: str) -> None:
    for kind in ("calm", "noise", "hourly"):
        s = scenario(kind, "turnaround")
        result, _ = played(name, kind)
        run = PolicyRun.of(
            name, 0, s.stream(0), result, decisions=0, deciding_s=0.0, slowest_decision_s=0.0
        )
        assert run.over_budget_usd(s) <= 1e-9


@pytest.mark.parametrize("name", [n for n in NAMES if about(n) == "ensemble"])
def test_the_budget_of_an_ensemble_is_kept(name: str) -> None:
    for kind in ("calm", "noise", "hourly"):
        s = scenario(kind, "ensemble")
        assert s.budget_usd is not None
        assert played(name, kind)[0].cost_usd <= s.budget_usd + 1e-9
