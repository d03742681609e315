"""The rolling-horizon policy for budgets: the budget holds, and money goes where it tells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.errors import InputError
from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.policies import about_policy, make_policy
from autoscale.policies.about import Terms
from autoscale.policies.protocol import Job
from autoscale.units import GIB
from simulator.chance import Boot, BootFailure, Chance, InstanceFailure, Runtime
from simulator.distributions import Lognormal, Uniform
from simulator.streams import run_policy

if TYPE_CHECKING:
    from autoscale.model.billing import Billing
    from simulator.records import SimulationResult


def catalog() -> Catalog:
    """Return a cheap type with little memory, and one with much that costs four times as much."""
    rows = [("lean", 1, 2.0, 0.10), ("broad", 2, 16.0, 0.40)]
    return Catalog(
        tuple(
            InstanceType(name=n, vcpus=v, memory_gib=m, price_usd_per_hour=p) for n, v, m, p in rows
        )
    )


def job(
    n_tasks: int,
    at_s: float,
    *,
    runtime_s: float = 600.0,
    priority: float = 1.0,
    memory_gib: float = 0.0,
    billing: Billing = HOURLY,
) -> Job:
    workflow = Workflow.from_columns(
        name="job",
        ids=[f"t{i}" for i in range(n_tasks)],
        runtime_s=np.full(n_tasks, runtime_s),
        edges=(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)),
        memory_bytes=np.full(n_tasks, round(memory_gib * GIB)),
    )
    problem = Problem(
        workflow=workflow, catalog=catalog(), boot_s=60.0, billing=billing, transfers=False
    )
    return Job(problem=problem, arrival_s=at_s, priority=priority)


def run(jobs: list[Job], usd: float, chance: Chance | None = None) -> SimulationResult:
    policy = make_policy("lp-budget", Terms(budget_usd_per_hour=usd))
    result = run_policy(jobs, policy, chance, seed=1)
    assert result.reason is None
    return result


def most_in_an_hour(result: SimulationResult) -> float:
    """Return what the dearest hour of the clock cost, charges spread over what they pay for."""
    leases = result.leases
    start, stop = leases.requested_s, leases.requested_s + leases.billed_s
    rate = np.divide(
        leases.cost_usd, leases.billed_s, out=np.zeros_like(start), where=leases.billed_s > 0
    )
    spent = [
        float(np.maximum(np.minimum(stop, h + 3600) - np.maximum(start, h), 0) @ rate)
        for h in range(0, int(stop.max()) + 3600, 3600)
    ]
    return max(spent)


def test_it_needs_a_budget_per_hour_and_says_so() -> None:
    assert about_policy("lp-budget").aim == "turnaround"
    with pytest.raises(InputError, match="budget per hour"):
        make_policy("lp-budget", Terms())


def test_all_of_a_job_runs_at_once_where_the_budget_allows() -> None:
    result = run([job(5, 0.0)], 1.0)
    assert result.tasks.end_s == pytest.approx(np.full(5, 660.0))


def test_whole_priorities_are_not_compiled_for_anew() -> None:
    """A compiler at work would make a policy's first decision take seconds."""
    from autoscale.policies.rolling import kernels

    whole, broken = (run([job(3, 0.0, priority=p)], 1.0) for p in (2, 2.0))
    assert whole.tasks.end_s.tolist() == broken.tasks.end_s.tolist()
    assert len(kernels.play_fleet.signatures) == 1


def test_no_solver_is_stopped_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine would decide otherwise than an idle one."""
    from autoscale.lp import backend

    honest, limits_s = backend._highs, []

    def noted(model: Any, time_limit_s: float, *more: Any) -> Any:
        limits_s.append(time_limit_s)
        return honest(model, time_limit_s, *more)

    monkeypatch.setattr(backend, "_highs", noted)
    run([job(5, 0.0), job(5, 100.0)], 0.5)
    assert set(limits_s) == {math.inf}


def test_a_small_budget_is_held_and_everything_ends() -> None:
    result = run([job(5, 0.0), job(5, 100.0)], 0.25)
    assert most_in_an_hour(result) <= 0.25 + 1e-9
    assert result.n_leases == 2


@pytest.mark.parametrize("billing", [HOURLY, PER_SECOND])
def test_the_budget_holds_whatever_chance_brings(billing: Billing) -> None:
    rng = np.random.default_rng(4)
    jobs = [
        job(int(rng.integers(1, 6)), float(at_s), memory_gib=3.0 * (i % 3 == 0), billing=billing)
        for i, at_s in enumerate(np.sort(rng.uniform(0, 7200, 10)))
    ]
    rough = Chance(
        boot=Boot(time_s=Uniform(low=20, high=200)),
        boot_failure=BootFailure(probability=0.2),
        runtime=Runtime(task=Lognormal(mean=1, cv=0.3)),
        instance_failure=InstanceFailure(rate_per_hour=0.5),
    )
    result = run(jobs, 0.8, rough)
    assert most_in_an_hour(result) <= 0.8 + 1e-9
    assert not np.isnan(result.tasks.end_s).any()


def test_short_and_important_jobs_go_first() -> None:
    """One lease that boots until all have come: Smith's rule, work over priority."""
    jobs = [
        job(1, 0.0, runtime_s=1000.0),
        job(2, 10.0, runtime_s=1000.0, priority=1.0),
        job(1, 20.0, runtime_s=1000.0, priority=1.0),
        job(2, 30.0, runtime_s=1000.0, priority=8.0),
    ]
    result = run(jobs, 0.10)
    ends = [float(part.max()) for part in np.split(result.tasks.end_s, [1, 3, 4])]
    assert np.argsort(ends).tolist() == [3, 0, 2, 1]
