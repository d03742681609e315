"""The Pareto front: monotone, certified, complete at its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.errors import InfeasibleError, InputError
from autoscale.optimize.pareto import pareto_front
from autoscale.optimize.planner import solve
from autoscale.plan.check import check_plan
from autoscale.plotting.pareto import plot_pareto
from tests.optimize.brute import all_plans, tiny_problem
from tests.problems import random_problem

if TYPE_CHECKING:
    from autoscale.plan.front import ParetoFront

LIMIT_S = 2.0


@pytest.fixture(scope="module")
def front() -> ParetoFront:
    return pareto_front(random_problem(1, 14).replace(deadline_s=None), time_limit_s=LIMIT_S)


def assert_sound(front: ParetoFront) -> None:
    """Assert what every front promises."""
    makespan = np.array([plan.makespan_s for plan in front.points])
    cost = np.array([plan.cost_usd for plan in front.points])
    assert (np.diff(makespan) > 0).all()
    assert (np.diff(cost) < 0).all()
    assert (np.diff(front.deadline_s) > 0).all()
    assert (np.diff(front.bound_usd) <= 0).all()
    for plan in front.points:
        assert check_plan(plan.problem, plan) == ()
        assert plan.certificate is not None
        # The staircase says no more than the points do, at any makespan.
        stair = front.bound_usd[np.searchsorted(front.deadline_s, plan.makespan_s - 1e-6)]
        assert stair <= plan.cost_usd
    for i, tight in enumerate(front.points):
        for loose in front.points[i:]:
            # A tighter plan is one for a looser deadline, too.
            assert loose.certificate is not None
            assert loose.certificate.lower_bound <= tight.cost_usd


@pytest.mark.parametrize("seed", range(5))
def test_fronts_are_sound(seed: int) -> None:
    """No plan dominates another, each is checked and certified, bounds fall with deadlines."""
    problem = random_problem(seed, 12).replace(deadline_s=None)
    assert_sound(pareto_front(problem, points=5, time_limit_s=LIMIT_S))


@pytest.mark.parametrize("seed", range(8))
def test_no_plan_beats_the_bounds(seed: int) -> None:
    """Every plan of a brute-forced problem lies on or above the certified staircase."""
    problem = tiny_problem(seed)
    front = pareto_front(problem, points=4, time_limit_s=1.0)
    assert_sound(front)
    for plan in all_plans(problem):
        step = np.searchsorted(front.deadline_s, plan.makespan_s - 1e-9)
        if step < front.deadline_s.size:
            assert plan.cost_usd >= front.bound_usd[step]


def test_the_ends(front: ParetoFront) -> None:
    """The quickest plan takes the least makespan; the cheapest is about as cheap as any found."""
    assert_sound(front)
    problem = front.points[0].problem
    assert front.points[0].makespan_s == pytest.approx(problem.least_makespan_s)
    free = solve(problem.replace(deadline_s=None), time_limit_s=LIMIT_S)
    assert front.points[-1].cost_usd <= free.cost_usd * 1.25
    assert len(front) >= 2


def test_a_deadline_is_where_the_front_ends() -> None:
    """No plan of the front ends after the problem's deadline; a budget plays no part."""
    problem = random_problem(2, 10, slack=2.0).replace(budget_usd=1e-6)
    front = pareto_front(problem, points=4, time_limit_s=1.0)
    assert front.deadline_s[-1] == problem.deadline_s
    assert front.points[-1].makespan_s <= (problem.deadline_s or 0.0) + 1e-6
    assert_sound(front)


def test_no_room_at_all() -> None:
    """A deadline of exactly the least makespan gives one point."""
    problem = random_problem(2, 10)
    front = pareto_front(
        problem.replace(deadline_s=problem.least_makespan_s), points=4, time_limit_s=1.0
    )
    assert len(front) == front.deadline_s.size == 1
    assert_sound(front)


def test_no_time_at_all() -> None:
    """However short the limit, there is a front."""
    front = pareto_front(random_problem(4, 30).replace(deadline_s=None), time_limit_s=1e-3)
    assert_sound(front)
    assert len(front) >= 1


def test_an_interrupt_keeps_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of the bounds still returns checked plans."""
    from autoscale.optimize import pareto as module

    def interrupt(row: object) -> None:
        raise KeyboardInterrupt

    for moment in ("_quick_bounds", "_better_bounds"):
        with monkeypatch.context() as patch:
            patch.setattr(module, moment, interrupt)
            problem = random_problem(1, 10).replace(deadline_s=None)
            assert_sound(pareto_front(problem, points=4, time_limit_s=1.0))


def test_refusals() -> None:
    """Too few points and impossible deadlines are refused."""
    problem = random_problem(0, 5)
    with pytest.raises(InputError, match="points: expected"):
        pareto_front(problem, points=1)
    with pytest.raises(InfeasibleError, match="critical path"):
        pareto_front(problem.replace(deadline_s=1e-3))


def test_the_table_and_the_texts_say_what_the_plans_say(front: ParetoFront) -> None:
    """Frame, text and HTML are computed from the plans."""
    frame = front.to_frame()
    assert list(frame) == ["deadline_s", "makespan_s", "cost_usd", "bound_usd", "gap", "leases"]
    np.testing.assert_allclose(frame["gap"], frame["cost_usd"] / frame["bound_usd"] - 1, atol=1e-9)
    assert (frame["makespan_s"] <= frame["deadline_s"] * (1 + 1e-6)).all()
    assert f"{len(front)} plans" in repr(front)
    assert front._repr_html_().count("<tr") == len(front) + 1


def test_the_picture_shows_every_plan_and_the_bound(front: ParetoFront) -> None:
    """Points are where the plans are; the shaded region's edge is the staircase."""
    ax = plot_pareto(front)
    steps, dots = (line.get_xydata() for line in (ax.lines[1], ax.lines[2]))
    expected = [(plan.makespan_s, plan.cost_usd) for plan in front.points]
    np.testing.assert_allclose(dots, expected)
    np.testing.assert_allclose(steps[: len(front)], expected)
    edge = ax.lines[0].get_xydata()
    np.testing.assert_allclose(edge[1:], np.stack([front.deadline_s, front.bound_usd], axis=1))
    assert front.plot().get_xlim() == ax.get_xlim()
