"""Experiments: killed at random, and how fast with one worker and with two.

usage: python benchmarks/experiments.py kill [--kills 200] [--seeds 12] [--engine local] [--seed 0]
                                             [--longest 4]
       python benchmarks/experiments.py speed [--runs 10000] [--tasks 1000] [--rounds 3]
                                              [--chance noise|failures|links] [--workers 1,2]

``kill`` runs an experiment of 160 runs a seed (compiled kernel and engine) again and again, kills
its driver or one of its workers with SIGKILL at random moments after its start, its first workers
or the first result that it records, goes on with --resume, and counts recorded runs that were lost
or recorded twice, and final tables that differ from the unkilled one.

``speed`` plays one plan many times, all runs stored and the table written, and prints the wall
time of the whole session, start of the workers included, the best of some rounds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script: tests are beside

from autoscale.workloads import generate
from simulator.chance import (
    Boot,
    Chance,
    EstimateError,
    InstanceFailure,
    Network,
    Runtime,
    Spot,
    TaskFailure,
)
from simulator.distributions import Lognormal, factor
from simulator.experiments.cases import resolve
from simulator.experiments.running import Progress, run_experiment
from simulator.experiments.spec import Experiment, Grid
from tests.experiments.killing import Tally, kill_at_random, unkilled
from tests.experiments.small import write_file

NOISE = Chance(boot=Boot(time_s=Lognormal(mean=60, cv=0.3)), runtime=Runtime(task=factor(0.2)))
FAILURES = NOISE.replace(
    estimate_error=EstimateError(task=factor(0.2), category=factor(0.1)),
    task_failure=TaskFailure(probability=0.01, retries=10),
    instance_failure=InstanceFailure(rate_per_hour=0.05),
    spot=Spot(rate_per_hour=0.1, everything=True),
)
CHANCES = {
    "noise": NOISE,
    "failures": FAILURES,
    "links": NOISE.replace(network=Network(sharing="max-min")),
}


def kill(options: argparse.Namespace) -> None:
    """Print what 200 kills cost."""
    began = time.monotonic()

    def tell(tally: Tally) -> None:
        print(f"{time.monotonic() - began:6.0f} s: {tally}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        file = write_file(Path(folder), options.seeds)
        reference = unkilled(file, Path(folder, "whole"))
        unkilled_s = time.monotonic() - began
        print(f"{unkilled_s:6.0f} s: unkilled", flush=True)
        tally = kill_at_random(
            file, Path(folder), reference, options.kills, seed=options.seed,
            engine=options.engine, longest_s=options.longest, tell=tell,
        )  # fmt: skip
    print("| engine | kills | of drivers | of workers | rounds | runs recorded | lost | twice "
          "| tables that differ | seconds |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    figures = (
        options.engine, tally.kills, tally.drivers, tally.workers, tally.rounds, tally.recorded,
        tally.lost, tally.repeated, tally.different, round(time.monotonic() - began),
    )  # fmt: skip
    print(f"| {' | '.join(map(str, figures))} |")
    print(f"\nkilled while there was: {tally.stages}")


def speed(options: argparse.Namespace) -> None:
    """Print how long many runs of a plan take."""
    experiment = Experiment(
        name="speed",
        grids=Grid(
            workflows="montage",
            deadline_factors=2,
            planners="list",
            chances=options.chance,
            replications=options.runs,
        ),
        workflows={"montage": generate("montage", options.tasks)},
        chances=CHANCES,
    )
    cases = resolve(experiment)
    print("| chance | tasks | runs | workers | s, whole | s, playing | runs/s | CPU s, driver "
          "| CPU s, workers |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for workers in [int(text) for text in options.workers.split(",")]:
        rows = [_timed(cases, workers) for _ in range(options.rounds)]
        whole_s, played_s, driver_s, workers_s = min(rows)
        cells = (
            options.chance, options.tasks, options.runs, workers, f"{whole_s:.2f}",
            f"{played_s:.2f}", f"{options.runs / played_s:,.0f}", f"{driver_s:.2f}",
            f"{workers_s:.2f}",
        )  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _timed(cases: object, workers: int) -> tuple[float, float, float, float]:
    """Return seconds of a session and of its playing, processor seconds here and in workers."""
    moments: list[float] = []

    def tell(progress: Progress) -> None:
        if progress.stage == "runs":
            moments.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        began, before = time.perf_counter(), os.times()
        run_experiment(cases, folder, workers=workers, on_progress=tell)  # type: ignore[arg-type]
        whole_s = time.perf_counter() - began
    used = [after - then for after, then in zip(os.times(), before, strict=True)]
    return whole_s, moments[-1] - moments[0], sum(used[:2]), sum(used[2:4])


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(required=True)
    killing = kinds.add_parser("kill")
    killing.add_argument("--kills", type=int, default=200)
    killing.add_argument("--seeds", type=int, default=12)
    killing.add_argument("--seed", type=int, default=0)
    killing.add_argument("--engine", default="local")
    killing.add_argument("--longest", type=float, default=4.0)
    killing.set_defaults(do=kill)
    speeding = kinds.add_parser("speed")
    speeding.add_argument("--runs", type=int, default=10_000)
    speeding.add_argument("--tasks", type=int, default=1000)
    speeding.add_argument("--rounds", type=int, default=3)
    speeding.add_argument("--chance", default="noise", choices=CHANCES)
    speeding.add_argument("--workers", default="1,2")
    speeding.set_defaults(do=speed)
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
