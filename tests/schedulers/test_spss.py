"""SPSS: the paper's example, and properties of ensembles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.api import make_problem
from autoscale.errors import InputError
from autoscale.lp.types import reduced
from autoscale.model import graph
from autoscale.model.billing import HOURLY
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow, WorkflowBuilder
from autoscale.plan.check import check_plan
from autoscale.schedulers.ensembles import kernels
from autoscale.schedulers.ensembles.ensemble import merged
from autoscale.schedulers.leasing.instance import instance
from autoscale.schedulers.leasing.kernels import new_leases
from autoscale.schedulers.spss_scheduler import schedule, schedule_ensemble, types_in_time
from autoscale.workloads import generate
from tests.plans import random_plan
from tests.problems import random_problem
from tests.schedulers.slots import plain_slots


def fork_join(name: str, first: int, middle: list[int], last: int) -> Workflow:
    """Return a fork-join; times in minutes."""
    builder = WorkflowBuilder(name).add("first", runtime_s=60.0 * first)
    forks = [f"fork{y}" for y in range(len(middle))]
    for fork, minutes in zip(forks, middle, strict=True):
        builder.add(fork, runtime_s=60.0 * minutes, parents=["first"])
    return builder.add("last", runtime_s=60.0 * last, parents=forks).build()


def papers_example() -> tuple[Problem, list[Workflow]]:
    """Return the ensemble of Malawski et al.: six hours, $18, machines at $1 an hour."""
    ensemble = [
        fork_join("a", 70, [95, 110, 100], 160),
        fork_join("b", 70, [75, 90, 60], 100),
        fork_join("c", 60, [45, 50, 65], 55),
    ]
    only = InstanceType(name="vm", vcpus=1, memory_gib=1, price_usd_per_hour=1.0)
    problem = Problem(
        workflow=ensemble[0],
        catalog=Catalog((only,)),
        deadline_s=6 * 3600.0,
        budget_usd=18.0,
        boot_s=0.0,
        billing=HOURLY,
    )
    return problem, ensemble


def test_the_papers_example() -> None:
    """Admits a and c on four machines of 6 + 5 + 3 + 2 = 16 hours; score 0.625."""
    problem, ensemble = papers_example()
    found = schedule_ensemble(problem, ensemble)
    assert found.admitted == (0, 2)
    assert found.score == 0.625
    assert found.plan is not None
    assert check_plan(found.plan.problem, found.plan) == ()
    assert sorted(found.plan.lease_cost_usd.tolist()) == [2.0, 3.0, 5.0, 6.0]
    assert found.plan.cost_usd == 16.0


def test_the_papers_second_workflow_costs_exactly_the_budget() -> None:
    """On top of a, b takes the bill to $18: left out with $18, admitted with a cent more."""
    problem, ensemble = papers_example()
    assert schedule_ensemble(problem, ensemble[:2]).admitted == (0,)
    more = schedule_ensemble(problem.replace(budget_usd=18.01), ensemble[:2])
    assert more.admitted == (0, 1)
    assert more.plan is not None
    assert more.plan.cost_usd == 18.0


def test_deadlines_by_hand() -> None:
    """Workflow c: 180 minutes to spare; levels have 1, 3 and 1 tasks, 60, 160 and 55 minutes."""
    problem, ensemble = papers_example()
    c = problem.replace(workflow=ensemble[2])
    due = kernels.task_deadlines(
        instance(c), np.arange(5), c.workflow.level, c.workflow.runtime_s, 6 * 3600.0, 0.7
    )
    share = [0.7 * n / 5 + 0.3 * r / 275 for n, r in ((1, 60), (3, 160), (1, 55))]
    first = 60 + share[0] * 180
    forks = {m: first + m + share[1] * 180 for m in (45, 50, 65)}
    expected = [first, forks[45], forks[50], forks[65], forks[65] + 55 + share[2] * 180]
    assert (due / 60).tolist() == pytest.approx(expected)
    assert expected[-1] == pytest.approx(360)


def test_nothing_fits_a_small_budget_or_a_short_deadline() -> None:
    problem, ensemble = papers_example()
    for goal in (problem.replace(budget_usd=1.0), problem.replace(deadline_s=3600.0)):
        found = schedule_ensemble(goal, ensemble)
        assert (found.plan, found.admitted, found.score) == (None, (), 0.0)
    with pytest.raises(InputError, match="deadline"):
        schedule_ensemble(problem.replace(deadline_s=None), ensemble)
    with pytest.raises(InputError, match="at least one"):
        schedule_ensemble(problem, [])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.3, 3.0), st.integers(1, 4))
def test_admitted_workflows_keep_deadline_and_budget(seed: int, part: float, count: int) -> None:
    """One checked plan; each workflow's tasks are those of its own; priority comes first."""
    problems = [random_problem(seed + y, 8) for y in range(count)]
    workflows = [problem.workflow for problem in problems]
    base = problems[0].replace(deadline_s=max(p.deadline_s or 0.0 for p in problems))
    alone = schedule_ensemble(base.replace(budget_usd=None), workflows)
    assert alone.plan is not None
    found = schedule_ensemble(base.replace(budget_usd=part * alone.plan.cost_usd), workflows)
    if found.plan is None:
        assert part < 1.0
        return
    assert check_plan(found.plan.problem, found.plan) == ()
    assert sorted(set(found.owner.tolist())) == list(found.admitted)
    for number in found.admitted:
        own = found.plan.problem.workflow.runtime_s[found.owner == number]
        assert sorted(own.tolist()) == sorted(workflows[number].runtime_s.tolist())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_single_workflows_meet_deadlines_that_can_be_met(seed: int) -> None:
    problem = random_problem(seed, 15)
    plan = schedule(problem, rng=np.random.default_rng(0))
    assert check_plan(problem.replace(budget_usd=None), plan) == ()
    kind = types_in_time(problem)
    path = graph.critical_path_s(problem.workflow, problem.durations_on(kind))
    assert problem.boot_s + path <= (problem.deadline_s or 0.0) + 1e-6


