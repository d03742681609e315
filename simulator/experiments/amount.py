"""How long an experiment will take, roughly, before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.experiments.cases import StreamCase
from simulator.replay import kernel_knows

if TYPE_CHECKING:
    from simulator.experiments.cases import Case, Cases, Cell

KERNEL_S, ENGINE_S = 3e-7, 6e-5
"""Seconds of playing a task, by the compiled kernel and by the engine, as measured on one core."""

RUN_S = 2e-5
"""Seconds of a run besides its tasks: its row in the table."""

QUICK_S = 2e-4
"""Seconds a task that a scheduler of the literature takes, as a rule; up to its time limit."""

STREAM_S = 1.0
"""Seconds of a run of a stream, to begin with; streams and policies differ a hundredfold."""

CLOCKED = ("lp", "exact")
"""Planners that search until the time limit unless they close the gap before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What an experiment amounts to.

    Parameters
    ----------
    plans, runs
        How many.
    plan_s, run_s
        Processor seconds of planning, at most as a rule, and of playing.
    """

    plans: int
    runs: int
    plan_s: float
    run_s: float

    def wall_s(self, workers: int) -> float:
        """Return the wall time with so many workers, in seconds."""
        return (self.plan_s + self.run_s) / workers


def estimate(cases: Cases) -> Estimate:
    """Return what an experiment amounts to."""
    return Estimate(
        plans=len(cases.plans),
        runs=cases.n_runs,
        plan_s=sum(seconds_of_plan(case) for case in cases.plans),
        run_s=sum(len(cell) * seconds_of_run(cell) for cell in cases.cells),
    )


def seconds_of_plan(case: Case) -> float:
    """Return about how long planning a case takes, in seconds."""
    limit_s = float(case.setting.time_limit)
    if case.setting.planner in CLOCKED:
        return limit_s
    return min(limit_s, QUICK_S * len(case.problem.workflow))


def seconds_of_run(cell: Cell) -> float:
    """Return about how long a run of a cell takes, in seconds."""
    if isinstance(cell.case, StreamCase):
        return STREAM_S
    each_s = KERNEL_S if kernel_knows(cell.luck) else ENGINE_S
    return RUN_S + each_s * len(cell.case.problem.workflow)
