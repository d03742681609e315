"""Streams: arrivals follow their rates, applications have their shapes, ensembles their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from scipy import stats

from autoscale.errors import InputError
from autoscale.workloads import (
    Cycle,
    Growing,
    OnOff,
    Stable,
    application,
    arrival_times_s,
    ensemble,
)
from autoscale.workloads.ensembles import ensemble_sizes

if TYPE_CHECKING:
    from collections.abc import Callable

HORIZON_S = 100 * 3600.0
PATTERNS: dict[str, tuple[Any, Callable[[float], float]]] = {
    # The pattern, and the integral of its rate up to hour t, worked by hand.
    "stable": (Stable(rate_per_hour=20), lambda t: 20 * t),
    "growing": (
        Growing(rate_per_hour=4, end_rate_per_hour=36),
        lambda t: 4 * t + 32 * t * t / 200,
    ),
    "falling": (
        Growing(rate_per_hour=30, end_rate_per_hour=0),
        lambda t: 30 * t - 30 * t * t / 200,
    ),
    "cycle": (
        Cycle(rate_per_hour=10, peak_rate_per_hour=30, period_s=4 * 3600),
        lambda t: 20 * t - 10 * 4 / (2 * np.pi) * np.sin(2 * np.pi * t / 4),
    ),
    "on-off": (
        OnOff(rate_per_hour=40, on_s=3600, off_s=3 * 3600, off_rate_per_hour=4),
        lambda t: 52 * (t // 4) + 40 * min(t % 4, 1) + 4 * max(t % 4 - 1, 0),
    ),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_arrivals_are_a_poisson_process_with_the_rate(name: str) -> None:
    """Put on the scale of the integrated rate, they are one at rate 1: gaps are exponential."""
    pattern, integral = PATTERNS[name]
    times = arrival_times_s(pattern, HORIZON_S, np.random.default_rng(11))
    assert (np.diff(times) >= 0).all()
    assert times.max() < HORIZON_S
    scaled = np.array([integral(t / 3600) for t in times])
    assert stats.kstest(np.diff(scaled, prepend=0.0), "expon").pvalue > 0.01
    expected = integral(HORIZON_S / 3600)
    assert abs(times.size - expected) < 4 * np.sqrt(expected)


def test_nothing_arrives_while_it_is_off() -> None:
    pattern = OnOff(rate_per_hour=60, on_s=600, off_s=1200)
    times = arrival_times_s(pattern, 36_000, np.random.default_rng(3))
    assert times.size > 100
    assert (np.mod(times, 1800) < 600).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stable(rate_per_hour=0), "rate_per_hour: expected a rate per hour > 0, got 0"),
        (lambda: Growing(rate_per_hour=0, end_rate_per_hour=0), "the larger of the rates"),
        (
            lambda: Cycle(rate_per_hour=5, peak_rate_per_hour=4, period_s=1),
            "peak_rate_per_hour: expected at least rate_per_hour = 5, got 4",
        ),
        (lambda: OnOff(rate_per_hour=1, on_s=0, off_s=1), "on: expected finite seconds > 0"),
        (
            lambda: OnOff(rate_per_hour=1, on_s=1, off_s=1, off_rate_per_hour=2),
            "off_rate_per_hour: expected a rate from 0 to 1, got 2",
        ),
        (
            lambda: arrival_times_s(Stable(rate_per_hour=1e9), 3600, np.random.default_rng(0)),
            "expected at most 1,000,000 within the horizon",
        ),
    ],
)
def test_wrong_rates_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@settings(max_examples=40, deadline=None)
@given(hs.sampled_from(["pipeline", "parallel", "hybrid"]), hs.integers(3, 60))
def test_applications_have_their_shapes(name: str, n: int) -> None:
    """One entry and one exit; as many levels as stages; the middle is as wide as it can be."""
    w = application(name, n, np.random.default_rng(n), runtime_mean_s=60, runtime_cv=0.3)
    assert len(w) == n
    parents, children = np.diff(w.parent_ptr), np.diff(w.child_ptr)
    assert (parents == 0).sum() == (children == 0).sum() == 1
    end = {"pipeline": None, "parallel": 1, "hybrid": max(1, n // 4)}[name]
    width = 1 if end is None else n - 2 * end
    assert w.n_levels == len(w.categories) == n - width + 1
    assert np.bincount(w.level).max() == width
    assert (w.category == w.level).all()


def test_applications_hold_what_is_asked() -> None:
    w = application("hybrid", 8, np.random.default_rng(0), vcpus=2, memory_gib=1.5)
    assert (w.vcpus == 2).all()
    assert (w.memory_bytes == 1.5 * 2**30).all()
    assert len(application("montage", 50, np.random.default_rng(0))) == 50


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"name": "pipelin"}, "unknown application 'pipelin'; did you mean 'pipeline'"),
        ({"name": "parallel", "n_tasks": 2}, "tasks: expected a whole number >= 3 for parallel"),
        ({"name": "pipeline", "runtime_mean_s": -1}, "runtime_mean_s: expected a number from"),
        ({"name": "montage", "runtime_cv": 1}, "runtime_cv"),
        ({"name": "pipeline", "vcpus": 0}, "vcpus: expected a whole number >= 1, got 0"),
    ],
)
def test_wrong_applications_are_refused(given_: dict[str, Any], message: str) -> None:
    options = {"n_tasks": 10, "rng": np.random.default_rng(0), **given_}
    with pytest.raises(InputError, match=message):
        application(**options)


def test_pareto_sizes_follow_the_cut_distribution() -> None:
    """The share of sizes below s is (1 - low/s) / (1 - low/high), to within sampling error."""
    sizes = np.concatenate(
        [ensemble_sizes(1000, "pareto", 50, 1000, np.random.default_rng(s)) for s in range(20)]
    )
    assert sizes.min() >= 50
    assert sizes.max() <= 1000
    for s in (60, 100, 300, 800):
        expected = (1 - 50 / s) / (1 - 50 / 1001)
        assert abs((sizes < s).mean() - expected) < 0.015
    assert (ensemble_sizes(5, "constant", 50, 70, np.random.default_rng(0)) == 70).all()


def test_an_ensemble_is_ranked_by_size() -> None:
    rng = np.random.default_rng(4)
    made = ensemble("montage", 6, rng, sizes="uniform", smallest=20, largest=90)
    assert [w.priority for w in made] == [2.0**-p for p in range(1, 7)]
    sizes = [len(w) for w in made]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 1
