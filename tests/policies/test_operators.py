"""The rules of operators, of JIT-C and of Uniform Progress, by formula and by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as hs

from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.model.catalog import Catalog
from autoscale.model.problem import Problem
from autoscale.policies import make_policy
from autoscale.policies.about import Terms
from autoscale.policies.bin_packing_policy import packed
from autoscale.policies.protocol import Job
from autoscale.policies.target_tracking_policy import TARGET, desired
from autoscale.policies.uniform_progress_policy import Course
from simulator.chance import Chance, Spot
from simulator.market import Market, Trace
from simulator.streams import run_policy
from tests.policies.clusters import chain, dag, kind

MIN = 60.0


def run(name: str, jobs: list[Job], chance: Chance | None = None) -> Any:
    result = run_policy(jobs, make_policy(name, Terms(horizon_s=1e5)), chance, limit_s=1e6)
    assert result.reason is None
    return result


# -- target tracking ------------------------------------------------------------------------


@given(hs.integers(1, 500), hs.floats(0, 10))
@example(current=10, metric=0.72)
def test_the_rule_of_the_horizontal_pod_autoscaler(current: int, metric: float) -> None:
    """``ceil(current * metric / target)``, and nothing within 10 % of the target."""
    ratio = metric / TARGET
    asked = desired(current, metric)
    # Rounding decides at the edges, and either side of one is the rule.
    rule = {math.ceil(current * ratio), math.ceil(current * ratio - 1e-9)}
    off = abs(ratio - 1) - 0.1
    assert asked in ({current} if off <= -1e-9 else rule if off > 1e-9 else rule | {current})


def test_a_fleet_shrinks_only_after_300_s_and_doubles_at_most() -> None:
    """20 tasks of 10 min, one of 40: at 0 s one machine, at 15 s it asks for 27 and gets 5, 10, 20.

    The last of the 20 end at 645 s; the size asked for until then counts for 300 s more, so that
    what is idle is held that long, though it is paid by the second.
    """
    only = Catalog((kind("only", 1.0),))
    problem = Problem(workflow=dag({}, {f"t{i}": 10 for i in range(20)}), catalog=only, boot_s=0.0)
    long = Job(problem=problem.replace(workflow=chain(40)))
    result = run("target-tracking", [Job(problem=problem), long])
    launched = np.bincount((result.leases.requested_s / 15).astype(int))
    assert launched.cumsum().tolist() == [1, 5, 10, 20, 27]
    assert 900.0 <= result.leases.released_s.min() < 1000.0


# -- the others -----------------------------------------------------------------------------


def test_the_backlog_sets_the_fleet() -> None:
    """20 tasks of 5 min wait: 6000 s of work over 300 s acceptable are 20 machines; 4 make 4."""
    only = Catalog((kind("only", 1.0),))
    for n in (20, 4):
        problem = Problem(
            workflow=dag({}, {f"t{i}": 5 for i in range(n)}), catalog=only, boot_s=0.0
        )
        assert run("queue-length", [Job(problem=problem)]).n_leases == n


def test_a_schedule_repeats_what_was_seen_the_day_before() -> None:
    """Four tasks at 10:00 of day one; on day two four machines are there before they are needed."""
    only = Catalog((kind("only", 1.0),))
    problem = Problem(
        workflow=dag({}, {f"t{i}": 10 for i in range(4)}), catalog=only, billing=PER_SECOND
    )
    small = problem.replace(workflow=chain(40 * 60.0))
    jobs = [Job(problem=small)] + [
        Job(problem=problem, arrival_s=day * 86400 + 10 * 3600.0) for day in (0, 1)
    ]
    result = run("schedule-based", jobs)
    second = result.tasks.first_start_s[-4:] - (86400 + 36000)
    assert second.max() <= 60.0


def test_packing_fills_the_largest_first() -> None:
    """On 8 vCPUs: two of 3, then of the single ones only two more find room."""
    shapes = {(3, 0, 0, (0,)): 2, (1, 0, 0, (0,)): 5, (1, 0, 0, (1,)): 5}
    room = [8.0, 100.0, 0.0]
    assert packed(shapes, room, 0) == {(3, 0, 0, (0,)): 2, (1, 0, 0, (0,)): 2}
    assert room == [0.0, 100.0, 0.0]


def test_pending_tasks_share_the_machine_that_is_cheapest_for_them() -> None:
    """Eight at once go on one machine of 8 vCPUs at $3; one alone on the small one at $0.5."""
    types = Catalog((kind("small", 0.5), kind("big", 3.0, vcpus=8)))
    problem = Problem(workflow=dag({}, {f"t{i}": 10 for i in range(8)}), catalog=types)
    assert run("bin-packing", [Job(problem=problem)]).leases.type.tolist() == [1]
    alone = problem.replace(workflow=chain(10))
    assert run("bin-packing", [Job(problem=alone)]).leases.type.tolist() == [0]


def test_jit_c_waits_for_what_is_paid_and_launches_what_is_late() -> None:
    """Two tasks of 20 min by the hour: due in 60 one lease serves both, due in 30 each has one."""
    only = Catalog((kind("only", 1.0),))
    problem = Problem(workflow=chain(20), catalog=only, boot_s=60.0, billing=HOURLY)
    for due, n in ((60, 1), (30, 2)):
        jobs = [
            Job(problem=problem.replace(deadline_s=due * MIN), arrival_s=60.0 * i) for i in (0, 1)
        ]
        result = run("jit-c", jobs)
        assert result.n_leases == n
        assert (result.tasks.end_s <= [due * MIN, due * MIN + 60]).all()


# -- Uniform Progress -----------------------------------------------------------------------


def test_the_rules_of_uniform_progress() -> None:
    """100 s of work by 200 s, a change costs 5 s: half a second of progress a second."""
    course = Course(0.0, 200.0, 100.0, 5.0)
    course.look(10.0, 95.0, offered=False)
    assert not course.on_demand  # on the line: it may wait
    course.look(20.0, 95.0, offered=True)
    assert not course.on_demand  # behind, but spot is offered
    course.look(20.0, 95.0, offered=False)
    assert course.on_demand  # behind, and nothing offered
    course.look(30.0, 81.0, offered=True)
    assert course.on_demand  # 19 s made: ahead of 15, but not of the 20 that are due at 40 s
    course.look(30.0, 79.0, offered=True)
    assert not course.on_demand
    course.look(111.0, 80.0, offered=True)
    assert course.on_demand  # 89 s left for 80 s of work and two changes
    assert course.bound
    course.look(112.0, 10.0, offered=True)
    assert course.on_demand  # to the end


def spot_job(deadline_min: float) -> Job:
    base = kind("m", 1.0)
    types = replace(base, spot_usd_per_hour=0.3)
    both = Catalog((types,)).bought("both")
    return Job(problem=Problem(workflow=chain(30, 30), catalog=both, deadline_s=deadline_min * MIN))


def market(open_: list[bool]) -> Chance:
    steps = np.arange(len(open_)) * 600.0
    trace = Trace(
        kind="available", time_s=steps, value=np.array(open_, dtype=float),
        length_s=600.0 * len(open_),
    )  # fmt: skip
    return Chance(spot=Spot(markets=(Market(trace=trace, start_s=0.0),)))


def test_spot_is_taken_where_there_is_time_and_on_demand_where_not() -> None:
    always = market([True, True])
    easy = run("uniform-progress", [spot_job(150)], always)
    assert easy.leases.type.tolist() == [1]
    tight = run("uniform-progress", [spot_job(63)], always)
    assert tight.leases.type.tolist() == [0]
    never = run("uniform-progress", [spot_job(150)], market([False] * 99 + [True]))
    assert never.leases.tasks[never.leases.type == 0].sum() == 2
    assert never.makespan_s <= 150 * MIN


@pytest.mark.parametrize("name", ["scs", "queue-length", "bin-packing", "jit-c"])
def test_policies_that_know_nothing_of_markets_stay_on_demand(name: str) -> None:
    assert set(run(name, [spot_job(150)], market([False, True])).leases.type.tolist()) == {0}
