"""Random plans: right ones are reproduced, wrong ones become runs that obey every rule."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.plan.check import check_plan
from autoscale.plan.decode import decode, tighten
from autoscale.units import TIME_TOL_S
from simulator import SimulationResult, simulate
from simulator.cloud import Cloud, Machine
from simulator.following import Following
from tests import problems
from tests.simulator.clouds import plan_of, right_plan, wrong_plan

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan
    from simulator.luck import Luck

seeds = st.integers(0, 10**6)
sizes = st.integers(1, 25)
some = settings(max_examples=60, deadline=None)


def as_plan(result: SimulationResult) -> Plan:
    """Return what happened as if it had been planned so."""
    return plan_of(
        result.problem,
        lease_type=result.leases.type,
        lease_start_s=result.leases.requested_s,
        lease_end_s=result.leases.released_s,
        task_lease=result.tasks.lease,
        task_start_s=result.tasks.start_s,
        task_end_s=result.tasks.end_s,
    )


@some
@given(seeds, sizes)
def test_a_feasible_plan_is_reproduced(seed: int, n_tasks: int) -> None:
    plan = right_plan(seed, n_tasks)
    assert check_plan(plan.problem, plan) == ()
    result = simulate(plan)
    assert result.reproduces(plan, tol=1e-9), result.differences(plan)
    assert result.tasks.late_s.max() <= 1e-9
    assert result.utilisation == pytest.approx(plan.utilisation, rel=1e-9)


@some
@given(seeds, sizes, st.integers(1, 6))
def test_a_decoded_and_tightened_plan_is_reproduced(seed: int, n: int, n_leases: int) -> None:
    problem = problems.random_problem(seed, n)
    rng = np.random.default_rng(seed)
    wide = np.flatnonzero(problem.fits.all(axis=0))
    plan = decode(
        problem, rng.choice(wide, n_leases), rng.integers(0, n_leases, n), np.arange(n)
    ).replace(problem=problem.replace(deadline_s=None))
    for made in (plan, tighten(plan)):
        assert simulate(made).reproduces(made, tol=1e-9)


def reference_starts(plan: Plan) -> list[float]:
    """Return the starts that the rule gives, task by task in the plan's order (quadratic)."""
    problem, w = plan.problem, plan.problem.workflow
    duration = problem.durations_on(plan.lease_type[plan.task_lease])
    key: list[float] = []
    for i in range(len(w)):
        key.append(max([plan.task_start_s[i], *(key[p] for p in w.parents_of(i))]))
    start = [math.nan] * len(w)
    done: list[int] = []
    for i in sorted(range(len(w)), key=lambda i: (key[i], i)):
        lease = plan.task_lease[i]
        here = [j for j in done if plan.task_lease[j] == lease]
        earliest = max(
            plan.task_start_s[i],
            max(plan.lease_start_s[lease], 0.0) + problem.boot_s,
            *(start[p] + duration[p] for p in w.parents_of(i)),
            *(start[j] for j in here),
        )
        type_ = problem.catalog[int(plan.lease_type[lease])]

        def room(at: float, here: list[int] = here, i: int = i, t: InstanceType = type_) -> bool:
            held = [j for j in here if start[j] + duration[j] > at and duration[j] > TIME_TOL_S]
            return (
                sum(w.vcpus[j] for j in [*held, i]) <= t.vcpus
                and sum(int(w.memory_bytes[j]) for j in [*held, i]) <= t.memory_bytes
                and sum(w.gpus[j] for j in [*held, i]) <= t.gpus
            )

        times = sorted({earliest, *(start[j] + duration[j] for j in here)})
        later = [at for at in times if at >= earliest]
        empty = duration[i] <= TIME_TOL_S
        start[i] = earliest if empty else next(at for at in later if room(at))
        done.append(i)
    return start


@some
@given(seeds, sizes)
def test_a_wrong_plan_starts_as_the_rule_says(seed: int, n_tasks: int) -> None:
    plan = wrong_plan(seed, n_tasks)
    result = simulate(plan)
    np.testing.assert_allclose(result.tasks.start_s, reference_starts(plan), atol=1e-9, rtol=0)


@some
@given(seeds, sizes)
def test_a_wrong_plan_becomes_a_feasible_run_that_replays_to_itself(
    seed: int, n_tasks: int
) -> None:
    result = simulate(wrong_plan(seed, n_tasks))
    happened = as_plan(result)
    assert check_plan(happened.problem, happened) == ()
    assert simulate(happened).reproduces(happened, tol=1e-9)


