"""Planner ``exact``: small workflows to the optimum, by constraint programming after planner lp.

Planner ``lp`` gives a plan and a bound; types that no better plan can lease, by the prices of the
relaxation, are left out; the rest is put on a grid of whole time steps and given to CP-SAT
(``autoscale.lp.cpsat``). On the grid durations, prices and needs are rounded down and capacities
and the deadline up: what CP-SAT proves there holds for every real plan. Its plans are decoded with
real durations; what rounding broke is dropped.
"""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError, require_interrupt
from autoscale.lp.bound import CostBound
from autoscale.lp.cpsat import GridProblem
from autoscale.lp.useful import needless
from autoscale.lp.work import FORGIVEN, SAFETY, forgiving_deadline_s
from autoscale.optimize.lp_planner import plan_lp
from autoscale.plan.check import check_plan
from autoscale.plan.decode import decode, tighten

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)

MOST_TASKS = 60
"""Larger workflows are refused: constraint programming gets nowhere with them."""

FIRST_PART = 0.3
"""Part of the time limit that planner lp may take."""

STEPS = (1.0, 0.5, 0.1, 0.01)
"""Steps, in seconds, of which one is taken if all times are whole multiples of it."""

MOST_STEPS = 50_000
"""Else the time until the deadline is cut in so many."""

UNITS = 1e9
"""Whole units of money that the plan at hand costs."""

MIB = 2**20


@dataclass(frozen=True, slots=True)
class _Grid:
    """What a step, a unit of money and a type of the grid problem stand for."""

    step_s: float
    unit_usd: float
    kinds: IntArray


def plan_exact(
    problem: Problem,
    *,
    seed: int,
    time_limit_s: float,
    gap: float = 0.0,
    tell: Callable[[float, float], None] | None = None,
) -> tuple[Plan, float, str]:
    """Return (plan, lower bound on cost in USD, how the bound was found).

    Parameters are those of :func:`autoscale.optimize.lp_planner.plan_lp`.

    Raises
    ------
    InputError
        More than ``MOST_TASKS`` tasks, no deadline, or OR-tools is not installed.
    """
    _require_possible(problem)
    limit = time.perf_counter() + time_limit_s
    report = tell or (lambda cost, bound: None)
    plan, bound, method = plan_lp(
        problem, seed=seed, time_limit_s=FIRST_PART * time_limit_s, gap=gap, tell=report
    )
    if plan.cost_usd * SAFETY <= bound * (1 + gap) * (1 + 1e-9):
        return plan, bound, method
    kinds = _useful_types(problem, plan, limit)
    grid, given = _on_grid(problem, plan, kinds, max(1.0, limit - time.perf_counter()), seed)
    best, proven = plan, bound
    for news in _solutions(given, time.perf_counter() + given.time_limit_s):
        if "task_lease" in news:
            found = _decoded(problem, grid, news)
            best = found if found is not None and found.cost_usd < best.cost_usd else best
        usd = SAFETY * float(news.get("bound", 0.0)) * grid.unit_usd
        if usd > proven:
            proven, method = usd, f"CP-SAT in steps of {grid.step_s:.3g} s"
        report(best.cost_usd, min(proven, best.cost_usd))
    return best, min(proven, best.cost_usd), method


def _require_possible(problem: Problem) -> None:
    if find_spec("ortools") is None:
        raise InputError(
            "planner 'exact' needs OR-tools; install it with: pip install 'autoscale[exact]'"
        )
    if len(problem.workflow) > MOST_TASKS:
        raise InputError(
            f"planner 'exact' is for up to {MOST_TASKS} tasks, and workflow "
            f"{problem.workflow.name!r} has {len(problem.workflow):,}; planner 'lp' takes more"
        )
    if problem.deadline_s is None:
        raise InputError("planner 'exact' needs a deadline; planner 'lp' does without")


def _useful_types(problem: Problem, plan: Plan, limit: float) -> IntArray:
    """Return the types that a plan cheaper than the one at hand might lease."""
    used = np.unique(plan.lease_type).astype(np.int64)
    search = CostBound(problem, used_types=used, clock_limit_s=limit, cost_usd=plan.cost_usd)
    root = search.root()
    out = needless(root.best, plan.cost_usd)
    kinds = search.relaxer.types.index
    kept = np.union1d(kinds[~out[kinds]] if out.size else kinds, used)
    return kept.astype(np.int64)


