"""Draws and quantiles against numpy's generator and scipy's distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats as st
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.errors import InputError
from simulator import kernels
from simulator.distributions import (
    FAMILIES,
    Constant,
    Distribution,
    Gamma,
    Lognormal,
    Quantiles,
    Uniform,
    Weibull,
    distribution_of,
    factor,
)

P = np.concatenate(
    [np.logspace(-9, -1, 33), np.linspace(0.1, 0.9, 81), 1 - np.logspace(-1, -9, 33)]
)


@given(hs.integers(0, 2**64 - 1), hs.integers(0, 2**64 - 1), hs.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_uniform_numbers_are_those_of_numpys_philox(k0: int, k1: int, run: int) -> None:
    key = np.array([k0, k1], dtype=np.uint64)
    raw = np.random.Philox(key=key, counter=[0, 3, run, 0]).random_raw(37)
    expected = ((raw >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    out = np.empty(37)
    kernels.uniforms(key[0], key[1], run, 3, out)
    assert out.tolist() == expected.tolist()
    assert [kernels.uniform(key[0], key[1], run, i, 3) for i in range(37)] == expected.tolist()


@pytest.mark.parametrize(
    ("distribution", "oracle"),
    [
        (Uniform(low=2, high=5), st.uniform(2, 3)),
        (Lognormal(mean=3, cv=0.4), st.lognorm(np.sqrt(np.log1p(0.16)), scale=3 / 1.16**0.5)),
        (Lognormal.from_logs(3.0, 0.5, 7.0), st.lognorm(0.5, loc=7, scale=np.exp(3.0))),
        (Weibull(scale=4, shape=0.7, shift=1), st.weibull_min(0.7, loc=1, scale=4)),
        (Weibull(scale=4), st.expon(scale=4)),
        (Gamma(mean=3, cv=0.2, shift=2), st.gamma(25, loc=2, scale=0.12)),
        (Gamma(mean=1, cv=0.01), st.gamma(10**4, scale=1e-4)),
        (Gamma(mean=3, cv=1.5), st.gamma(1 / 2.25, scale=6.75)),
        (Gamma(mean=1, cv=4), st.gamma(1 / 16, scale=16)),
    ],
)
def test_quantiles_and_means_are_those_of_scipy(distribution: Distribution, oracle: Any) -> None:
    np.testing.assert_allclose(distribution.quantile(P), oracle.ppf(P), rtol=1e-7)
    assert distribution.expected == pytest.approx(oracle.mean(), rel=1e-9)


def test_normal_quantiles_are_exact_to_rounding() -> None:
    p = np.concatenate([10.0 ** -np.arange(1, 300, 7), P])
    found = [kernels.normal_quantile(x) for x in p]
    np.testing.assert_allclose(found, st.norm.ppf(p), rtol=1e-14, atol=1e-15)


def test_an_empirical_distribution_interpolates_its_table() -> None:
    table = Quantiles(probabilities=(0, 0.5, 1), values=(10, 20, 60))
    assert table.quantile([0.25, 0.5, 0.75, 0.99]).tolist() == pytest.approx([15, 20, 40, 59.2])
    assert table.expected == pytest.approx(0.5 * 15 + 0.5 * 40)
    samples = np.random.default_rng(1).gamma(3, 2, 5000)
    again = Quantiles.from_samples(samples)
    np.testing.assert_allclose(
        again.quantile([0.05, 0.5, 0.95]), np.quantile(samples, [0.05, 0.5, 0.95])
    )
    assert again.expected == pytest.approx(samples.mean(), rel=0.01)


def test_a_constant_has_no_luck() -> None:
    assert set(Constant(value=7).quantile(P).tolist()) == {7.0}
    assert factor(0.0).quantile([0.001, 0.999]).tolist() == [1, 1]


@pytest.mark.parametrize(
    "distribution",
    [
        Constant(value=1),
        Uniform(low=0, high=1),
        factor(0.2),
        Weibull(scale=2),
        Gamma(mean=1, cv=1),
        Quantiles(probabilities=(0, 1), values=(1, 2)),
    ],
)
def test_what_is_written_reads_back(distribution: Distribution) -> None:
    assert distribution_of(distribution.to_dict(), "here") == distribution
    assert FAMILIES[distribution.family] is type(distribution)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("90", "x: expected a number or a table with a family"),
        (True, "x: expected a number or a table"),
        (-1, "x: constant distribution: value must be a finite number >= 0, got -1"),
        (float("nan"), "value must be a finite number >= 0, got nan"),
        ({"family": "lognorm", "mean": 1, "cv": 1}, "did you mean 'lognormal'"),
        ({"family": "lognormal", "mean": 1}, "x: lognormal needs cv"),
        ({"family": "lognormal", "mean": 0, "cv": 1}, "mean must be a finite number > 0, got 0"),
        ({"family": "lognormal", "mean": 1, "cv": 1, "sd": 2}, "unknown figure 'sd'"),
        ({"family": "lognormal", "mean": "1", "cv": 1}, "x: mean: expected a number, got '1'"),
        ({"family": "gamma", "mean": 1, "cv": 0}, "cv must be a finite number >= 0.001, got 0"),
        ({"family": "weibull", "shape": 1}, "x: weibull needs scale"),
        ({"family": "uniform", "low": 3, "high": 2}, "high must be a finite number >= 3, got 2"),
        ({"family": "quantiles", "probabilities": [0, 1], "values": [1]}, "got 2 and 1"),
        ({"family": "quantiles", "probabilities": [0.1, 1], "values": [1, 2]}, "from 0 to 1"),
        ({"family": "quantiles", "probabilities": [0, 1], "values": [2, 1]}, "never decrease"),
    ],
)
def test_wrong_distributions_are_refused(value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        distribution_of(value, "x")
    assert message in str(caught.value)