def assert_same_slots(problem: Problem, parts: int) -> None:
    """Fill slots in so many calls, the later ones on what is leased by then."""
    x, n = instance(problem), len(problem.workflow)
    kind, everyone = types_in_time(problem), np.arange(n)
    seconds = problem.durations_on(kind)
    due = kernels.task_deadlines(x, everyone, problem.workflow.level, seconds, x.deadline, 0.7)
    found, expected = new_leases(n, n), new_leases(n, n)
    for order in np.array_split(np.lexsort((everyone, due)), parts):
        usd = kernels.fill_slots(x, found, order, due, kind)
        assert usd == plain_slots(x, expected, order, due, kind)
    for name in ("lease", "start", "finish", "kind", "paid"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 3), st.booleans())
def test_slots_are_those_of_asking_every_lease(seed: int, n: int, parts: int, hourly: bool) -> None:
    problem = random_problem(seed, n)
    assert_same_slots(problem.replace(billing=HOURLY) if hourly else problem, parts)


@pytest.mark.parametrize("family", ["1000genome", "montage", "random"])
@pytest.mark.parametrize(("billing", "factor"), [("second", 1.1), ("second", 3.0), ("hour", 1.5)])
def test_also_where_leases_fill_many_blocks(family: str, billing: str, factor: float) -> None:
    problem, _ = reduced(make_problem(generate(family, 250, seed=2), billing=billing))
    path_s = problem.least_makespan_s - problem.boot_s
    assert_same_slots(problem.replace(deadline_s=problem.boot_s + factor * path_s), 1)


def test_side_by_side_nothing_is_lost() -> None:
    """Every task keeps its columns, parents and bytes under its new name."""
    workflows = [random_plan(seed).problem.workflow for seed in range(3)]
    whole, owner = merged(workflows, [4, 1, 7])
    assert len(whole) == sum(len(w) for w in workflows)
    for number, w in zip([4, 1, 7], workflows, strict=True):
        assert (owner == number).sum() == len(w)
        for task in w:
            other = whole.task(f"{number}/{task.id}")
            assert other.parents == tuple(f"{number}/{p}" for p in task.parents)
            same = ("runtime_s", "vcpus", "memory_bytes", "gpus", "in_bytes", "out_bytes")
            assert [getattr(other, f) for f in same] == [getattr(task, f) for f in same]
            assert owner[other.index] == number
