"""The work of one worker: plan a case, or play a batch of runs of a plan."""

from __future__ import annotations

import gzip
import math
import time
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import AutoscaleError, InfeasibleError, InputError, LimitError
from simulator.experiments.cases import StreamCase
from simulator.experiments.store import FIGURES, PlanRecord, Rows
from simulator.machine import LOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.model.workflow import Workflow
    from autoscale.plan.plan import Plan
    from simulator.chance import Chance
    from simulator.experiments.spec import Planner


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanJob:
    """A case to plan.

    Parameters
    ----------
    key
        The case.
    problem, setting
        What to plan and how.
    """

    key: str
    problem: Problem
    setting: Planner


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Runs of a cell to play.

    Parameters
    ----------
    cell, key
        Number of the cell in the store, and its key.
    what
        The plan to play, or the scenario and its policy.
    luck
        The chance.
    early
        Whether tasks start before their planned start where they can.
    seed, replication
        Luck of each run, shape (runs,).
    """

    cell: int
    key: str
    what: Plan | StreamCase
    luck: Chance
    early: bool
    seed: IntArray
    replication: IntArray

    def __len__(self) -> int:
        return int(self.seed.size)

    def part(self, which: slice) -> Batch:
        """Return some of the runs."""
        return Batch(
            cell=self.cell, key=self.key, what=self.what, luck=self.luck, early=self.early,
            seed=self.seed[which], replication=self.replication[which],
        )  # fmt: skip


def make_plan(job: PlanJob) -> PlanRecord:
    """Plan a case; whatever goes wrong is part of the record."""
    import msgspec

    from autoscale.formats.plan_json import plan_document
    from autoscale.optimize.planner import solve

    setting = job.setting
    _warm(setting.planner)
    began = time.perf_counter()

    def record(status: str, error: str) -> PlanRecord:
        return PlanRecord(status=status, error=error, seconds=time.perf_counter() - began)

    try:
        plan = solve(
            job.problem, planner=setting.planner, seed=setting.seed,
            time_limit_s=float(setting.time_limit), gap=float(setting.gap),
        )  # fmt: skip
        data = gzip.compress(msgspec.json.encode(plan_document(plan)), 6, mtime=0)
    except (InfeasibleError, LimitError) as error:
        return record("infeasible", str(error))
    except Exception as error:
        return record("failed", _told(error))
    found = plan.certificate
    return PlanRecord(
        status="done",
        cost_usd=plan.cost_usd,
        makespan_s=plan.makespan_s,
        objective=None if found is None else found.objective,
        lower_bound=None if found is None else found.lower_bound,
        seconds=time.perf_counter() - began,
        document=data,
    )


@cache
def _warm(planner: str) -> None:
    """Let a scheduler plan two tasks, so that compiling and loading count in nobody's limit."""
    from autoscale.schedulers import SCHEDULERS

    if planner not in SCHEDULERS:  # ours see to it themselves
        return
    from autoscale.model.catalog import Catalog, InstanceType
    from autoscale.model.problem import Problem
    from autoscale.model.workflow import WorkflowBuilder
    from autoscale.optimize.compare import compare

    builder = WorkflowBuilder("warm").add("a", runtime_s=1.0).add("b", runtime_s=1.0, parents=["a"])
    machine = InstanceType(name="one", vcpus=1, memory_gib=1.0, price_usd_per_hour=1.0)
    tiny = Problem(workflow=builder.build(), catalog=Catalog((machine,)), deadline_s=1e3)
    compare(tiny, (planner,), time_limit_s=1.0)


def stored_plan(document: bytes, workflow: Workflow) -> Plan:
    """Return the plan that a record's document describes."""
    import msgspec

    from autoscale.formats.plan_decoding import plan_from_document

    return plan_from_document(msgspec.json.decode(gzip.decompress(document)), workflow, "plan")


