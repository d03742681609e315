"""Queueing theory: waits of the engine are those of M/M/c and M/G/1.

A plan whose starts are the moments of Poisson arrivals, of tasks of one vCPU on one machine of c,
is a queue with c servers, served in order of arrival: a task starts once its planned start has
come, the one before it has started, and there is room. Services are drawn by chance.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.plan.plan import Plan
from simulator import simulate
from simulator.chance import Chance, Runtime
from simulator.distributions import Constant, Distribution, Gamma, Lognormal, Uniform, Weibull

EXPONENTIAL = Weibull(scale=1.0, shape=1.0)
SEEDS = range(40)
WARM_UP = 300
CUSTOMERS = 2000


def waits_s(servers: int, load: float, service: Distribution, seed: int) -> np.ndarray:
    """Return the waits of customers in the steady state; a service takes a second on average."""
    n = WARM_UP + CUSTOMERS
    rng = np.random.default_rng(seed)
    arrival_s = np.cumsum(rng.exponential(1 / (load * servers), n))
    machine = InstanceType(name="m", vcpus=servers, memory_gib=1, price_usd_per_hour=1)
    none = np.zeros(0, dtype=np.int64)
    workflow = Workflow.from_columns(
        name="queue", ids=[str(i) for i in range(n)], runtime_s=np.ones(n), edges=(none, none)
    )
    plan = Plan(
        problem=Problem(workflow=workflow, catalog=Catalog((machine,)), boot_s=0.0),
        lease_type=np.array([0], np.int32),
        lease_start_s=np.array([0.0]),
        lease_end_s=np.array([arrival_s[-1]]),
        task_lease=np.zeros(n, np.int32),
        task_start_s=arrival_s,
        task_end_s=arrival_s + 1,
    )
    result = simulate(plan, Chance(runtime=Runtime(task=service)), seed=seed)
    return (result.tasks.start_s - arrival_s)[WARM_UP:]


def assert_mean(samples: list[float], expected: float) -> None:
    """Require that the value lies in a 99.9 % confidence interval, and that one is narrow."""
    mean, error = float(np.mean(samples)), float(stats.sem(samples))
    half = float(stats.t.ppf(0.9995, len(samples) - 1)) * error
    assert half < 0.2 * expected, f"{mean:.4g} +- {half:.2g}"
    assert abs(mean - expected) < half, f"{mean:.4g} +- {half:.2g}, expected {expected:.4g}"


def erlang_c(servers: int, load: float) -> float:
    """Return the probability that a customer of M/M/c waits (Erlang 1917)."""
    offered = servers * load
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = offered * blocked / (k + offered * blocked)
    return blocked / (1 - load * (1 - blocked))


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (2, 0.7), (4, 0.8), (8, 0.75)])
def test_waits_of_many_servers(servers: int, load: float) -> None:
    runs = [waits_s(servers, load, EXPONENTIAL, seed) for seed in SEEDS]
    waiting = erlang_c(servers, load)
    assert_mean([float((run > 1e-9).mean()) for run in runs], waiting)
    assert_mean([float(run.mean()) for run in runs], waiting / (servers * (1 - load)))
    # The second moment: a wait, if any, is exponential.
    rate = servers * (1 - load)
    assert_mean([float((run > 1 / rate).mean()) for run in runs], waiting / math.e)


SERVICES: list[tuple[Distribution, float]] = [
    # a distribution of mean 1 and its squared coefficient of variation
    (Constant(value=1.0), 0.0),
    (Uniform(low=0.0, high=2.0), 1 / 3),
    (Gamma(mean=1.0, cv=0.7), 0.49),
    (EXPONENTIAL, 1.0),
    (Lognormal(mean=1.0, cv=1.2), 1.44),
]


@pytest.mark.parametrize(("service", "scv"), SERVICES, ids=lambda x: getattr(x, "family", str(x)))
def test_waits_of_one_server_with_any_service(service: Distribution, scv: float) -> None:
    load = 0.6
    runs = [waits_s(1, load, service, seed) for seed in SEEDS]
    # Pollaczek 1930, Khinchine 1932; a server is busy the share `load` of the time.
    assert_mean([float(run.mean()) for run in runs], load * (1 + scv) / (2 * (1 - load)))
    assert_mean([float((run > 1e-9).mean()) for run in runs], load)
