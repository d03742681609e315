"""The compiled replay against the engine, event for event, on the same draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.errors import InputError
from simulator import simulate
from simulator.chance import Chance, Network, Spot
from simulator.replay import FIGURES, Kernel, figures_of, kernel_knows, replicate
from tests.simulator.chances import ROUGH, random_chance, random_market
from tests.simulator.clouds import right_plan, wrong_plan


def agree(plan: Any, chance: Chance, seed: int, run: int, *, early: bool) -> bool:
    """Compare one run; return whether the kernel decided it."""
    times = np.empty((len(plan.problem.workflow), 3))
    figures = Kernel(plan, chance, seed, early=early).play(run, times)
    result = simulate(plan, chance, seed=seed, run=run, early=early)
    if figures is None:
        return False
    assert result.reason is None
    tasks = result.tasks
    happened = np.stack([tasks.first_start_s, tasks.start_s, tasks.end_s], axis=1)
    np.testing.assert_allclose(times, happened, rtol=1e-12, atol=1e-7)
    expected = figures_of(plan, result)
    np.testing.assert_allclose(figures, expected, rtol=1e-9, atol=1e-6)
    return True


@settings(max_examples=250, deadline=None)
@given(
    hs.integers(0, 10**6), hs.integers(1, 30), hs.sampled_from([right_plan, wrong_plan]),
    hs.booleans(), hs.integers(0, 10**6),
)  # fmt: skip
def test_the_kernel_equals_the_engine(seed: int, n: int, make: Any, early: bool, run: int) -> None:
    agree(make(seed, n), random_chance(seed), seed, run, early=early)


def test_the_kernel_decides_runs_in_which_much_fails() -> None:
    decided = [agree(right_plan(seed, 25), ROUGH, seed, 0, early=False) for seed in range(60)]
    assert sum(decided) >= 55


def test_rows_are_those_of_single_runs_whoever_plays() -> None:
    plan = right_plan(4, 20)
    runs = replicate(plan, ROUGH, runs=30, seed=5)
    for run in (0, 7, 29):
        row = figures_of(plan, simulate(plan, ROUGH, seed=5, run=run))
        np.testing.assert_allclose(runs.figures[run], row, rtol=1e-9, atol=1e-6)
    more = replicate(plan, ROUGH, runs=40, seed=5)
    assert more.figures[:30].tolist() == runs.figures.tolist()
    frame = runs.to_frame()
    assert frame.columns.tolist() == ["run", *FIGURES, "reason"]
    assert frame["cost_usd"].tolist() == runs["cost_usd"].tolist()


def test_what_only_the_engine_knows_is_played_by_it() -> None:
    plan = right_plan(4, 20)
    for chance in (
        ROUGH.replace(network=Network(sharing="max-min")),
        ROUGH.replace(network=Network(cache=True)),
        ROUGH.replace(spot=Spot(everything=True, markets=(random_market(1),))),
    ):
        assert not kernel_knows(chance)
        runs = replicate(plan, chance, runs=3, seed=1)
        row = figures_of(plan, simulate(plan, chance, seed=1, run=2))
        assert runs.figures[2].tolist() == row.tolist()
    assert kernel_knows(ROUGH.replace(network=Network()))


def test_without_chance_every_run_is_the_plan() -> None:
    plan = right_plan(6, 25)
    runs = replicate(plan, runs=5)
    np.testing.assert_allclose(runs["cost_usd"], plan.cost_usd, rtol=1e-12)
    np.testing.assert_allclose(runs["makespan_s"], plan.makespan_s, rtol=1e-12)
    lost = runs.figures[:, FIGURES.index("wait_parents_s") :]
    np.testing.assert_allclose(lost, 0, atol=1e-7)


@pytest.mark.parametrize("runs", [0, -1, 2.5])
def test_a_wrong_number_of_runs_is_refused(runs: Any) -> None:
    with pytest.raises(InputError, match="runs: expected a whole number >= 1"):
        replicate(right_plan(1, 3), runs=runs)
    with pytest.raises(InputError, match="seed: expected a whole number >= 0"):
        replicate(right_plan(1, 3), ROUGH, runs=1, seed=-1)


def test_an_interruption_keeps_the_runs_so_far() -> None:
    def interrupt(done: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    plan = right_plan(2, 10)
    runs = replicate(plan, ROUGH, runs=50, on_progress=interrupt)
    assert (len(runs), runs.wanted, runs.interrupted) == (7, 50, True)
    assert runs.figures.tolist() == replicate(plan, ROUGH, runs=7).figures.tolist()
