"""The protocol of policies: what they see, what they may do, and how they are stopped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.errors import InputError
from autoscale.model.workflow import WorkflowBuilder
from autoscale.policies.planned import HandOver, PlanPolicy
from autoscale.policies.protocol import (
    ENDED,
    QUEUED,
    READY,
    RUNNING,
    WAITING,
    ClusterState,
    Decision,
    Job,
)
from simulator import simulate
from simulator.chance import Boot, Chance, EstimateError, InstanceFailure
from simulator.distributions import Constant, Uniform
from simulator.streams import merged, run_policy
from tests.simulator.chances import ROUGH, random_chance
from tests.simulator.clouds import catalog, right_plan
from tests.simulator.test_luck import fingerprint

if TYPE_CHECKING:
    from autoscale.model.problem import Problem


class OneEach:
    """A lease of the widest fitting type for each task that is ready; idle ones are released."""

    name = "one each"

    def __init__(self) -> None:
        self.seen: list[tuple[float, tuple[Any, ...]]] = []

    def __call__(self, state: ClusterState) -> Decision:
        self.seen.append((state.now_s, summary(state)))
        waiting = [job.first + np.flatnonzero(job.status == READY) for job in state.jobs]
        assert state.ready.tolist() == np.concatenate(waiting).tolist() if waiting else True
        launches, assignments = [], []
        for job in state.jobs:
            for task in np.flatnonzero(job.status == READY).tolist():
                kinds = np.flatnonzero(job.job.problem.fits_of(np.array([task]))[0])
                assignments.append((job.first + task, state.next_lease + len(launches)))
                launches.append(int(kinds[0]))
        idle = [x.number for x in state.leases if x.idle]
        return Decision(
            launches=tuple(launches), assignments=tuple(assignments), releases=tuple(idle)
        )


def summary(state: ClusterState) -> tuple[Any, ...]:
    """Return all that is seen, as plain values."""
    jobs = tuple(
        (j.number, j.first, j.job.arrival_s, tuple(j.status.tolist()), str(j.end_s.tolist()))
        for j in state.jobs
    )
    leases = tuple(
        (x.number, x.type, x.ready_s, x.leaves_s, x.running, x.queued) for x in state.leases
    )
    return jobs, leases, state.gone, state.next_lease, state.spent_usd


def stream(seed: int, n_jobs: int = 3) -> list[Job]:
    """Return jobs of one cloud that arrive in a shuffled order."""
    base = right_plan(seed, 4).problem
    rng = np.random.default_rng(seed)
    jobs = []
    for number in range(n_jobs):
        workflow = right_plan(seed + 100 * number, int(rng.integers(1, 9))).problem.workflow
        problem = base.replace(workflow=workflow, durations_s=None)
        jobs.append(Job(problem=problem, arrival_s=float(rng.integers(0, 500))))
    return jobs


seeds = hs.integers(0, 10**5)
some = settings(max_examples=50, deadline=None)


@some
@given(seeds, hs.integers(1, 25))
def test_a_plan_as_a_policy_is_reproduced(seed: int, n: int) -> None:
    plan = right_plan(seed, n)
    result = run_policy([Job(problem=plan.problem)], PlanPolicy(plan))
    assert result.reason is None
    np.testing.assert_allclose(result.tasks.start_s, plan.task_start_s, atol=1e-6)
    np.testing.assert_allclose(result.tasks.end_s, plan.task_end_s, atol=1e-6)
    # Leases that the plan holds after the last task has ended are given back by then.
    if plan.lease_end_s.max() <= plan.makespan_s + 1e-9:
        assert result.cost_usd == pytest.approx(plan.cost_usd, abs=1e-6)


@some
@given(seeds)
def test_a_stream_runs_to_its_end_whatever_strikes(seed: int) -> None:
    jobs = stream(seed)
    result = run_policy(jobs, OneEach(), random_chance(seed), seed=seed)
    assert result.reason is None or "failed" in result.reason
    if result.reason is None:
        w = result.problem.workflow
        arrival_s = np.repeat(
            sorted(j.arrival_s for j in jobs),
            [len(j.problem.workflow) for j in sorted(jobs, key=lambda j: j.arrival_s)],
        )
        assert (result.tasks.first_start_s >= arrival_s).all()
        for i in range(len(w)):
            parents = result.tasks.end_s[w.parents_of(i)]
            assert (parents <= result.tasks.first_start_s[i]).all()
        assert result.leases.tasks.sum() == len(w)


def test_tasks_keep_their_luck_whatever_the_policy() -> None:
    plan = right_plan(9, 15)
    noise = Chance(estimate_error=EstimateError(task=Uniform(low=1, high=2)))
    one = run_policy([Job(problem=plan.problem)], OneEach(), noise, seed=3).tasks.compute_s
    truth = simulate(plan, noise, seed=3).tasks.compute_s
    kinds = plan.problem.speed
    assert len(set(kinds.tolist())) > 1
    planned = run_policy([Job(problem=plan.problem)], PlanPolicy(plan), noise, seed=3)
    np.testing.assert_allclose(planned.tasks.compute_s, truth, rtol=1e-12)
    assert one.size == truth.size


@some
@given(seeds)
def test_the_future_changes_nothing_that_was_seen_before(seed: int) -> None:
    """Another last job, other failures later: all earlier states are the same."""
    jobs = sorted(stream(seed, 4), key=lambda j: j.arrival_s)
    other = Job(problem=stream(seed + 1)[0].problem.replace(durations_s=None), arrival_s=600.0)
    other = Job(problem=jobs[0].problem.replace(workflow=other.problem.workflow), arrival_s=600.0)
    changed = [*jobs[:-1], other]
    until_s = min(jobs[-1].arrival_s, 600.0)
    seen = []
    for of in (jobs, changed):
        policy = OneEach()
        run_policy(of, policy, ROUGH, seed=seed)
        seen.append([x for x in policy.seen if x[0] < until_s])
    assert seen[0] == seen[1]


def chain_job(n: int = 2, **rules: Any) -> Problem:
    builder = WorkflowBuilder("chain")
    for i in range(n):
        builder.add(f"t{i}", runtime_s=100, parents=[f"t{i - 1}"] if i else [])
    from autoscale.model.problem import Problem

    return Problem(workflow=builder.build(), catalog=catalog(), **{"boot_s": 40.0, **rules})


class Scripted:
    """Returns one decision after the other, then nothing; keeps the states that it saw."""

    name = "scripted"

    def __init__(self, *decisions: Any) -> None:
        self.decisions = list(decisions)
        self.states: list[ClusterState] = []

    def __call__(self, state: ClusterState) -> Decision:
        self.states.append(state)
        decision = self.decisions.pop(0) if self.decisions else Decision()
        return decision(state) if callable(decision) else decision


def test_a_queue_starts_tasks_in_order_and_the_policy_sees_estimates() -> None:
    start = Decision(launches=(0,), assignments=((0, 0), (1, 0)), wake_s=70.0)
    policy = Scripted(start)
    slow = Chance(estimate_error=EstimateError(task=Constant(value=2.0)))
    result = run_policy([Job(problem=chain_job())], policy, slow)
    assert result.tasks.start_s.tolist() == [40, 240]
    assert result.makespan_s == 440
    assert [s.now_s for s in policy.states] == [0, 40, 70, 240]
    assert policy.states[2].jobs[0].job.problem.workflow.runtime_s.tolist() == [100, 100]
    assert policy.states[0].spent_usd == 0
    assert policy.states[2].spent_usd == pytest.approx(0.05 / 3600 * 70)
    lease = policy.states[2].leases[0]
    assert (lease.ready_s, lease.running, lease.queued, lease.free_vcpus) == (40, (0,), (1,), 0)


def test_status_of_tasks() -> None:
    found = []

    def look(state: ClusterState) -> Decision:
        found.append(state.jobs[0].status.tolist())
        with pytest.raises(ValueError, match="read-only"):
            state.jobs[0].status[0] = ENDED
        return Decision()

    first = Decision(launches=(0,), assignments=((0, 0),), wake_s=10.0)

    def begin(state: ClusterState) -> Decision:
        found.append(state.jobs[0].status.tolist())
        return first

    def last(state: ClusterState) -> Decision:
        look(state)
        return Decision(assignments=((1, 0),))

    run_policy([Job(problem=chain_job())], Scripted(begin, look, look, last))
    assert found == [[READY, WAITING], [QUEUED, WAITING], [RUNNING, WAITING], [ENDED, READY]]


@pytest.mark.parametrize(
    ("decisions", "why"),
    [
        ([lambda _: 1 / 0], "at 0 s: raised ZeroDivisionError: division by zero"),
        ([lambda _: None], "returned None and not a Decision"),
        ([Decision(launches=(9,))], "launches type 9, which the catalogue does not have"),
        ([Decision(assignments=((0, 0),))], "assigns task 0 to lease 0, which is not held"),
        ([Decision(launches=(0,), assignments=((5, 0),))], "assigns task 5, which is not one of"),
        ([Decision(launches=(0,), assignments=((0, 0), (0, 0)))], "assigns task 0 twice"),
        ([Decision(launches=(0,), assignments=((0, 0),), releases=(0,))], "on which tasks run or"),
        ([Decision(releases=(3,))], "releases lease 3, which is not held"),
        ([Decision(wake_s=0.0)], "asks to be woken at 0.0, which is not after now"),
        (
            [Decision(launches=(0,), assignments=((0, 0),)), Decision(assignments=((0, 0),))],
            "at 40 s: assigns task 0, which runs already",
        ),
    ],
)
def test_a_policy_that_misbehaves_is_stopped_with_its_name(decisions: Any, why: str) -> None:
    result = run_policy([Job(problem=chain_job())], Scripted(*decisions))
    assert result.reason is not None
    assert result.reason.startswith("policy 'scripted' at ")
    assert why in result.reason
    assert math.isfinite(result.cost_usd)


def test_a_task_that_does_not_fit_is_refused() -> None:
    problem = chain_job()
    wide = WorkflowBuilder("wide").add("a", runtime_s=1, vcpus=4).build()
    result = run_policy(
        [Job(problem=problem.replace(workflow=wide))],
        Scripted(Decision(launches=(0,), assignments=((0, 0),))),
    )
    assert result.reason is not None
    assert "it does not fit 'one'" in result.reason


def test_a_policy_that_does_nothing_ends_with_a_reason() -> None:
    result = run_policy([Job(problem=chain_job())], Scripted())
    assert result.reason == "nothing can happen any more at 0 s, but tasks have not ended"

    def again(state: ClusterState) -> Decision:
        return Decision(wake_s=state.now_s + 100)

    ticking = Scripted(*[again] * 10_000)
    result = run_policy([Job(problem=chain_job())], ticking, limit_s=3600)
    assert result.reason == "the limit of 3600 simulated seconds is over"


def test_a_policy_takes_over_when_a_plan_drifts() -> None:
    plan = right_plan(9, 15)
    late = Chance(boot=Boot(time_s=Constant(value=plan.problem.boot_s + 100)))
    policy = HandOver(plan, OneEach(), drift_s=60)
    result = run_policy([Job(problem=plan.problem)], policy, late)
    assert result.reason is None
    assert policy.handed_over_s is not None
    calm = HandOver(plan, OneEach(), drift_s=60)
    undisturbed = run_policy([Job(problem=plan.problem)], calm)
    assert calm.handed_over_s is None
    assert undisturbed.makespan_s == pytest.approx(plan.makespan_s)
    assert calm.name == "plan, then one each"


def test_a_plan_as_a_policy_replaces_what_fails() -> None:
    plan = right_plan(3, 20)
    failures = Chance(instance_failure=InstanceFailure(rate_per_hour=4))
    results = [
        run_policy([Job(problem=plan.problem)], PlanPolicy(plan), failures, seed=s)
        for s in range(10)
    ]
    assert all(r.reason is None for r in results)
    assert max(r.n_leases for r in results) > plan.n_leases


def test_the_same_seed_gives_the_same_bytes() -> None:
    prints = {fingerprint(run_policy(stream(5), OneEach(), ROUGH, seed=2)) for _ in range(2)}
    assert len(prints) == 1


def test_jobs_are_merged_side_by_side() -> None:
    jobs = tuple(sorted(stream(4), key=lambda j: j.arrival_s))
    problem = merged(jobs)
    w = problem.workflow
    first = 0
    for number, job in enumerate(jobs):
        own = job.problem.workflow
        part = slice(first, first + len(own))
        assert w.ids[part].tolist() == [f"{number}/{i}" for i in own.ids.tolist()]
        assert w.runtime_s[part].tolist() == own.runtime_s.tolist()
        for i in range(len(own)):
            assert w.parents_of(first + i).tolist() == (own.parents_of(i) + first).tolist()
            assert w.children_of(first + i).tolist() == (own.children_of(i) + first).tolist()
            assert w.categories[w.category[first + i]] == own.categories[own.category[i]]
        first += len(own)
    np.testing.assert_allclose(
        w.in_bytes,
        [
            w.files.size_bytes[w.files.inputs[a:b]].sum()
            for a, b in zip(w.files.input_ptr[:-1], w.files.input_ptr[1:], strict=True)
        ],
    )


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        (lambda: [], "jobs: expected at least one"),
        (lambda: [Job(problem=chain_job(), arrival_s=-1)], "arrival_s: expected a finite time"),
        (
            lambda: [Job(problem=chain_job()), Job(problem=chain_job(boot_s=5.0))],
            "job 1: its boot_s is not that of the first",
        ),
    ],
)
def test_wrong_streams_are_refused(jobs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_policy(jobs(), Scripted())


def test_a_policy_drops_jobs_and_the_run_ends_without_them() -> None:
    """A job is dropped before it starts; the other one runs, and only it ends."""
    start = Decision(launches=(0,), assignments=((0, 0), (1, 0), (2, 0)), drops=(1,))
    jobs = [Job(problem=chain_job(1)), Job(problem=chain_job(2))]
    policy = Scripted(start)
    result = run_policy(jobs, policy)
    assert result.reason is None
    assert result.tasks.end_s[0] == result.makespan_s == 140
    assert np.isnan(result.tasks.end_s[1:]).all()
    assert [[j.number for j in s.jobs] for s in policy.states] == [[0, 1], [0]]
    assert policy.states[1].leases[0].queued == ()
    assert [s.ready.tolist() for s in policy.states] == [[0, 1], []]


def test_dropping_the_last_job_ends_the_run() -> None:
    result = run_policy([Job(problem=chain_job())], Scripted(Decision(drops=(0,))))
    assert result.reason is None
    assert result.makespan_s == 0
    assert result.cost_usd == 0


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (Decision(drops=(0,)), "drops job 0, of which tasks run"),
        (Decision(drops=(4,)), "drops job 4, which is not open"),
    ],
)
def test_wrong_drops_are_refused(second: Decision, why: str) -> None:
    start = Decision(launches=(0,), assignments=((0, 0),))
    result = run_policy([Job(problem=chain_job())], Scripted(start, second))
    assert result.reason is not None
    assert why in result.reason
