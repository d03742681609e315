"""DPDS and WA-DPDS on the published ensemble, and what they do with budgets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as hs

from autoscale.errors import InputError
from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.problem import Problem
from autoscale.policies import make_policy
from autoscale.policies.about import Terms
from autoscale.policies.protocol import Job
from simulator.streams import run_policy
from tests.policies.clusters import SLOW_AND_FAST, fork_join
from tests.schedulers.test_spss import papers_example

HOUR = 3600.0


def score_of(jobs: list[Job], result: Any, deadline_s: float) -> float:
    """Return the sum of priorities of the jobs whose tasks all ended in time."""
    ends = np.split(result.tasks.end_s, np.cumsum([len(j.problem.workflow) for j in jobs])[:-1])
    done = [bool((end <= deadline_s + 1e-6).all()) for end in ends]
    return math.fsum(job.priority for job, d in zip(jobs, done, strict=True) if d)


def published() -> list[Job]:
    problem, ensemble = papers_example()
    return [
        Job(problem=problem.replace(workflow=w), priority=2.0 ** -(n + 1))
        for n, w in enumerate(ensemble)
    ]


@pytest.mark.parametrize(("name", "score"), [("dpds", 0.0), ("wa-dpds", 0.5)])
def test_the_published_ensemble(name: str, score: float) -> None:
    """Three fork-joins, six hours, $18, machines at $1 an hour: three machines."""
    jobs = published()
    terms = Terms(budget_usd=18.0, horizon_s=6 * HOUR)
    result = run_policy(jobs, make_policy(name, terms))
    assert score_of(jobs, result, 6 * HOUR) == score
    assert result.cost_usd <= 18.0
    held = np.searchsorted(np.sort(result.leases.requested_s), [0.0], side="right")
    assert held.tolist() == [3]


def test_the_published_admission() -> None:
    """A costs $8.92 and b $6.58, which leaves $2.40: c, which costs $4.58, is dropped; a ends."""
    result = run_policy(
        published(), make_policy("wa-dpds", Terms(budget_usd=18.0, horizon_s=6 * HOUR))
    )
    started = np.isfinite(result.tasks.first_start_s).reshape(3, 5)
    assert started.any(axis=1).tolist() == [True, True, False]
    assert (result.tasks.end_s[:5] / 60).tolist() == [70, 165, 180, 170, 340]
    more = make_policy("wa-dpds", Terms(budget_usd=20.3, horizon_s=6 * HOUR))
    started = np.isfinite(run_policy(published(), more).tasks.first_start_s).reshape(3, 5)
    assert started.any(axis=1).tolist() == [True, True, True]


@settings(max_examples=15, deadline=None)
@given(hs.integers(0, 10**5), hs.sampled_from(["dpds", "wa-dpds"]), hs.booleans(), hs.floats(2, 40))
@example(13, "dpds", False, 13.0)  # a machine was kept for a minute after its task
def test_the_budget_holds_and_nothing_ends_late(
    seed: int, name: str, hourly: bool, budget: float
) -> None:
    rng = np.random.default_rng(seed)
    jobs = [
        Job(
            problem=Problem(
                workflow=fork_join(rng.integers(5, 90, int(rng.integers(1, 9)))),
                catalog=SLOW_AND_FAST,
                billing=HOURLY if hourly else PER_SECOND,
            ),
            priority=2.0 ** -(n + 1),
        )
        for n in range(4)
    ]
    terms = Terms(budget_usd=budget, horizon_s=4 * HOUR)
    result = run_policy(jobs, make_policy(name, terms))
    assert result.cost_usd <= budget + 1e-6
    assert np.nanmax(result.tasks.end_s, initial=0.0) <= 4 * HOUR + 1e-6


@pytest.mark.parametrize("name", ["dpds", "wa-dpds"])
def test_terms_without_budget_or_horizon_are_refused(name: str) -> None:
    for terms in (Terms(budget_usd=1.0), Terms(horizon_s=1.0)):
        with pytest.raises(InputError, match=name):
            make_policy(name, terms)
