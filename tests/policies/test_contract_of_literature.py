"""What every policy of the literature and of operators keeps, on any stream, whatever strikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.policies import about_policy, make_policy
from autoscale.policies.about import Terms
from simulator.streams import run_policy
from tests.policies.clusters import poisson_stream, rough_stream
from tests.simulator.chances import ROUGH

DEADLINES = (
    "scs", "greedy", "gain", "jit-c", "queue-length", "target-tracking", "bin-packing",
    "schedule-based", "uniform-progress",
)  # fmt: skip
ALL = (*DEADLINES, "fixed-machine", "scaling-first", "scheduling-first")

TERMS = Terms(budget_usd_per_hour=8.0, budget_usd=1e4, horizon_s=1e6, seed=3)
"""Enough for the dearest type, and for two of it."""


def ends_of_jobs(jobs: list[Any], result: Any) -> Any:
    """Return when each job ended, in the order of arrival."""
    sizes = [len(job.problem.workflow) for job in sorted(jobs, key=lambda job: job.arrival_s)]
    return np.maximum.reduceat(result.tasks.end_s, np.cumsum([0, *sizes[:-1]]))


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=4, deadline=None)
@given(seed=hs.integers(0, 10**5))
def test_all_jobs_end_whatever_strikes(name: str, seed: int) -> None:
    """Wide and tiny tasks, types that do not fit, boots and machines that fail, wrong estimates."""
    jobs = rough_stream(seed)
    policy = make_policy(name, TERMS)
    result = run_policy(jobs, policy, ROUGH, seed=seed, limit_s=3e5)
    assert result.reason is None or "failed" in result.reason or "started" in result.reason
    if result.reason is None:
        assert result.leases.tasks.sum() == len(result.problem.workflow)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=3, deadline=None)
@given(seed=hs.integers(0, 10**5))
def test_without_chance_all_jobs_end_and_every_lease_is_used(name: str, seed: int) -> None:
    result = run_policy(rough_stream(seed), make_policy(name, TERMS), limit_s=3e5)
    assert result.reason is None
    assert np.isfinite(result.tasks.end_s).all()
    assert (result.leases.released_s <= result.makespan_s + 1e-6).all()


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_run(name: str) -> None:
    runs = [
        run_policy(poisson_stream(5), make_policy(name, TERMS), ROUGH, seed=1) for _ in range(2)
    ]
    for column in ("lease", "start_s", "end_s"):
        first, second = (getattr(run.tasks, column) for run in runs)
        np.testing.assert_array_equal(first, second)
    assert runs[0].cost_usd == runs[1].cost_usd


@pytest.mark.parametrize("hourly", [True, False], ids=["hourly", "per-second"])
@pytest.mark.parametrize("name", DEADLINES)
def test_easy_deadlines_are_met(name: str, hourly: bool) -> None:
    jobs = poisson_stream(11, hourly=hourly)
    result = run_policy(jobs, make_policy(name, TERMS))
    assert result.reason is None
    due = [job.arrival_s + (job.problem.deadline_s or 0) for job in jobs]
    late = ends_of_jobs(jobs, result) > np.array(due) + 1e-6
    assert late.mean() <= 0.05


@pytest.mark.parametrize("name", ALL)
def test_idle_leases_are_held_to_the_end_of_what_is_paid_and_no_longer(name: str) -> None:
    """By the hour every lease but those of the end of the run is released on the hour, or busy."""
    result = run_policy(poisson_stream(2), make_policy(name, TERMS))
    held_s = result.leases.released_s - result.leases.requested_s
    before_the_end = result.leases.released_s < result.makespan_s - 1e-6
    left_s = (-held_s[before_the_end]) % 3600.0
    assert (np.minimum(left_s, 3600.0 - left_s) < 1e-3).all()


@pytest.mark.parametrize("name", ALL)
def test_every_policy_says_what_it_is(name: str) -> None:
    about = about_policy(name)
    assert about.summary
    assert not about.summary.endswith(".")
    assert about.source
    assert make_policy(name, TERMS).name == name
