"""The geometry of the pictures: every second of every task and lease is where it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from autoscale.api import make_problem, read_workflow
from autoscale.optimize.planner import solve
from autoscale.plotting import plot_fleet, plot_gantt, style
from autoscale.plotting.fleet import _level
from autoscale.plotting.lanes import busy_blocks, lease_rows, merged
from tests.problems import random_problem

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    problem = make_problem(read_workflow("example:1000genome"), deadline="8m", types="c7i*")
    return solve(problem, planner="list")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_tasks=st.integers(1, 25), slack=st.floats(1.05, 4.0))
def test_blocks_fill_their_lanes_without_overlap(seed: int, n_tasks: int, slack: float) -> None:
    """Each task gets as many lanes as it has vCPUs, inside its lease, and none is taken twice."""
    plan = solve(random_problem(seed, n_tasks, slack), planner="list")
    blocks = busy_blocks(plan)
    lanes = np.bincount(blocks.task, weights=blocks.height, minlength=n_tasks)
    np.testing.assert_array_equal(lanes, plan.problem.workflow.vcpus)
    lease = plan.task_lease[blocks.task]
    assert (blocks.lane + blocks.height <= plan.problem.catalog.vcpus[plan.lease_type[lease]]).all()
    for a in range(blocks.task.size):
        for b in range(a):
            apart = (
                lease[a] != lease[b]
                or blocks.lane[a] >= blocks.lane[b] + blocks.height[b]
                or blocks.lane[b] >= blocks.lane[a] + blocks.height[a]
                or blocks.start_s[a] >= blocks.end_s[b] - 1e-6
                or blocks.start_s[b] >= blocks.end_s[a] - 1e-6
            )
            assert apart, (a, b)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_tasks=st.integers(1, 25), share=st.booleans())
def test_rows_hold_one_lease_at_a_time(seed: int, n_tasks: int, share: bool) -> None:
    """Leases in a row are of its type and do not overlap; unshared rows hold one lease each."""
    plan = solve(random_problem(seed, n_tasks, 1.2), planner="list")
    rows = lease_rows(plan, share=share)
    np.testing.assert_array_equal(rows.row_type[rows.row], plan.lease_type)
    assert sorted(set(rows.row.tolist())) == list(range(rows.row_type.size))
    if not share:
        assert rows.row_type.size == plan.n_leases
    for a in range(plan.n_leases):
        for b in range(a):
            if rows.row[a] == rows.row[b]:
                ends = plan.lease_end_s[[a, b]]
                starts = plan.lease_start_s[[b, a]]
                assert (ends <= starts + 1e-6).any()


def test_merging_keeps_busy_time(plan: Plan) -> None:
    """Blocks drawn as one cover the same lane-seconds, but for gaps too small to see."""
    blocks = busy_blocks(plan)
    few = merged(plan, blocks, 1.0)
    area = ((blocks.end_s - blocks.start_s) * blocks.height).sum()
    drawn = ((few.end_s - few.start_s) * few.height).sum()
    assert few.task.size < blocks.task.size
    assert area <= drawn <= area + (blocks.task.size - few.task.size) * 1.0


def test_gantt_draws_every_lease_and_block(plan: Plan) -> None:
    """The chart has a rectangle a lease, a boot a lease and a block a task, in minutes."""
    ax = plot_gantt(plan)
    leases, boots, tasks = ax.collections
    spans = np.array([[p.vertices[:, 0].min(), p.vertices[:, 0].max()] for p in leases.get_paths()])
    np.testing.assert_allclose(spans[:, 0] * 60, plan.lease_start_s)
    np.testing.assert_allclose(spans[:, 1] * 60, plan.lease_end_s)
    assert len(boots.get_paths()) == plan.n_leases
    assert len(tasks.get_paths()) == busy_blocks(plan).task.size
    labels = " ".join(t.get_text() for t in ax.get_yticklabels())
    assert all(t in labels for t in plan.summary_frame().index)
    texts = {t.get_text() for t in ax.texts}
    assert "deadline 8m00s" in texts
    assert ax.get_title(loc="left").startswith("1000genome-150: 150 tasks for $")
    legend = ax.get_legend()
    assert legend is not None
    assert {"individuals", "idle", "boot"} <= {t.get_text() for t in legend.get_texts()}


def test_a_plan_that_breaks_the_rules_is_drawn(plan: Plan) -> None:
    """Drawing is for looking at wrong plans too: all tasks at once on one lease."""
    crowded = plan.replace(
        task_lease=np.zeros_like(plan.task_lease),
        task_start_s=np.zeros_like(plan.task_start_s),
    )
    assert plot_gantt(crowded).collections


def test_given_axes_are_used_and_pyplot_is_left_alone(plan: Plan) -> None:
    """Axes given are drawn on and returned; otherwise no global figure appears."""
    import matplotlib.pyplot as plt

    for plot in (plot_gantt, plot_fleet):
        ax = Figure().add_subplot()
        assert plot(plan, ax) is ax
        assert isinstance(plot(plan).figure, Figure)
    assert plan.plot_gantt().get_title(loc="left")
    assert plt.get_fignums() == []


def test_many_categories_share_one_colour() -> None:
    """The categories with most work keep colours of their own, the others share one."""
    plan = solve(make_problem(read_workflow("example:sipht"), deadline="40m"), planner="list")
    colours, legend = style.category_colours(plan)
    w = plan.problem.workflow
    work = np.bincount(w.category, weights=plan.task_end_s - plan.task_start_s)
    own = {c for c in range(len(colours)) if colours[c] != style.OTHER}
    others = set(range(len(colours))) - own
    assert len(own) == len(style.PALETTE)
    assert min(work[list(own)]) >= max(work[list(others)])
    assert legend[-1] == (f"{len(others)} more categories", style.OTHER)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 9)), min_size=1))
def test_the_fleet_level_is_the_sum_of_what_is_held(rows: list[tuple[int, int, int]]) -> None:
    """Between changes, the level equals a count over all intervals, one by one."""
    start = np.array([min(a, b) for a, b, _ in rows], dtype=np.float64)
    end = np.array([max(a, b) for a, b, _ in rows], dtype=np.float64)
    amount = np.array([c for *_, c in rows])
    time_s, level = _level(start, end, amount)
    for t, held in zip(time_s, level, strict=True):
        assert held == amount[(start <= t) & (t < end)].sum()


def test_large_plans_are_drawn_with_few_shapes() -> None:
    """Thousands of short tasks are drawn as far fewer blocks, on a page of limited height."""
    from autoscale.workloads.families import generate

    problem = make_problem(generate("montage", 6000, seed=1), deadline="40m", types="c7i*")
    plan = solve(problem, planner="list")
    ax = plot_gantt(plan)
    assert len(ax.collections[2].get_paths()) < 3000
    assert ax.figure.get_figheight() <= 8.5
