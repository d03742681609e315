"""Chances for tests: everything on at rates that strike short plans, and random mixtures."""

from __future__ import annotations

import numpy as np

from simulator.chance import (
    Boot,
    BootFailure,
    Chance,
    EstimateError,
    InstanceFailure,
    Network,
    Runtime,
    Spot,
    TaskFailure,
)
from simulator.distributions import Gamma, Lognormal, Quantiles, Uniform, Weibull, factor
from simulator.market import Market, Trace

ROUGH = Chance(
    boot=Boot(time_s=Lognormal(mean=60, cv=0.3)),
    boot_failure=BootFailure(probability=0.1, detect_s=200, billed=False),
    runtime=Runtime(task=factor(0.2), lease=Gamma(mean=1, cv=0.1)),
    estimate_error=EstimateError(task=Uniform(low=0.7, high=1.5), category=factor(0.1)),
    task_failure=TaskFailure(probability=0.1, retries=30),
    instance_failure=InstanceFailure(rate_per_hour=2),
    spot=Spot(rate_per_hour=3, everything=True),
)
"""All that the kernel knows, so often that a plan of minutes meets each of it."""


def random_chance(seed: int, *, everything: bool = False) -> Chance:
    """Return a random mixture; with ``everything`` also what only the engine knows."""
    rng = np.random.default_rng([seed, 77])
    names = [name for name in ROUGH.sources if rng.random() < 0.4]
    chance = ROUGH.without(*names)
    if rng.random() < 0.5 and chance.boot is not None:
        table = Quantiles(probabilities=(0, 0.5, 1), values=(10, 40, 300))
        chance = chance.replace(boot=Boot(time_s=table))
    if rng.random() < 0.3:
        chance = chance.replace(runtime=Runtime(task=Weibull(scale=1, shape=3, shift=0.1)))
    if not everything:
        return chance
    sharing = "max-min" if rng.random() < 0.7 else "fixed"
    service = float(rng.choice([np.inf, 1e8, 1e9])) if sharing == "max-min" else np.inf
    weights = "vcpus" if rng.random() < 0.5 else "equal"
    network = Network(
        sharing=sharing,  # type: ignore[arg-type]
        weights=weights,  # type: ignore[arg-type]
        service_bandwidth=service,
        cache=bool(rng.random() < 0.5),
    )
    chance = chance.replace(network=network)
    if rng.random() < 0.5:
        chance = chance.replace(
            spot=Spot(rate_per_hour=1, notice_s=60, everything=True, markets=(random_market(seed),))
        )
    return chance


def random_market(seed: int) -> Market:
    """Return a market that is open most of the time."""
    rng = np.random.default_rng([seed, 78])
    steps = np.cumsum(rng.integers(200, 2000, 12))
    price = rng.choice([0.1, 0.2, 0.5], 12, p=[0.6, 0.2, 0.2])
    price[0] = 0.1
    trace = Trace(
        kind="price",
        time_s=np.append(0.0, steps[:-1].astype(float)),
        value=price,
        length_s=float(steps[-1]),
    )
    return Market(trace=trace, bid_usd_per_hour=0.3)
