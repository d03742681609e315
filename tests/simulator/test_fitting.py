"""Fits recover what samples were drawn from, and the shipped figures are those of their sources."""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from autoscale.errors import InputError
from simulator.chance import Boot, Chance, chance_of, read_chance, shipped_chances
from simulator.chance_toml import to_toml
from simulator.distributions import Distribution, Gamma, Lognormal, Quantiles, Weibull
from simulator.families import KNOTS, cumulative, fit_distribution, ks_distance
from simulator.fitting import fit_boot, fit_estimate_error, fit_runtime_noise, fit_spot
from simulator.market import Trace
from simulator.measurements import spot_lives
from simulator.prices import PriceFit, fit_price

ROOT = Path(__file__).resolve().parents[2]

KNOWN: list[Distribution] = [
    Lognormal(mean=30, cv=0.9, shift=20),
    Gamma(mean=25, cv=0.4, shift=10),
    Weibull(scale=40, shape=2.5, shift=5),
    Quantiles(probabilities=(0, 0.4, 0.5, 1), values=(10, 20, 80, 90)),
]


@pytest.mark.parametrize("known", KNOWN, ids=lambda d: d.family)
def test_samples_of_a_distribution_give_it_back(known: Distribution) -> None:
    u = np.random.default_rng(5).random(4000)
    fit = fit_distribution(known.quantile(u))
    assert ks_distance(known.quantile(u), known) < 1.63 / np.sqrt(4000)
    assert fit.ks <= 0.05
    grid = np.linspace(0.02, 0.98, 49)
    found, wanted = fit.distribution.quantile(grid), known.quantile(grid)
    inside = (grid < 0.35) | (grid > 0.55)  # a table may be off where it rises steeply
    np.testing.assert_allclose(found[inside], wanted[inside], rtol=0.1)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KNOWN), st.floats(0.001, 0.999))
def test_distribution_functions_invert_quantiles(known: Distribution, p: float) -> None:
    assert cumulative(known, known.quantile(np.array([p])))[0] == pytest.approx(p, abs=1e-9)


def test_the_distance_is_that_of_scipy() -> None:
    x = np.random.default_rng(2).weibull(1.5, 300) * 7
    known = Weibull(scale=7, shape=1.5)
    assert ks_distance(x, known) == pytest.approx(
        stats.kstest(x, stats.weibull_min(1.5, 0, 7).cdf).statistic, abs=1e-12
    )


def test_a_sample_of_no_family_keeps_its_own_quantiles_and_mean() -> None:
    rng = np.random.default_rng(9)
    x = np.where(rng.random(3000) < 0.9, 1.0, 3.0) * rng.lognormal(0, 0.02, 3000)
    fit = fit_distribution(x / x.mean(), families=("lognormal", "gamma"), shifted=False)
    assert isinstance(fit.distribution, Quantiles)
    assert fit.best_ks > 0.3 > 0.05 > fit.ks
    assert fit.distribution.expected == pytest.approx(1.0)
    assert len(fit.distribution.values) <= KNOTS


def test_boot_times_and_the_share_of_failures() -> None:
    ready = Gamma(mean=30, cv=0.5, shift=12).quantile(np.random.default_rng(1).random(900))
    frame = pd.DataFrame({"boot_s": [*ready, *[np.nan] * 100]})
    fit = fit_boot(frame)
    assert (fit.failure.failures, fit.failure.trials) == (100, 1000)
    # Clopper and Pearson: the tails of the binomial distribution are 2.5 % at the ends.
    assert stats.binom.sf(99, 1000, fit.failure.low) == pytest.approx(0.025, abs=1e-6)
    assert stats.binom.cdf(100, 1000, fit.failure.high) == pytest.approx(0.025, abs=1e-6)
    assert fit.time_s.distribution.expected == pytest.approx(42, rel=0.05)


@pytest.mark.parametrize("repeats", [2, 3, 8])
def test_noise_is_that_between_repeats_however_few(repeats: int) -> None:
    rng = np.random.default_rng(repeats)
    task = np.repeat(np.arange(1500), repeats)
    typical_s = rng.uniform(10, 1e4, 1500)[task]
    runtime_s = typical_s * rng.lognormal(0, 0.2, task.size)
    fit = fit_runtime_noise(pd.DataFrame({"task": task, "runtime_s": runtime_s}))
    assert fit.groups == 1500
    assert isinstance(fit.factor.distribution, Lognormal)
    assert fit.factor.distribution.mean == 1
    assert fit.factor.distribution.cv == pytest.approx(np.sqrt(np.expm1(0.04)), rel=0.04)


def test_errors_of_categories_and_of_tasks_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    category = np.repeat(np.arange(400), 5)
    factor = 1.3 * rng.lognormal(0, 0.3, 400)[category] * rng.lognormal(0, 0.1, category.size)
    estimate_s = rng.uniform(10, 100, category.size)
    fit = fit_estimate_error(
        pd.DataFrame(
            {"category": category, "estimate_s": estimate_s, "runtime_s": estimate_s * factor}
        )
    )
    assert fit.bias == pytest.approx(1.3, rel=0.05)
    assert fit.task.cv == pytest.approx(0.1, rel=0.05)
    assert fit.task.distribution.expected == pytest.approx(fit.bias * math.exp(0.005), rel=0.01)
    assert fit.category_cv == pytest.approx(np.sqrt(np.expm1(0.09)), rel=0.1)


