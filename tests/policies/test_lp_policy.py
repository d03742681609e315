"""The rolling-horizon policy: hand-worked cases, and what holds for every stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.policies import POLICIES, about_policy, make_policy
from autoscale.policies.about import Terms
from autoscale.policies.protocol import Job
from simulator.chance import (
    Boot,
    BootFailure,
    Chance,
    EstimateError,
    InstanceFailure,
    Runtime,
    Spot,
    TaskFailure,
)
from simulator.distributions import Lognormal, Uniform
from simulator.streams import run_policy

if TYPE_CHECKING:
    from autoscale.model.billing import Billing
    from autoscale.policies.protocol import ClusterState, Decision
    from simulator.records import SimulationResult

BOOT_S = 100.0


def catalog() -> Catalog:
    """Return a small type, the same twice as large, and one that is faster and dearer."""
    rows = [("one", 1, 0.10, 1.0), ("two", 2, 0.20, 1.0), ("fast", 1, 0.30, 2.0)]
    return Catalog(
        tuple(
            InstanceType(name=n, vcpus=v, memory_gib=8.0, price_usd_per_hour=p, speed=s)
            for n, v, p, s in rows
        )
    )


def job(
    runtimes_s: list[float],
    deadline_s: float | None,
    *,
    at_s: float = 0.0,
    edges: tuple[list[int], list[int]] = ([], []),
    billing: Billing = HOURLY,
) -> Job:
    """Return a job of single-vCPU tasks of one category."""
    n = len(runtimes_s)
    workflow = Workflow.from_columns(
        name="job",
        ids=[f"t{i}" for i in range(n)],
        runtime_s=np.array(runtimes_s),
        edges=(np.array(edges[0], dtype=np.int64), np.array(edges[1], dtype=np.int64)),
    )
    problem = Problem(
        workflow=workflow,
        catalog=catalog(),
        deadline_s=deadline_s,
        boot_s=BOOT_S,
        billing=billing,
        transfers=False,
    )
    return Job(problem=problem, arrival_s=at_s)


def chain(n: int) -> tuple[list[int], list[int]]:
    return list(range(n - 1)), list(range(1, n))


def run(jobs: list[Job], chance: Chance | None = None, **options: Any) -> SimulationResult:
    result = run_policy(jobs, make_policy("lp", Terms()), chance, **options)
    assert result.reason is None
    return result


def ends_s(jobs: list[Job], result: SimulationResult) -> list[float]:
    sizes = [len(j.problem.workflow) for j in sorted(jobs, key=lambda j: j.arrival_s)]
    parts = np.split(result.tasks.end_s, np.cumsum(sizes)[:-1])
    return [float(part.max()) for part in parts]


def random_stream(seed: int, billing: Billing, n_jobs: int = 12) -> list[Job]:
    """Return jobs of chains and forks that arrive over two hours, with slack of 1.5 to 4."""
    rng = np.random.default_rng(seed)
    jobs = []
    for at_s in np.sort(rng.uniform(0, 7200, n_jobs)):
        n = int(rng.integers(2, 8))
        runtimes = np.round(rng.gamma(4, 100, n), 1).tolist()
        forked = rng.random() < 0.5
        edges = ([0] * (n - 1), list(range(1, n))) if forked else chain(n)
        path_s = runtimes[0] + max(runtimes[1:]) if forked else sum(runtimes)
        deadline_s = BOOT_S + path_s * float(rng.uniform(1.5, 4))
        jobs.append(job(runtimes, deadline_s, at_s=float(at_s), edges=edges, billing=billing))
    return jobs


def test_it_is_listed_as_our_own_policy_for_deadlines() -> None:
    assert "lp" in POLICIES
    about = about_policy("lp")
    assert (about.aim, about.source, about.reconstruction) == ("deadlines", "", "")


def test_a_lone_task_with_much_slack_waits_on_the_cheapest_lease() -> None:
    lone = [job([1000.0], 6000.0)]
    result = run(lone)
    # The latest request that is in time without error is at 6000 - 1000 - 100 s.
    assert 3500 < result.leases.requested_s[0] <= 4900
    assert ends_s(lone, result)[0] <= 6000
    assert result.cost_usd == pytest.approx(0.10)


def test_an_urgent_task_is_launched_on_arrival_on_a_type_that_is_in_time() -> None:
    urgent = [job([1000.0], 800.0, at_s=50.0)]
    result = run(urgent)
    assert result.leases.requested_s.tolist() == [50.0]
    assert result.problem.catalog.names[result.leases.type[0]] == "fast"
    assert ends_s(urgent, result) == [pytest.approx(50 + BOOT_S + 500)]


def test_work_that_could_wait_runs_in_the_hour_that_is_paid() -> None:
    jobs = [job([600.0], 850.0), job([600.0], 40_000.0, at_s=1000.0)]
    result = run(jobs)
    assert result.n_leases == 1
    assert result.cost_usd == pytest.approx(0.10)
    assert ends_s(jobs, result) == [pytest.approx(700), pytest.approx(1600)]


def test_by_the_second_an_idle_lease_goes_at_once() -> None:
    jobs = [job([600.0], 850.0, billing=PER_SECOND)]
    later = job([600.0], 900.0, at_s=20_000.0, billing=PER_SECOND)
    result = run([*jobs, later])
    assert result.leases.released_s[0] == pytest.approx(700)
    assert result.cost_usd == pytest.approx(2 * 700 * 0.10 / 3600)


def test_parallel_work_with_slack_shares_few_leases() -> None:
    """Twelve tasks of ten minutes: twelve hours on leases of their own, a third of that shared."""
    jobs = [job([600.0] * 12, 14_400.0)]
    result = run(jobs)
    assert ends_s(jobs, result)[0] <= 14_400
    assert result.cost_usd <= 0.40 + 1e-9


@pytest.mark.parametrize(("seed", "billing"), [(0, HOURLY), (1, PER_SECOND)])
def test_without_chance_deadlines_hold_and_sharing_costs_no_more(
    seed: int, billing: Billing
) -> None:
    jobs = random_stream(seed, billing, n_jobs=8)
    result = run(jobs)
    for one, end_s in zip(jobs, ends_s(jobs, result), strict=True):
        assert one.problem.deadline_s is not None
        assert end_s <= one.arrival_s + one.problem.deadline_s + 1e-6
    alone = [Job(problem=one.problem) for one in jobs]
    assert result.cost_usd <= sum(run([one]).cost_usd for one in alone) * (1 + 1e-9)


def test_the_same_stream_gives_the_same_run() -> None:
    jobs = random_stream(5, HOURLY, n_jobs=6)
    chance = Chance(runtime=Runtime(task=Lognormal(mean=1, cv=0.2)))
    first, again = (run(jobs, chance, seed=3) for _ in range(2))
    assert np.array_equal(first.tasks.start_s, again.tasks.start_s)
    assert np.array_equal(first.leases.cost_usd, again.leases.cost_usd)


class Recorded:
    """The policy, with what it decided when."""

    name = "recorded"

    def __init__(self) -> None:
        self._policy = make_policy("lp", Terms())
        self.decided: list[tuple[float, Any, Any, Any]] = []

    def __call__(self, state: ClusterState) -> Decision:
        out = self._policy(state)
        self.decided.append((state.now_s, out.launches, out.assignments, out.releases))
        return out


@pytest.mark.parametrize("billing", [HOURLY, PER_SECOND])
def test_what_comes_later_changes_nothing_before(billing: Billing) -> None:
    early = random_stream(1, billing, n_jobs=10)
    cut_s = early[5].arrival_s
    other = [*early[:6], *(Job(problem=j.problem, arrival_s=cut_s + 7) for j in early[8:])]
    before = []
    for jobs in (early, other):
        recorded = Recorded()
        assert run_policy(jobs, recorded).reason is None
        before.append([one for one in recorded.decided if one[0] <= cut_s])
    assert before[0]
    assert before[0] == before[1]


@pytest.mark.parametrize("billing", [HOURLY, PER_SECOND])
def test_lost_leases_failed_boots_and_failing_tasks_are_made_good(billing: Billing) -> None:
    jobs = random_stream(2, billing, n_jobs=5)
    rough = Chance(
        boot=Boot(time_s=Uniform(low=20, high=300)),
        boot_failure=BootFailure(probability=0.1),
        runtime=Runtime(task=Lognormal(mean=1, cv=0.3)),
        estimate_error=EstimateError(task=Lognormal(mean=1.1, cv=0.3)),
        task_failure=TaskFailure(probability=0.05, retries=20),
        instance_failure=InstanceFailure(rate_per_hour=0.3),
        spot=Spot(rate_per_hour=0.5, everything=True),
    )
    for seed in range(2):
        result = run(jobs, rough, seed=seed)
        assert not np.isnan(result.tasks.end_s).any()


def test_jobs_that_cannot_be_in_time_or_have_no_deadline_are_run_too() -> None:
    jobs = [
        job([500.0, 500.0], 100.0, edges=chain(2)),
        job([300.0], None, at_s=10.0),
        job([300.0], 4000.0, at_s=20.0),
    ]
    result = run(jobs)
    ends = ends_s(jobs, result)
    assert ends[2] <= 4020
    assert max(ends) < 20_000