def _on_grid(
    problem: Problem, plan: Plan, kinds: IntArray, time_limit_s: float, seed: int
) -> tuple[_Grid, GridProblem]:
    """Return the problem on the grid, and what the grid stands for."""
    w, catalog, billing = problem.workflow, problem.catalog, problem.billing
    deadline = problem.deadline_s or 0.0
    duration = problem.duration_s[np.ix_(problem.task_class, kinds)]
    step = _step_s(problem, duration)
    exact = step in STEPS
    # Where steps are exact, nothing is forgiven: the grid is the problem.
    forgiven = 1.0 if exact else FORGIVEN
    latest = deadline if exact else forgiving_deadline_s(deadline)
    fits = np.isfinite(duration)
    steps = np.where(fits, np.floor(np.where(fits, duration, 0.0) * forgiven / step + 1e-6), -1)
    unit = plan.cost_usd / UNITS
    price = catalog.price_per_s[kinds]
    one = price * billing.billed_s(problem.boot_s + float(duration[fits].min(initial=0.0)))
    quantum = math.floor(billing.quantum_s / step + 1e-6)
    position = {int(k): number for number, k in enumerate(kinds)}
    given = GridProblem(
        duration=steps.astype(int).tolist(),
        parents=[w.parents_of(i).tolist() for i in range(len(w))],
        needs=np.stack([w.vcpus, w.memory_bytes // MIB, w.gpus], axis=1).astype(int).tolist(),
        capacities=np.stack(
            [catalog.vcpus, np.ceil(catalog.memory_bytes / MIB), catalog.gpus], axis=1
        )[kinds]
        .astype(int)
        .tolist(),
        boot=math.floor(problem.boot_s / step + 1e-6),
        horizon=math.floor(latest / step + 1e-6) if exact else math.ceil(latest / step),
        quantum=max(quantum, 1),
        minimum=math.floor(billing.minimum_s / step + 1e-6),
        price=np.floor(price * step / unit).astype(int).tolist(),
        most_leases=np.minimum(np.floor(plan.cost_usd / np.maximum(one, 1e-12) + 1e-6), len(w))
        .astype(int)
        .tolist(),
        quotas=[
            (weights.tolist(), int(most))
            for weights, most in zip(
                problem.quota_weights[kinds].T, problem.quota_limits, strict=True
            )
        ],
        most_cost=math.ceil(UNITS),
        hint=[
            (int(lease), position[int(plan.lease_type[lease])], math.floor(start / step + 1e-6))
            for lease, start in zip(plan.task_lease, plan.task_start_s, strict=True)
        ],
        time_limit_s=time_limit_s,
        seed=seed,
    )
    return _Grid(step, unit, kinds), given


def _step_s(problem: Problem, duration: Any) -> float:
    """Return the largest step of which all times are whole multiples, or a small one."""
    billing, deadline = problem.billing, problem.deadline_s or 0.0
    rules = [problem.boot_s, deadline, billing.quantum_s, billing.minimum_s]
    times = np.concatenate([duration[np.isfinite(duration)], rules])
    for step in STEPS:
        whole = np.abs(times / step - np.round(times / step)) < 1e-7
        if whole.all() and deadline / step < 4 * MOST_STEPS:
            return step
    return deadline / MOST_STEPS


def _decoded(problem: Problem, grid: _Grid, news: dict[str, Any]) -> Plan | None:
    """Return a plan of the grid with real durations; None where it then misses the goal."""
    start = np.array(news["start"])
    types = grid.kinds[np.array(news["lease_type"], dtype=np.int64)]
    level = problem.workflow.level
    order = np.lexsort((np.arange(start.size), level, start))
    plans = [
        tighten(decode(problem, types, news["task_lease"], order, not_before_s=floor))
        for floor in (None, start * grid.step_s)
    ]
    right = [plan for plan in plans if not check_plan(problem, plan)]
    return min(right, key=lambda plan: plan.cost_usd, default=None)


def _solutions(given: GridProblem, limit: float) -> Any:
    """Yield the solver's news; its failure or an interrupt ends them, and costs nothing else."""
    import msgspec

    command = [sys.executable, "-m", "autoscale.lp.cpsat"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        # The solver keeps the limit itself; this is for one that does not.
        watch = threading.Timer(max(1.0, limit + 5.0 - time.perf_counter()), process.kill)
        watch.start()
        try:
            process.stdin.write(given.to_json())
            process.stdin.close()
            for line in process.stdout:
                yield msgspec.json.decode(line)
        except (KeyboardInterrupt, SystemError) as error:
            require_interrupt(error)
            logger.warning("interrupted: the best plan so far is kept")
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("CP-SAT failed, its last plan and bound are kept: %s", error)
        finally:
            watch.cancel()
            process.kill()
    if process.returncode not in (0, -9):
        logger.warning("CP-SAT's process ended with exit code %s", process.returncode)