def test_lives_without_memory_give_their_rate_though_half_are_cut_off() -> None:
    rng = np.random.default_rng(4)
    life_s, cut_s = rng.exponential(3600 / 0.5, 3000), rng.exponential(3600 / 0.5, 3000)
    seen = pd.DataFrame(
        {"life_s": np.minimum(life_s, cut_s), "interrupted": (life_s <= cut_s).astype(int)}
    )
    fit = fit_spot(seen)
    assert fit.low < 0.5 < fit.high
    assert fit.rate_per_hour == pytest.approx(0.5, rel=0.06)
    assert fit.weibull_shape == pytest.approx(1, rel=0.05)
    assert fit.ks < 1.63 / np.sqrt(fit.interruptions)
    together = fit_spot(seen.assign(event=np.arange(3000) // 10))
    assert together.high - together.low > 1.5 * (fit.high - fit.low)


def test_lives_in_a_trace_of_counts_by_hand() -> None:
    time_s = np.array([0.0, 100.0, 200.0, 300.0])
    lives = spot_lives(time_s, np.array([2.0, 1.0, 3.0, 0.0]), 400.0)
    assert sorted(lives["life_s"]) == [100, 100, 100, 300]
    assert lives["interrupted"].all()
    assert lives["event"].tolist() == [1, 3, 3, 3]
    still = spot_lives(time_s, np.array([1.0, 1.0, 1.0, 1.0]), 400.0)
    assert (still["life_s"].tolist(), still["interrupted"].tolist()) == ([400], [0])


def test_a_made_up_price_history_gives_back_its_volatility() -> None:
    known = PriceFit(level_usd_per_hour=0.2, volatility=0.01)
    trace = known.trace(np.random.default_rng(0), 24 * 2000.0)
    assert trace.value[0] == pytest.approx(0.2)
    frame = pd.DataFrame({"time_s": trace.time_s, "price_usd_per_hour": trace.value})
    fit = fit_price(frame)
    assert fit.volatility == pytest.approx(0.01, rel=0.06)
    assert fit.ks < 1.63 / np.sqrt(fit.n)
    assert isinstance(trace, Trace)


WRONG: list[tuple[Any, Any, str]] = [
    (fit_boot, {"boot": [1.0] * 9}, "boot_s"),
    (fit_boot, {"boot_s": [1.0] * 8 + [-4]}, "row 8, column 'boot_s'.*> 0 or a blank.*-4"),
    (fit_boot, {"boot_s": [30.0] * 3}, "at least 8 measurements, got 3"),
    (fit_runtime_noise, {"task": range(9), "runtime_s": [1.0] * 9}, "measured twice"),
    (fit_runtime_noise, {"task": [1] * 9, "runtime_s": [1.0] * 8 + [np.nan]}, "row 8"),
    (fit_runtime_noise, {"task": [1] * 8 + [None], "runtime_s": [1.0] * 9}, "a name, got a blank"),
    (fit_spot, {"life_s": [60.0] * 9, "interrupted": [0] * 9}, "interruptions, got 0"),
    (fit_price, {"time_s": range(9), "price_usd_per_hour": [1.0] * 9}, "at least 50 steps"),
    (fit_price, {"time_s": [1, 1], "price_usd_per_hour": [1.0] * 2}, "times that increase"),
]


@pytest.mark.parametrize(("fit", "columns", "message"), WRONG)
def test_wrong_measurements_are_named(fit: Any, columns: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(pd.DataFrame(columns))


@pytest.mark.parametrize("name", ["default", "aws", "gcp", "azure", "scarce-spot", "other-machine"])
def test_shipped_chances_are_read_and_written_alike(name: str) -> None:
    import tomllib

    assert name in shipped_chances()
    chance = read_chance(name)
    again = chance_of(tomllib.loads(to_toml(chance)), where="written")
    assert again == chance
    assert chance.runtime is not None
    assert chance.runtime.task.expected == pytest.approx(1.0, abs=1e-4)


def test_markets_cannot_be_written() -> None:
    trace = PriceFit(level_usd_per_hour=1, volatility=0).trace(np.random.default_rng(0), 9)
    from simulator.chance import Spot
    from simulator.market import Market

    with pytest.raises(InputError, match="markets"):
        to_toml(Chance(spot=Spot(markets=(Market(trace=trace, bid_usd_per_hour=1),))))


def test_toml_of_every_family_is_read_back() -> None:
    import tomllib

    for known in KNOWN:
        chance = Chance(boot=Boot(time_s=known), source='a "quoted" source')
        assert chance_of(tomllib.loads(to_toml(chance, {"boot": "one\ntwo"})), where="x") == chance


def test_shipped_figures_are_those_of_the_measurements(shared: Path, tmp_path: Path) -> None:
    import subprocess

    shutil.rmtree(tmp_path)
    subprocess.run(
        [sys.executable, "benchmarks/fit_chance.py", "--shared", shared, "--out", tmp_path],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    for path in sorted(tmp_path.iterdir()):
        shipped = ROOT / "data/chance" / path.name
        if path.suffix == ".csv":  # other versions of scipy may differ in the last digits
            frame, ours = pd.read_csv(path), pd.read_csv(shipped)
            pd.testing.assert_frame_equal(frame, ours, rtol=1e-2)
        else:
            assert read_chance(path).sources == read_chance(shipped).sources
