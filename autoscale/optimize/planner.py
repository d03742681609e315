"""From a problem to a certified plan: the one verb behind the command line and notebooks."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InfeasibleError, InputError, LimitError, unknown
from autoscale.lp.types import reduced
from autoscale.lp.work import METHOD, SAFETY, work_bound_usd
from autoscale.model.arrays import frozen
from autoscale.optimize.budget import CHAIN, plan_within_budget
from autoscale.optimize.exact import plan_exact
from autoscale.optimize.lp_planner import plan_lp
from autoscale.optimize.named import plan_named
from autoscale.optimize.refusals import no_less_time, refuse_both, refuse_early
from autoscale.optimize.starts import MANY_TASKS
from autoscale.optimize.warm import warm_kernels
from autoscale.plan.check import check_plan
from autoscale.plan.plan import Certificate, Plan, Provenance
from autoscale.schedulers import SCHEDULERS, about_scheduler
from autoscale.schedulers.about import About
from autoscale.units import COST_TOL_USD, format_duration, format_money

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import Int32Array
    from autoscale.model.problem import Problem

OURS = {
    "lp": About(
        goal="pareto",
        summary="linear program over time, its rounding, and improvement until the time limit",
    ),
    "exact": About(
        goal="deadline",
        summary="constraint programming after planner lp, to the optimum of small workflows",
    ),
}
"""Planners that are not schedulers."""

PLANNERS = (*OURS, *SCHEDULERS)
"""Name of every planner."""

CERTIFYING = {"lp": "HiGHS", "exact": "CP-SAT"}
"""Planners that search for a bound of their own, and what solves for it."""

LARGE_TABLE = 2_000
"""Durations (classes of tasks times types) beyond which dominated types are left out at once."""


def solve(
    problem: Problem,
    *,
    planner: str = "lp",
    seed: int = 0,
    time_limit_s: float = 20.0,
    gap: float = 0.01,
    on_progress: Callable[[str], None] | None = None,
) -> Plan:
    """Return a checked plan for the problem, with a certified lower bound.

    Parameters
    ----------
    problem
        With a deadline: least cost. With a budget only: least makespan. With both: least cost,
        feasible for both. With neither: least cost when time is free (see ``pareto_front``).
    planner
        A name from ``PLANNERS``.
    seed
        Seed of all randomness.
    time_limit_s
        Seconds after which no further attempt is begun.
    gap
        Planners ``lp`` and ``exact`` stop once the plan is within this gap of the bound.
    on_progress
        Called with a line of text when something is found.

    Raises
    ------
    InputError
        Unknown planner, with the nearest known ones.
    InfeasibleError
        No plan can meet the goal (certified), or a simple planner's plan does not.
    LimitError
        No plan for the goal was found, though none is ruled out.
    """
    require_planner(planner)
    if planner in CERTIFYING:
        warm_kernels(many=len(problem.workflow) >= MANY_TASKS)
    began = time.perf_counter()
    whole, problem, offered = problem, *_without_dominated(problem)
    refuse_early(problem)
    ask = _Ask(planner, seed, time_limit_s, gap, on_progress or (lambda line: None))
    quickest = problem.budget_usd is not None and problem.deadline_s is None
    plan, certificate = (_quickest if quickest else _cheapest)(problem, ask)
    elapsed = time.perf_counter() - began
    provenance = Provenance(
        planner=planner,
        seed=seed,
        solver=CERTIFYING.get(planner, ""),
        planning_seconds=round(elapsed, 3),
    )
    plan = plan.replace(
        problem=whole,
        lease_type=frozen(offered[plan.lease_type], np.int32),
        certificate=certificate,
        provenance=provenance,
    )
    _refuse_missed(plan)
    return plan


@dataclass(frozen=True, slots=True)
class _Ask:
    """How a plan is asked for; see :func:`solve`."""

    planner: str
    seed: int
    time_limit_s: float
    gap: float
    tell: Callable[[str], None]


def _without_dominated(problem: Problem) -> tuple[Problem, Int32Array]:
    """Return a large problem on fewer types, and the catalogue index of each type."""
    everything = np.arange(len(problem.catalog), dtype=np.int32)
    if len(problem.class_member) * len(problem.catalog) <= LARGE_TABLE:
        return problem, everything
    fewer, index = reduced(problem)
    return fewer, frozen(index, np.int32)


def about_planner(name: str) -> About:
    """Return what a planner says of itself; the name must be one of ``PLANNERS``."""
    return OURS[name] if name in OURS else about_scheduler(name)


def require_planner(name: str) -> None:
    """Refuse an unknown planner.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones.
    """
    if name not in PLANNERS:
        raise InputError(unknown("planner", name, PLANNERS))


def _quickest(problem: Problem, ask: _Ask) -> tuple[Plan, Certificate]:
    """Return a plan within the budget, and its certificate."""
    if ask.planner == "exact":
        raise InputError(
            "planner 'exact' minimises cost and needs a deadline; planner 'lp' takes a budget alone"
        )
    if ask.planner != "lp":
        plan = _named(problem, ask)
        bound = SAFETY * problem.least_makespan_s
        return plan, Certificate(objective="makespan", lower_bound=bound, method=CHAIN)
    plan, bound, method = plan_within_budget(
        problem,
        seed=ask.seed,
        time_limit_s=ask.time_limit_s,
        gap=ask.gap,
        tell=lambda makespan, cost, least: ask.tell(
            f"{format_duration(makespan)} for {format_money(cost)}, at least "
            f"{format_duration(least)}"
        ),
    )
    return plan, Certificate(objective="makespan", lower_bound=bound, method=method)


def _cheapest(problem: Problem, ask: _Ask) -> tuple[Plan, Certificate]:
    """Return a plan for the deadline, if there is one, and its certificate."""
    if ask.planner not in CERTIFYING:
        plan = _named(problem, ask)
        bound, method = work_bound_usd(problem), METHOD
    else:
        ends = time.perf_counter() + ask.time_limit_s
        search = plan_exact if ask.planner == "exact" else plan_lp
        plan, bound, method = search(
            problem,
            seed=ask.seed,
            time_limit_s=ask.time_limit_s,
            gap=ask.gap,
            tell=lambda cost, least: ask.tell(_progress(cost, least)),
        )
        budget = problem.budget_usd
        if budget is not None and plan.cost_usd > budget + COST_TOL_USD:
            plan = _both_met(plan, bound, ask, max(0.25 * ask.time_limit_s, ends - _now()))
    return plan, Certificate(objective="cost", lower_bound=bound, method=method)


def _both_met(plan: Plan, bound_usd: float, ask: _Ask, time_limit_s: float) -> Plan:
    """Return a plan for deadline and budget where the cheapest one found is too dear.

    Searching from the budget's side may find one; what it finds is good for the message otherwise.
    """
    problem = plan.problem
    quickest, least = None, problem.least_makespan_s
    with suppress(LimitError):
        quickest, least, _ = plan_within_budget(problem, seed=ask.seed, time_limit_s=time_limit_s)
    if quickest is None or quickest.makespan_s > (problem.deadline_s or 0.0):
        refuse_both(plan, bound_usd, quickest, least)
    return quickest


def _progress(cost_usd: float, bound_usd: float) -> str:
    gap = f", gap {cost_usd / bound_usd - 1:.1%}" if bound_usd > 0 else ""
    return f"{format_money(cost_usd)}, at least {format_money(bound_usd)}{gap}"


def _named(problem: Problem, ask: _Ask) -> Plan:
    """Return what a scheduler of the literature makes of the problem."""
    return plan_named(
        problem, ask.planner, seed=ask.seed, time_limit_s=ask.time_limit_s, tell=ask.tell
    )


def _now() -> float:
    return time.perf_counter()


def _refuse_missed(plan: Plan) -> None:
    """Refuse a plan that misses the goal; a defect in planner ``lp``, a limit of simple ones."""
    problem = plan.problem
    wrong = check_plan(problem, plan)
    if not wrong:
        return
    least, bound = problem.least_makespan_s, work_bound_usd(problem)
    raise InfeasibleError(
        f"planner {plan.provenance.planner!r} found no plan for the goal: {wrong[0]}. Its plan "
        f"takes {format_duration(plan.makespan_s)} and costs {format_money(plan.cost_usd)}; what "
        f"is certain is that no plan takes less than {no_less_time(least)} or costs less than "
        f"{format_money(bound)}. Another planner or a looser goal may help",
        least_makespan_s=least,
        least_cost_usd=bound,
    )
