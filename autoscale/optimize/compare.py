"""Several planners on one problem, each alone and timed."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InfeasibleError, InputError, LimitError
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from autoscale.optimize.planner import require_planner, solve
from autoscale.optimize.refusals import refuse_early
from autoscale.optimize.warm import warm_kernels
from autoscale.plan.comparison import Comparison, Outcome
from autoscale.schedulers import SCHEDULERS, get_scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autoscale.plan.plan import Certificate, Plan


def compare(
    problem: Problem,
    planners: Sequence[str],
    *,
    seed: int = 0,
    time_limit_s: float = 20.0,
    gap: float = 0.0,
    tell: Callable[[str], None] = lambda line: None,
    over: Callable[[], bool] = lambda: False,
) -> Comparison:
    """Return what each planner makes of the problem, the best first.

    Every planner runs once on a tiny problem before, so that neither compiling nor loading counts
    in its time.

    Parameters
    ----------
    problem
        With a goal, as for ``solve``.
    planners
        Names from ``PLANNERS``; each counts once.
    seed
        Seed of all randomness.
    time_limit_s
        Seconds for each planner.
    gap
        Gap to the bound at which planner ``lp`` stops.
    tell
        Called with a line of text when a planner has ended.
    over
        Whether to stop: the planners that are left do not run.

    Raises
    ------
    InputError
        Unknown planner, with the nearest known ones, or none at all.
    InfeasibleError
        No plan can meet the goal (certified).
    """
    names = tuple(dict.fromkeys(planners))
    if not names:
        raise InputError("planners: expected at least one name, got none")
    for name in names:
        require_planner(name)
    refuse_early(problem)
    outcomes: list[Outcome] = []
    certificate: Certificate | None = None
    for name in names:
        if over():
            break
        outcome, plan = _outcome(problem, name, seed, time_limit_s, gap)
        outcomes.append(outcome)
        found = None if plan is None else plan.certificate
        if found is not None:
            better = certificate is None or found.lower_bound > certificate.lower_bound
            certificate = found if better else certificate
        tell(f"{len(outcomes)} of {len(names)} planners, {name} took {outcome.seconds:.2f} s")
    unsorted = Comparison(problem=problem, outcomes=tuple(outcomes), certificate=certificate)
    ranked = sorted(
        range(len(outcomes)),
        key=lambda n: (not outcomes[n].found, np.nan_to_num(unsorted.value(outcomes[n])), n),
    )
    return Comparison(
        problem=problem, outcomes=tuple(outcomes[n] for n in ranked), certificate=certificate
    )


def _outcome(
    problem: Problem, name: str, seed: int, time_limit_s: float, gap: float
) -> tuple[Outcome, Plan | None]:
    """Return what a planner makes of the problem, and its plan if it has one for the goal."""
    _warm(name)
    began = time.perf_counter()
    try:
        plan = solve(problem, planner=name, seed=seed, time_limit_s=time_limit_s, gap=gap)
    except (InfeasibleError, InputError, LimitError) as error:
        seconds = time.perf_counter() - began
        return Outcome(planner=name, seconds=seconds, reason=str(error)), None
    outcome = Outcome(
        planner=name,
        seconds=time.perf_counter() - began,
        cost_usd=plan.cost_usd,
        makespan_s=plan.makespan_s,
        leases=plan.n_leases,
        utilisation=plan.utilisation,
    )
    return outcome, plan


def _warm(name: str) -> None:
    """Run a scheduler on two tasks: its compiled parts are loaded, or made, before it is timed."""
    if name not in SCHEDULERS:
        warm_kernels()
        return
    builder = WorkflowBuilder("warm").add("a", runtime_s=1.0).add("b", runtime_s=1.0, parents=["a"])
    machine = InstanceType(name="one", vcpus=1, memory_gib=1.0, price_usd_per_hour=1.0)
    tiny = Problem(
        workflow=builder.build(), catalog=Catalog((machine,)), deadline_s=1e3, budget_usd=1e3
    )
    get_scheduler(name)(tiny, rng=np.random.default_rng(0), time_limit_s=math.inf)
