"""A solver that fails, stops early or lies costs neither the incumbent nor the bound's validity."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.api import make_problem, read_workflow
from autoscale.errors import SolverError
from autoscale.lp import backend, bound, relaxing
from autoscale.lp.backend import NOTHING, SolvedAgain, SolveResult, SolveStatus
from autoscale.lp.work import work_bound_usd
from autoscale.optimize.planner import solve
from autoscale.plan.check import check_plan
from autoscale.schedulers import get_scheduler
from tests.problems import random_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.lp.model import LinearModel

honest = backend.solve_model


def changed(change: Callable[[LinearModel, SolveResult], SolveResult]) -> Any:
    """Return a solver whose honest answer is changed."""

    def solver(model: LinearModel, **options: Any) -> SolveResult:
        return change(model, honest(model, **options))

    solver.change = change  # type: ignore[attr-defined]
    return solver


def raising(error: Exception) -> Any:
    """Return what the solver's own interface does when it raises."""

    def solver(*arguments: Any) -> SolveResult:
        raise error

    return solver


def with_nans(values: Any) -> Any:
    """Return the values with every third one lost."""
    out = np.array(values)
    out[::3] = np.nan
    return out


def says(**fields: Any) -> Any:
    """Return a solver that puts the same falsehood into each answer."""
    return changed(lambda model, result: replace(result, **fields))


LIARS: dict[str, Any] = {
    "failed": changed(lambda model, result: NOTHING),
    "stops at once": says(status=SolveStatus.LIMIT, x=None, row_dual=None, objective=math.inf),
    "huge bound": says(bound=1e9),
    "bound not a number": says(bound=math.nan),
    "infeasible": says(
        status=SolveStatus.INFEASIBLE, x=None, row_dual=None, objective=math.inf, bound=math.inf
    ),
    "NaN duals": changed(lambda model, r: replace(r, row_dual=with_nans(r.row_dual))),
    "huge duals": changed(lambda model, r: replace(r, row_dual=1e6 * np.ones(model.n_rows))),
    "negated duals": changed(lambda model, r: replace(r, row_dual=-np.asarray(r.row_dual))),
    "too few duals": changed(lambda model, r: replace(r, row_dual=np.asarray(r.row_dual)[:-1])),
    "x of zeros": changed(lambda model, r: replace(r, x=np.zeros(model.n_variables))),
    "x of NaN": changed(lambda model, r: replace(r, x=np.full(model.n_variables, np.nan))),
    "x of garbage": changed(lambda model, r: replace(r, x=1e9 * np.ones(model.n_variables))),
    "x too short": changed(lambda model, r: replace(r, x=np.asarray(r.x)[:-1])),
}


@pytest.mark.parametrize(
    "error",
    [SolverError("no licence"), RuntimeError("pybind"), MemoryError(), ImportError("highspy")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_the_solver_raises_the_incumbent_survives(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = random_problem(11, n_tasks=12, slack=1.5)
    monkeypatch.setattr(backend, "_highs", raising(error))
    plan = solve(problem, time_limit_s=0.5)
    assert check_plan(problem, plan) == ()
    assert plan.certificate is not None
    assert plan.certificate.lower_bound >= work_bound_usd(problem) * (1 - 1e-12)


@pytest.mark.parametrize("name", LIARS)
def test_the_incumbent_survives_and_the_bound_is_valid(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = random_problem(11, n_tasks=12, slack=1.5)
    truth = solve(problem, time_limit_s=0.5)
    assert truth.certificate is not None
    monkeypatch.setattr(relaxing, "solve_model", LIARS[name])
    plan = solve(problem, time_limit_s=0.5)
    assert check_plan(problem, plan) == ()
    for scheduler in ("list", "cheapest", "fastest"):
        simple = get_scheduler(scheduler)(problem, rng=np.random.default_rng(0))
        if simple.slack_s >= 0:
            assert plan.cost_usd <= simple.cost_usd * (1 + 1e-9)
    assert plan.certificate is not None
    # No plan is cheaper than the bound: not even the one found without the lies.
    assert 0 < plan.certificate.lower_bound <= truth.cost_usd * (1 + 1e-9)
    # A certificate as good as the truth's may be luck; a perfect one cannot come from a lie.
    if truth.gap > 0.01:
        assert plan.gap > 1e-3


@pytest.mark.parametrize("name", ["NaN duals", "huge duals", "negated duals", "infeasible"])
def test_lies_never_raise_the_bound_above_a_plan(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        problem = random_problem(seed, n_tasks=10, slack=1.5)
        found = solve(problem, planner="list").cost_usd
        with monkeypatch.context() as patch:
            patch.setattr(relaxing, "solve_model", LIARS[name])
            search = bound.CostBound(problem, settings=relaxing.BoundSettings(nodes=6))
            assert search.root().usd <= found * (1 + 1e-9)
            usd = search.branch(lambda: math.inf, lambda usd: None).usd
            assert usd <= found * (1 + 1e-9)


@pytest.mark.parametrize("name", ["NaN duals", "huge duals", "negated duals", "infeasible"])
def test_lies_within_parts_never_raise_the_bound_above_a_plan(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = SolvedAgain.solve

    def lies(again: SolvedAgain, *given: Any, **options: Any) -> SolveResult:
        truth = within(again, *given, **options)
        if truth.row_dual is None or truth.x is None:
            return truth
        told: SolveResult = LIARS[name].change(again.model, truth)
        return told

    problem = random_problem(0, n_tasks=10, slack=1.5)
    found = solve(problem, planner="list").cost_usd
    monkeypatch.setattr(SolvedAgain, "solve", lies)
    search = bound.CostBound(problem, settings=relaxing.BoundSettings(nodes=12))
    root = search.root().usd
    usd = search.branch(lambda: math.inf, lambda usd: None).usd
    assert root * (1 - 1e-9) <= usd <= found * (1 + 1e-9)
    assert search.solved > 6


@pytest.mark.parametrize("rows_with_basis", [10_000, 500])
@pytest.mark.parametrize("honest_calls", [1, 2, 3, 4, 6, 8, 11, 15, 20, 30])
def test_the_bound_goes_on_whenever_the_solver_stops_answering(
    honest_calls: int, rows_with_basis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its time is up between two rounds of cuts: models then have rows without duals."""
    workflow = read_workflow("example:1000genome")
    problem = make_problem(workflow, deadline="12m", types="c7i*,m7i*,c6i*")
    usd = solve(problem, planner="list").cost_usd
    calls = count(1)

    def tires(model: LinearModel, **options: Any) -> SolveResult:
        return honest(model, **options) if next(calls) <= honest_calls else NOTHING

    def tires_within(again: SolvedAgain, *given: Any, **options: Any) -> SolveResult:
        return within(again, *given, **options) if next(calls) <= honest_calls else NOTHING

    within = SolvedAgain.solve
    monkeypatch.setattr(SolvedAgain, "solve", tires_within)
    monkeypatch.setattr(relaxing, "solve_model", tires)
    for rows in ("SIMPLEX_ROWS", "BASIS_ROWS"):
        monkeypatch.setattr(backend, rows, rows_with_basis)
    search = bound.CostBound(problem, settings=relaxing.BoundSettings(nodes=12), cost_usd=usd)
    root = search.root().usd
    branched = search.branch(lambda: usd * 0.99, lambda bound_usd: None).usd
    assert root * (1 - 1e-9) <= branched <= usd
