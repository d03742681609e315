"""Runs under chance: invariants at every event, common random numbers, closed forms."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.stats as st
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from autoscale.plan.decode import decode
from simulator import simulate
from simulator.chance import (
    Boot,
    BootFailure,
    Chance,
    EstimateError,
    InstanceFailure,
    Network,
    Runtime,
    Spot,
    TaskFailure,
)
from simulator.cloud import OUTCOMES
from simulator.distributions import Constant, Lognormal, factor
from simulator.events import EventLog
from simulator.following import Following
from simulator.luck import Luck
from simulator.replay import figures_of, replicate
from simulator.reporting import result_of_plan
from tests.simulator.chances import ROUGH, random_chance
from tests.simulator.clouds import right_plan, wrong_plan
from tests.simulator.test_replay import WatchedCloud

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan
    from simulator.records import SimulationResult

seeds = hs.integers(0, 10**6)
sizes = hs.integers(1, 25)
some = settings(max_examples=80, deadline=None)


def watched(plan: Plan, chance: Chance, seed: int) -> tuple[SimulationResult, WatchedCloud]:
    """Play a plan in a cloud that checks itself at every event."""
    cloud = WatchedCloud(plan.problem, Luck(chance, plan.problem, seed))
    cloud.log = EventLog()
    driver = Following(plan, cloud)
    return result_of_plan(cloud, driver, cloud.run(driver)), cloud


@some
@given(seeds, sizes, hs.sampled_from([right_plan, wrong_plan]))
def test_a_run_obeys_the_rules_whatever_strikes(seed: int, n: int, make: Any) -> None:
    plan = make(seed, n)
    result, cloud = watched(plan, random_chance(seed, everything=True), seed)
    tasks, leases, w = result.tasks, result.leases, plan.problem.workflow
    if result.reason is None:
        assert sorted(cloud.ended) == list(range(n))
        assert np.isfinite(tasks.end_s).all()
        assert tasks.end_s.max() <= leases.released_s.max()
    assert (leases.released_s >= leases.requested_s).all()
    assert np.isfinite(leases.released_s).all()
    assert (leases.busy_vcpu_s <= result.leased_vcpu_s + 1e-6).all()
    assert math.isfinite(result.cost_usd)
    assert result.cost_usd == pytest.approx(leases.cost_usd.sum(), rel=1e-12)
    assert (leases.cost_usd >= 0).all()
    ended = np.flatnonzero(~np.isnan(tasks.end_s))
    run_on = tasks.machine[ended]
    assert (tasks.start_s[ended] >= leases.ready_s[run_on]).all()
    assert (tasks.end_s[ended] <= leases.released_s[run_on] + 1e-9).all()
    assert (tasks.first_start_s <= tasks.start_s)[ended].all()
    for i in ended:
        assert (tasks.end_s[w.parents_of(i)] <= tasks.first_start_s[i]).all()
    phases = (tasks.fetch_s + tasks.compute_s + tasks.store_s)[ended]
    np.testing.assert_allclose(phases, (tasks.end_s - tasks.start_s)[ended], rtol=1e-9, atol=1e-6)
    assert result.events is not None
    assert (np.diff(result.events.time_s) >= 0).all()


def test_the_mixtures_of_the_tests_strike() -> None:
    """The invariants above would say little if nothing ever failed."""
    outcomes: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    retried = 0
    for seed in range(40):
        result = simulate(right_plan(seed, 20), random_chance(seed, everything=True), seed=seed)
        for code in result.leases.outcome.tolist():
            outcomes[OUTCOMES[code]] += 1
        retried += int((result.tasks.attempts > 1).sum())
    assert min(outcomes[o] for o in ("released", "boot failed", "instance failed")) >= 10
    assert outcomes["interrupted"] >= 10
    assert retried >= 30


def fingerprint(result: SimulationResult) -> str:
    """Return a hash of all records of a run."""
    found = hashlib.sha256()
    parts = [result.tasks, result.leases, *([result.events] if result.events else [])]
    for records in parts:
        for column in vars(records).values():
            found.update(np.ascontiguousarray(column).tobytes())
    return found.hexdigest()


def digest() -> str:
    """Return a hash of a run for each of 100 seeds."""
    found = hashlib.sha256()
    for seed in range(100):
        chance = random_chance(seed, everything=True)
        result = simulate(right_plan(seed % 7, 15), chance, seed=seed, events=True)
        found.update(fingerprint(result).encode())
    return found.hexdigest()


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    root = str(Path(__file__).resolve().parents[2])
    code = "from tests.simulator.test_luck import digest; print(digest())"
    found = {digest()}
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": root}
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        found.add(run.stdout.strip())
    assert len(found) == 1


def test_seeds_and_runs_differ() -> None:
    plan = right_plan(3, 15)
    prints = [
        fingerprint(simulate(plan, ROUGH, seed=seed, run=run))
        for seed, run in itertools.product(range(5), range(5))
    ]
    assert len(set(prints)) == 25


SINGLE = {name: Chance(**{name: getattr(ROUGH, name)}) for name in ROUGH.sources}


@pytest.mark.parametrize("name", list(SINGLE))
def test_a_source_draws_the_same_whatever_others_are_on(name: str) -> None:
    """Common random numbers: draws are asked for directly, alone and among all the others."""
    problem = right_plan(5, 12).problem
    alone, among = Luck(SINGLE[name], problem, 9, 4), Luck(ROUGH, problem, 9, 4)

    def drawn(luck: Luck) -> list[object]:
        return {
            "boot": [luck.draw(0, e, a) for e in range(5) for a in range(3)],
            "boot_failure": [luck.boot_fails(e, a) for e in range(20) for a in range(3)],
            "runtime": [luck.task_factor(e, a) for e in range(12) for a in range(3)]
            + [luck.draw(3, e, a) for e in range(5) for a in range(3)],
            "estimate_error": [luck.truth],
            "task_failure": [luck.failure_moment(e, a) for e in range(12) for a in range(5)],
            "instance_failure": [luck.draw(8, e, a) for e in range(5) for a in range(3)],
            "spot": [luck.draw(9, e, a) for e in range(5) for a in range(3)],
        }[name]

    assert drawn(alone) == drawn(among)


def test_adding_failures_changes_no_computation() -> None:
    """Tasks that never fail compute as long in a run with boot failures as in one without."""
    plan = right_plan(8, 20)
    noise = Chance(runtime=Runtime(task=factor(0.3)))
    calm = simulate(plan, noise, seed=2)
    rough = simulate(plan, noise.replace(boot_failure=ROUGH.boot_failure, boot=ROUGH.boot), seed=2)
    assert rough.n_leases > calm.n_leases
    assert rough.tasks.compute_s.tolist() == calm.tasks.compute_s.tolist()


def chain(*runtimes: float, vcpus: int = 1, **rules: Any) -> Plan:
    """Return a plan that runs tasks one after another on one machine, 3.6 USD an hour."""
    builder = WorkflowBuilder("chain")
    for i, runtime_s in enumerate(runtimes):
        parents = [f"t{i - 1}"] if i else []
        builder.add(f"t{i}", runtime_s=runtime_s, parents=parents, category="c")
    kind = InstanceType(name="m", vcpus=vcpus, memory_gib=8, price_usd_per_hour=3.6)
    problem = Problem(
        workflow=builder.build(), catalog=Catalog((kind,)), **{"boot_s": 50.0, **rules}
    )
    return decode(problem, [0], [0] * len(runtimes), range(len(runtimes)))


def columns(plan: Plan, chance: Chance, runs: int = 4000, **options: Any) -> Any:
    return replicate(plan, chance, runs=runs, seed=12, **options)


def test_expected_makespan_of_a_chain_under_noise() -> None:
    """Started early, a chain takes boot plus the sum: mean and deviation in closed form."""
    plan = chain(100, 300, 50)
    found = columns(plan, Chance(runtime=Runtime(task=factor(0.3))), early=True)["makespan_s"]
    sd = 0.3 * math.sqrt(100**2 + 300**2 + 50**2)
    assert found.mean() == pytest.approx(500, abs=4 * sd / math.sqrt(4000))
    assert found.std() == pytest.approx(sd, rel=0.08)


def test_deadline_probability_of_one_task() -> None:
    plan, error = chain(100), Chance(estimate_error=EstimateError(task=factor(0.5)))
    found = columns(plan, error)["makespan_s"]
    sigma = math.sqrt(math.log1p(0.25))
    for deadline_s in (100, 150, 250):
        exact = st.lognorm(sigma, scale=100 / math.sqrt(1.25)).cdf(deadline_s - 50)
        hits = int((found <= deadline_s).sum())
        assert st.binomtest(hits, 4000, exact).pvalue > 1e-4


def test_boot_noise_moves_makespan_and_cost_alike() -> None:
    boot = Chance(boot=Boot(time_s=Lognormal(mean=50, cv=0.4)))
    found = columns(chain(100), boot)
    np.testing.assert_allclose(found["makespan_s"], found["wait_boot_s"] + 150, atol=60)
    late = np.maximum(found["makespan_s"], 150)
    np.testing.assert_allclose(late - 150, found["wait_boot_s"], atol=1e-9)
    np.testing.assert_allclose(found["cost_usd"], np.ceil(late - 1e-6) * 1e-3, rtol=1e-9)


def test_failures_of_tasks_are_geometric() -> None:
    """With probability p an attempt fails half way on average: E = r + r/2 p / (1 - p)."""
    plan = chain(100)
    found = columns(plan, Chance(task_failure=TaskFailure(probability=0.4, retries=1000)))
    assert found["attempts"].mean() == pytest.approx(1 / 0.6, abs=0.07)
    assert found["makespan_s"].mean() == pytest.approx(150 + 50 * 0.4 / 0.6, abs=4)
    assert found["rerun_s"].mean() == pytest.approx(50 * 0.4 / 0.6, abs=4)


def test_failures_of_boots_are_geometric() -> None:
    boots = BootFailure(probability=0.25, detect_s=200, billed=True, attempts=1000)
    found = columns(chain(100), Chance(boot_failure=boots))
    failures = found["machines"] - 1
    assert failures.mean() == pytest.approx(1 / 3, abs=0.05)
    np.testing.assert_allclose(found["makespan_s"], 150 + 200 * failures)
    np.testing.assert_allclose(found["cost_usd"], 0.15 + 0.2 * failures)
    free = BootFailure(probability=0.25, detect_s=200, billed=False, attempts=1000)
    unbilled = columns(chain(100), Chance(boot_failure=free))
    np.testing.assert_allclose(unbilled["cost_usd"], 0.15)


def test_restarts_under_exponential_failures() -> None:
    """A job of length T restarted at rate r takes (exp(rT) - 1) / r on average (boot included)."""
    rate = 6.0
    found = columns(chain(250), Chance(instance_failure=InstanceFailure(rate_per_hour=rate)))
    r = rate / 3600
    expected = (math.exp(r * 300) - 1) / r
    sd = found["makespan_s"].std()
    assert found["makespan_s"].mean() == pytest.approx(expected, abs=4 * sd / math.sqrt(4000))
    assert found["machines"].mean() == pytest.approx(math.exp(r * 300), abs=0.08)
    spot = columns(chain(250), Chance(spot=Spot(rate_per_hour=rate, notice_s=0, everything=True)))
    assert spot["makespan_s"].mean() == pytest.approx(expected, abs=4 * sd / math.sqrt(4000))


def test_only_spot_leases_are_interrupted() -> None:
    plan = chain(250)
    assert columns(plan, Chance(spot=Spot(rate_per_hour=1e4)), runs=20)["machines"].max() == 1


def test_noise_without_variance_reproduces_the_plan() -> None:
    off = Chance(
        boot=Boot(time_s=Constant(value=45.5)),
        runtime=Runtime(),
        estimate_error=EstimateError(),
        task_failure=TaskFailure(probability=0.0),
        boot_failure=BootFailure(probability=0.0),
        instance_failure=InstanceFailure(rate_per_hour=0.0),
        spot=Spot(everything=True),
        network=Network(),
    )
    for seed in range(30):
        plan = right_plan(seed, 20)
        chance = off.replace(boot=Boot(time_s=Constant(value=plan.problem.boot_s)))
        assert simulate(plan, chance, seed=seed).reproduces(plan, tol=1e-9)


@pytest.mark.parametrize(
    ("chance", "reason"),
    [
        (Chance(boot_failure=BootFailure(probability=1)), "lease 0 (m): 10 machines in a row"),
        (Chance(task_failure=TaskFailure(probability=1)), "task 't0' has failed 4 times"),
        (Chance(instance_failure=InstanceFailure(rate_per_hour=1e6)), "used up 1000 machines"),
        (
            Chance(task_failure=TaskFailure(probability=1, retries=10**6)),
            "task 't0' has been started 1000 times",
        ),
    ],
)
def test_what_can_never_end_is_given_up_with_a_reason(chance: Chance, reason: str) -> None:
    result = simulate(chain(100, 100), chance)
    assert result.reason is not None
    assert reason in result.reason
    assert result.makespan_s == math.inf
    assert math.isfinite(result.cost_usd)
    runs = replicate(chain(100, 100), chance, runs=3)
    assert reason in runs.reasons[2]
    assert np.isinf(runs["makespan_s"]).all()
    assert runs["cost_usd"][0] == pytest.approx(figures_of(chain(100, 100), result)[0])


def test_a_limit_of_time_ends_a_run() -> None:
    result = simulate(chain(100, 100), limit_s=120)
    assert result.reason == "the limit of 120 simulated seconds is over"
    assert result.leases.released_s.tolist() == [120]
    assert result.cost_usd == pytest.approx(0.12)
    assert np.isnan(result.tasks.end_s).all()
    assert "given up" in repr(result)