@some
@given(seeds, sizes)
def test_waits_add_up_to_lateness_and_items_to_totals(seed: int, n_tasks: int) -> None:
    plan = wrong_plan(seed, n_tasks)
    result = simulate(plan)
    tasks, leases = result.tasks, result.leases
    np.testing.assert_allclose(tasks.late_s, tasks.start_s - plan.task_start_s, atol=1e-9, rtol=0)
    assert min(float(getattr(tasks, f).min()) for f in vars(tasks) if f.startswith("wait")) >= 0
    np.testing.assert_allclose(
        tasks.fetch_s + tasks.compute_s + tasks.store_s,
        tasks.end_s - tasks.start_s,
        atol=1e-9,
        rtol=0,
    )
    held = leases.released_s - leases.requested_s
    billing = result.problem.billing
    assert (leases.billed_s >= np.maximum(held - TIME_TOL_S, billing.minimum_s)).all()
    assert (leases.busy_vcpu_s <= result.leased_vcpu_s + 1e-9).all()
    assert leases.busy_vcpu_s.sum() == pytest.approx(
        ((tasks.end_s - tasks.start_s) * result.problem.workflow.vcpus).sum()
    )
    assert leases.tasks.sum() == n_tasks
    assert result.cost_usd == pytest.approx(leases.cost_usd.sum(), rel=1e-12)
    assert (leases.released_s >= plan.lease_end_s - 1e-9).all()
    assert (leases.requested_s >= plan.lease_start_s).all()


class WatchedCloud(Cloud):
    """Checks at every event that time goes on, rooms hold, and every task ends once."""

    def __init__(self, problem: Any, luck: Luck | None = None) -> None:
        super().__init__(problem, luck)
        self.last_s = 0.0
        self.ended: list[int] = []

    def check(self, machine: Machine) -> None:
        """Check one machine now."""
        assert self.env.now >= self.last_s
        self.last_s = self.env.now
        t = self.problem.catalog.types[machine.type]
        assert 0 <= machine.free_vcpus <= t.vcpus
        assert 0 <= machine.free_memory <= t.memory_bytes
        assert 0 <= machine.free_gpus <= t.gpus
        assert t.vcpus - machine.free_vcpus == sum(self.vcpus[i] for i in machine.running)
        assert machine.busy_vcpu_s >= 0

    def start(self, task: int, machine: Machine) -> None:
        assert machine.ready
        assert not machine.gone
        assert not machine.closed
        assert math.isnan(self.end_s[task])
        assert all(not math.isnan(self.end_s[p]) for p in self.problem.workflow.parents_of(task))
        super().start(task, machine)
        self.check(machine)

    def _leave(self, task: int, machine: Machine) -> None:
        super()._leave(task, machine)
        self.check(machine)

    def _ended(self, task: int) -> None:
        self.ended.append(task)
        super()._ended(task)

    def _close(self, machine: Machine, outcome: int) -> None:
        assert not machine.gone
        assert not machine.running
        super()._close(machine, outcome)


@some
@given(seeds, sizes, st.sampled_from([right_plan, wrong_plan]))
def test_rooms_hold_at_every_event(seed: int, n_tasks: int, make: Any) -> None:
    plan = make(seed, n_tasks)
    cloud = WatchedCloud(plan.problem)
    assert cloud.run(Following(plan, cloud)) is None
    assert sorted(cloud.ended) == list(range(n_tasks))


def test_rounding_does_not_grow_along_a_long_chain() -> None:
    n = 20_000
    rng = np.random.default_rng(3)
    workflow = Workflow.from_columns(
        name="chain",
        ids=[f"t{i}" for i in range(n)],
        runtime_s=rng.uniform(0, 100, n),
        edges=(np.arange(n - 1), np.arange(1, n)),
    )
    types = tuple(
        InstanceType(name=name, vcpus=2, memory_gib=4, price_usd_per_hour=0.1, speed=speed)
        for name, speed in (("slow", 0.7), ("fast", 1.3))
    )
    problem = Problem(workflow=workflow, catalog=Catalog(types))
    plan = decode(problem, [0, 1], rng.integers(0, 2, n), np.arange(n))
    assert plan.makespan_s > 9e5
    assert simulate(plan).reproduces(plan, tol=1e-6)


DIGEST = """
from tests.simulator.test_replay import digest
print(digest())
"""


def digest() -> str:
    """Return a hash of all records of a few runs."""
    found = hashlib.sha256()
    for seed in range(5):
        for plan in (right_plan(seed, 20), wrong_plan(seed, 20)):
            result = simulate(plan)
            for records in (result.tasks, result.leases):
                for column in vars(records).values():
                    found.update(column.tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_bytes_whatever_the_hash_seed(hash_seed: str) -> None:
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": root}
    run = subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, cwd=root, capture_output=True, text=True
    )
    assert run.stdout.strip() == digest(), run.stderr