def play(batch: Batch) -> Rows:
    """Play the runs of a batch; one that fails is part of the result, and the rest goes on."""
    began = time.process_time()  # what else the machine does is no reason for smaller batches
    figures = np.full((len(batch), len(FIGURES)), np.nan)
    errors: dict[int, tuple[str, str]] = {}
    play_one = _player(batch)
    pairs = zip(batch.seed.tolist(), batch.replication.tolist(), strict=True)
    for row, (seed, replication) in enumerate(pairs):
        try:
            found, reason = play_one(seed, replication)
        except Exception as error:
            errors[row] = ("failed", _told(error))
            continue
        figures[row, : found.size] = found
        if reason is not None:
            errors[row] = ("done", reason)
    seconds = time.process_time() - began
    return Rows(
        seed=batch.seed, replication=batch.replication, figures=figures, errors=errors,
        seconds=seconds,
    )  # fmt: skip


def play_all(batches: tuple[Batch, ...]) -> tuple[Rows, ...]:
    """Play several batches one after another."""
    return tuple(play(batch) for batch in batches)


def failed_rows(batch: Batch, error: str) -> Rows:
    """Return a batch's rows where all of it failed for one reason."""
    return Rows(
        seed=batch.seed,
        replication=batch.replication,
        figures=np.full((len(batch), len(FIGURES)), np.nan),
        errors=dict.fromkeys(range(len(batch)), ("failed", error)),
        seconds=0.0,
    )


def _player(batch: Batch) -> Callable[[int, int], tuple[FloatArray, str | None]]:
    """Return what plays a run: its figures, and why it was given up if it was."""
    from simulator.replay import Kernel, figures_of, kernel_knows
    from simulator.running import simulate

    if isinstance(batch.what, StreamCase):
        return partial(_stream_figures, batch.what)
    plan, luck, early = batch.what, batch.luck, batch.early
    kernel: Kernel | None = None

    def play_one(seed: int, replication: int) -> tuple[FloatArray, str | None]:
        nonlocal kernel
        if kernel_knows(luck):
            if kernel is None:
                kernel = Kernel(plan, luck, seed, early=early)
            kernel.reseed(seed)
            found = kernel.play(replication)
            if found is not None:
                return found, None
        result = simulate(plan, luck, seed=seed, run=replication, early=early)
        return figures_of(plan, result), result.reason

    return play_one


def _stream_figures(case: StreamCase, seed: int, replication: int) -> tuple[FloatArray, str | None]:
    """Let a policy run a stream: its figures, and why it was stopped if it was."""
    from simulator.streaming.report import JobRecords
    from simulator.streams import run_policy

    scenario = case.source
    stream = scenario.stream(seed)
    policy = case.maker(terms=scenario.terms(seed))
    result = run_policy(
        stream.jobs, policy, scenario.luck, seed=seed, run=replication, limit_s=scenario.limit_s,
        until_s=scenario.horizon_s if scenario.is_ensemble else math.inf,
    )  # fmt: skip
    if result.reason is not None:
        raise InputError(f"stopped: {result.reason}")
    jobs = JobRecords.of(stream, result)
    due = ~np.isnan(jobs.deadline_s)
    ended = ~np.isnan(jobs.end_s)
    figures = {
        "cost_usd": result.cost_usd,
        "makespan_s": result.makespan_s,
        "attempts": result.tasks.attempts.sum(),
        "machines": result.n_leases,
        "lost_machines": np.isin(result.leases.outcome, LOST).sum(),
        "busy_vcpu_s": result.leases.busy_vcpu_s.sum(),
        "leased_vcpu_s": np.nansum(result.leased_vcpu_s),
        "tasks": len(result.problem.workflow),
        "misses": jobs.missed.sum() / due.sum() if due.any() else math.nan,
        "turnaround_s": jobs.turnaround_s[ended].mean() if ended.any() else math.nan,
        "tardiness_s": jobs.tardiness_s[ended].mean() if ended.any() else math.nan,
    }
    return np.array([float(figures.get(name, math.nan)) for name in FIGURES]), None


def _told(error: Exception) -> str:
    """Return an error as text for the table; an interrupt in disguise is raised as one."""
    if isinstance(error, (AutoscaleError, InputError)):
        return str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):  # it hit compiled code
            raise KeyboardInterrupt from None
        cause = cause.__cause__
    return f"{type(error).__name__}: {error}"
