"""From a problem to a certified plan: the one verb behind the command line and notebooks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InfeasibleError, InputError, LimitError
from autoscale.lp.types import reduced
from autoscale.lp.work import work_bound_usd
from autoscale.model.arrays import frozen
from autoscale.model.catalog import unknown
from autoscale.optimize.lp_planner import plan_lp
from autoscale.plan.check import check_plan
from autoscale.plan.plan import Certificate, Plan, Provenance
from autoscale.schedulers import SCHEDULERS, get_scheduler
from autoscale.units import TIME_TOL_S, format_duration, format_money

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import Int32Array
    from autoscale.model.problem import Problem

PLANNERS = {
    "lp": "linear program over time, its rounding, and improvement until the time limit",
    **SCHEDULERS,
}
"""Name and one-line description of every planner."""

LARGE_TABLE = 1_000_000
"""Durations (classes of tasks times types) beyond which dominated types are left out at once."""

BISECTIONS = 24
"""Deadlines tried for the least makespan within a budget."""


def solve(
    problem: Problem,
    *,
    planner: str = "lp",
    seed: int = 0,
    time_limit_s: float = 20.0,
    gap: float = 0.0,
    on_progress: Callable[[str], None] | None = None,
) -> Plan:
    """Return a checked plan for the problem, with a certified lower bound.

    Parameters
    ----------
    problem
        With a deadline: least cost. With a budget only: least makespan. With both: least cost,
        feasible for both. With neither: what the planner makes when time is free.
    planner
        A name from ``PLANNERS``.
    seed
        Seed of all randomness.
    time_limit_s
        Seconds after which no further attempt is begun.
    gap
        Planner ``lp`` stops once the plan is within this gap of the bound.
    on_progress
        Called with a line of text when something is found.

    Raises
    ------
    InputError
        Unknown planner, with the nearest known ones.
    InfeasibleError
        No plan can meet the goal (certified), or the planner's plan does not.
    LimitError
        No plan within the budget was found, though none is ruled out.
    """
    began = time.perf_counter()
    tell = on_progress or (lambda line: None)
    require_planner(planner)
    whole, problem, offered = problem, *_without_dominated(problem)
    _refuse_impossible(problem)
    bound = work_bound_usd(problem)
    method = "cheapest share of a machine per task"
    if problem.budget_usd is not None and problem.deadline_s is None:
        plan = _within_budget(problem, planner, seed, began + time_limit_s, tell)
        certificate = Certificate(
            objective="makespan",
            lower_bound=problem.least_makespan_s * (1 - 1e-9),
            method="boot plus the critical path on the fastest types",
        )
    else:
        if planner == "lp":
            plan, bound, method = plan_lp(
                problem,
                seed=seed,
                time_limit_s=time_limit_s,
                gap=gap,
                tell=lambda cost, least: tell(_progress(cost, least)),
            )
        else:
            plan = get_scheduler(planner)(problem, rng=np.random.default_rng(seed))
        certificate = Certificate(objective="cost", lower_bound=bound, method=method)
    elapsed = time.perf_counter() - began
    provenance = Provenance(
        planner=planner,
        seed=seed,
        solver="HiGHS" if planner == "lp" else "",
        planning_seconds=round(elapsed, 3),
    )
    plan = plan.replace(
        problem=whole,
        lease_type=offered[plan.lease_type],
        certificate=certificate,
        provenance=provenance,
    )
    _refuse_missed(plan, bound)
    return plan


def _without_dominated(problem: Problem) -> tuple[Problem, Int32Array]:
    """Return a large problem on fewer types, and the catalogue index of each type."""
    everything = np.arange(len(problem.catalog), dtype=np.int32)
    if len(problem.class_member) * len(problem.catalog) <= LARGE_TABLE:
        return problem, everything
    fewer, index = reduced(problem)
    return fewer, frozen(index, np.int32)


def require_planner(name: str) -> None:
    """Refuse an unknown planner.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones.
    """
    if name not in PLANNERS:
        raise InputError(unknown("planner", name, list(PLANNERS)))


def _progress(cost_usd: float, bound_usd: float) -> str:
    gap = f", gap {cost_usd / bound_usd - 1:.1%}" if bound_usd > 0 else ""
    return f"{format_money(cost_usd)}, at least {format_money(bound_usd)}{gap}"


def _refuse_impossible(problem: Problem) -> None:
    least, deadline = problem.least_makespan_s, problem.deadline_s
    if deadline is not None and deadline < least - TIME_TOL_S:
        raise InfeasibleError(
            f"no plan can end by the deadline of {format_duration(deadline)} ({deadline:.6g} s): "
            f"booting and the critical path on the fastest types of {problem.catalog.name} take "
            f"{format_duration(least)} ({least:.6g} s); allow at least that",
            least_makespan_s=least,
        )
    bound = work_bound_usd(problem)
    if problem.budget_usd is not None and problem.budget_usd < bound:
        raise InfeasibleError(
            f"no plan can cost at most the budget of {format_money(problem.budget_usd)}: the work "
            f"alone costs {format_money(bound)} on the cheapest fitting types of "
            f"{problem.catalog.name}; allow at least that",
            least_cost_usd=bound,
        )


def _within_budget(
    problem: Problem, planner: str, seed: int, stop_at: float, tell: Callable[[str], None]
) -> Plan:
    """Bisect the deadline for the tightest one that the planner can afford."""
    budget = problem.budget_usd or 0.0
    # Planner lp bisects with quick list schedules; its improvement is for costs.
    schedule = get_scheduler("list" if planner == "lp" else planner)

    def attempt(deadline_s: float | None) -> Plan:
        relaxed = problem.replace(deadline_s=deadline_s, budget_usd=None)
        return schedule(relaxed, rng=np.random.default_rng(seed))

    best = attempt(None)
    if best.cost_usd > budget:
        raise LimitError(
            f"found no plan within the budget of {format_money(budget)}: the cheapest that "
            f"planner {planner!r} made costs {format_money(best.cost_usd)}; none is ruled out "
            f"above {format_money(work_bound_usd(problem))}"
        )
    low, high = problem.least_makespan_s, best.makespan_s
    for _ in range(BISECTIONS):
        if high - low <= 1e-4 * high or time.perf_counter() > stop_at:
            break
        middle = 0.5 * (low + high)
        tried = attempt(middle)
        if tried.cost_usd <= budget and tried.makespan_s < best.makespan_s:
            best = tried
            tell(f"{format_duration(best.makespan_s)} for {format_money(best.cost_usd)}")
        if tried.cost_usd <= budget:
            high = min(middle, tried.makespan_s)
        else:
            low = middle
    return best


def _refuse_missed(plan: Plan, bound: float) -> None:
    problem = plan.problem
    wrong = check_plan(problem, plan)
    if not wrong:
        return
    least = problem.least_makespan_s
    raise InfeasibleError(
        f"planner {plan.provenance.planner!r} found no plan for the goal: {wrong[0]}. Its plan "
        f"takes {format_duration(plan.makespan_s)} and costs {format_money(plan.cost_usd)}; what "
        f"is certain is that no plan takes less than {format_duration(least)} or costs less than "
        f"{format_money(bound)}. Another planner or a looser goal may help",
        least_makespan_s=least,
        least_cost_usd=bound,
    )
