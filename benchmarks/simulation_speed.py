"""How fast plans are simulated: task executions per second of one core.

usage: python benchmarks/simulation_speed.py [--size 10000] [--large 1000000] [--rounds 5]

Plans are random assignments to 40 leases (a thousand for the large one), so that waiting for
parents, for room and for other machines all occur. Times are processor seconds of this process
(both engine and kernel use one thread), the best of some rounds; kernels are compiled beforehand.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.api import make_problem
from autoscale.plan.decode import decode
from autoscale.workloads import generate
from simulator import simulate
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
from simulator.distributions import Lognormal, factor
from simulator.replay import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.plan.plan import Plan

NOISE = Chance(boot=Boot(time_s=Lognormal(mean=60, cv=0.3)), runtime=Runtime(task=factor(0.2)))
FAILURES = NOISE.replace(
    boot_failure=BootFailure(probability=0.02),
    runtime=Runtime(task=factor(0.2), lease=factor(0.1)),
    estimate_error=EstimateError(task=factor(0.2), category=factor(0.1)),
    task_failure=TaskFailure(probability=0.01, retries=10),
    instance_failure=InstanceFailure(rate_per_hour=0.05),
    spot=Spot(rate_per_hour=0.1, everything=True),
)
LINKS = FAILURES.replace(network=Network(sharing="max-min", cache=True))
SERVICE = FAILURES.replace(network=Network(sharing="max-min", cache=True, service_bandwidth=5e9))
CHANCES = {
    "all off": Chance(),
    "noise": NOISE,
    "noise, failures": FAILURES,
    "full: and shared links, disks": LINKS,
    "full: and shared storage": SERVICE,
}
KERNEL = ("all off", "noise", "noise, failures")


def random_plan(family: str, size: int) -> Plan:
    """Return a feasible plan on random leases of two types."""
    workflow = generate(family, size)
    problem = make_problem(workflow, types="c7i.2xlarge,m7i.4xlarge")
    n_leases = 40 if size < 100_000 else 1000
    rng = np.random.default_rng(0)
    leases = rng.integers(0, n_leases, len(workflow))
    return decode(problem, np.arange(n_leases) % 2, leases, np.arange(len(workflow)))


def best_s(play: Callable[[int], object], rounds: int) -> float:
    """Return the fewest processor seconds of one run."""
    play(0)  # compiles
    times = []
    for run in range(rounds):
        began = time.process_time()
        play(run)
        times.append(time.process_time() - began)
    return min(times)


def kernel_run(kernel: Kernel) -> Callable[[int], object]:
    """Return a function that plays one run and refuses one that the engine must decide."""

    def play(run: int) -> object:
        figures = kernel.play(run)
        if figures is None:
            raise RuntimeError(f"run {run} was left to the engine")
        return figures

    return play


def row(what: str, plan: Plan, chance: str, seconds: float) -> str:
    """Return one line of the table."""
    w = plan.problem.workflow
    rate = len(w) / seconds
    shown = f"{rate / 1e6:.1f} million" if rate > 1e6 else f"{rate:,.0f}"
    return f"| {what} | {w.name} | {len(w):,} | {chance} | {seconds:.4f} | {shown} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| what | workflow | tasks | chance | s a run | tasks a second |")
    print("| --- | --- | --- | --- | --- | --- |")
    for family in ("montage", "epigenomics"):
        plan = random_plan(family, options.size)
        for name, chance in CHANCES.items():
            seconds = best_s(
                lambda run, p=plan, c=chance: simulate(p, c, run=run),  # type: ignore[misc]
                options.rounds,
            )
            print(row("engine", plan, name, seconds), flush=True)
        for name in KERNEL:
            kernel = Kernel(plan, CHANCES[name], seed=0)
            seconds = best_s(kernel_run(kernel), 20 * options.rounds)
            print(row("kernel", plan, name, seconds), flush=True)
    if options.large:
        plan = random_plan("montage", options.large)
        for name in KERNEL:
            began = time.process_time()
            kernel = Kernel(plan, CHANCES[name], seed=0)
            laid_out_s = time.process_time() - began
            seconds = best_s(kernel_run(kernel), options.rounds)
            print(row("kernel", plan, name, seconds), flush=True)
            print(f"\nlaid out once in {laid_out_s:.2f} s\n" if name == KERNEL[-1] else "", end="")


if __name__ == "__main__":
    main()
