"""What is said when a goal cannot be met: what is certain, what limits it, what would do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from autoscale.errors import InfeasibleError, LimitError
from autoscale.lp.work import SAFETY, work_bound_usd
from autoscale.model import graph
from autoscale.units import COST_TOL_USD, TIME_TOL_S, format_duration, format_money

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

CHAIN_SHOWN = 5
"""Tasks of the critical path that a message names."""


def refuse_early(problem: Problem) -> None:
    """Refuse a deadline before the critical path, or a budget below the cost of the work.

    Raises
    ------
    InfeasibleError
        With the certified least makespan or cost.
    """
    least, deadline = problem.least_makespan_s, problem.deadline_s
    if deadline is not None and deadline < least - TIME_TOL_S:
        raise InfeasibleError(
            f"no plan can end by the deadline of {format_duration(deadline)} ({deadline:.6g} s): "
            f"{limiting_text(problem)}; allow at least {enough_time(least)} ({least:.6g} s)",
            least_makespan_s=least,
        )
    bound, budget = work_bound_usd(problem), problem.budget_usd
    if budget is not None and budget + COST_TOL_USD < bound:
        raise InfeasibleError(
            f"no plan can cost at most the budget of {format_money(budget)}: the work alone costs "
            f"{format_money(bound)} on the cheapest fitting types of {problem.catalog.name}, "
            f"{dearest_text(problem)}; allow at least {enough_money(bound)}",
            least_cost_usd=bound,
        )


def refuse_both(
    plan: Plan, bound_usd: float, quickest: Plan | None, quickest_bound_s: float
) -> NoReturn:
    """Refuse a deadline and a budget that cannot be met together, or were not.

    Parameters
    ----------
    plan
        The cheapest plan found that meets the deadline; it exceeds the budget.
    bound_usd
        Lower bound on the cost of any plan that meets the deadline, USD.
    quickest
        The quickest plan found within the budget, or None.
    quickest_bound_s
        Lower bound on the makespan of any plan within the budget, seconds.

    Raises
    ------
    InfeasibleError
        The bound exceeds the budget too.
    LimitError
        It does not.
    """
    problem = plan.problem
    deadline, budget = problem.deadline_s or math.inf, problem.budget_usd or 0.0
    if bound_usd > budget + COST_TOL_USD:  # so whatever is within the budget ends later
        quickest_bound_s = max(quickest_bound_s, SAFETY * deadline)
    impossible = bound_usd > budget + COST_TOL_USD or quickest_bound_s > deadline * (1 + 1e-6)
    by_then = f"the cheapest plan found that ends by then costs {format_money(plan.cost_usd)}"
    if quickest is None:
        within = "no plan within the budget was found for any deadline"
        either = f"allow {enough_money(plan.cost_usd)}"
    else:
        within = (
            f"the quickest plan found within the budget takes "
            f"{format_duration(quickest.makespan_s)} (none takes less than "
            f"{no_less_time(quickest_bound_s)})"
        )
        either = (
            f"allow a budget of {enough_money(plan.cost_usd)}, or a deadline of "
            f"{enough_time(quickest.makespan_s)}"
        )
    goals = f"the deadline of {format_duration(deadline)} and the budget of {format_money(budget)}"
    if impossible:
        raise InfeasibleError(
            f"{goals} contradict each other: no plan that ends by the deadline costs less than "
            f"{format_money(bound_usd)}. {by_then.capitalize()}; {within}; {either}",
            least_makespan_s=quickest_bound_s,
            least_cost_usd=bound_usd,
        )
    raise LimitError(
        f"found no plan for both {goals}, though none is ruled out: {by_then} (none costs less "
        f"than {format_money(bound_usd)}); {within}; {either}, or more time"
    )


def refuse_for_quotas(problem: Problem, soonest: Plan, impossible: bool) -> NoReturn:
    """Refuse a deadline for which no plan within the quotas was found.

    Parameters
    ----------
    problem
        With a deadline and quotas.
    soonest
        A plan within the quotas; it ends too late.
    impossible
        Whether no plan can meet both.

    Raises
    ------
    InfeasibleError
        None can.
    LimitError
        That is not known.
    """
    deadline = problem.deadline_s or math.inf
    quotas = " and ".join(map(str, problem.quotas))
    goals = f"the deadline of {format_duration(deadline)} and quota {quotas}"
    hint = f"the soonest plan found within the quota takes {format_duration(soonest.makespan_s)}"
    hint += f"; allow {enough_time(soonest.makespan_s)}, or a larger quota"
    if impossible:
        least = max(deadline, problem.least_makespan_s)
        raise InfeasibleError(
            f"{goals} contradict each other: the linear relaxation proves that no plan keeps "
            f"both; {hint}",
            least_makespan_s=least,
        )
    raise LimitError(f"found no plan for {goals}, though none is ruled out: {hint}")


def limiting_text(problem: Problem) -> str:
    """Return what makes the least makespan: a quota, or boot and the critical path."""
    held = problem.quota_work_s
    path = graph.critical_path_s(problem.workflow, problem.fastest_s)
    if max(held, default=0.0) <= path:
        return chain_text(problem)
    quota = problem.quotas[int(np.argmax(held))]
    return (
        f"booting takes {format_duration(problem.boot_s)} and quota {quota} holds all the work "
        f"back to {format_duration(max(held))} at least (the critical path takes "
        f"{format_duration(path)})"
    )


def chain_text(problem: Problem) -> str:
    """Return what the least makespan is made of: boot and the critical path, shortened."""
    w, names = problem.workflow, problem.catalog.names
    chain = graph.critical_path(w, problem.fastest_s)
    price = problem.catalog.price_per_s

    def told(task: int) -> str:
        duration = problem.duration_s[problem.task_class[task]]
        kind = int(np.lexsort((price, duration))[0])
        return f"{w.ids[task]} ({format_duration(float(duration[kind]))} on {names[kind]})"

    shown = [told(int(task)) for task in chain]
    if len(chain) > CHAIN_SHOWN:
        hidden = chain[CHAIN_SHOWN - 2 : -1]
        held = format_duration(float(problem.fastest_s[hidden].sum()))
        shown[CHAIN_SHOWN - 2 : -1] = [f"{hidden.size} more ({held})"]
    total = format_duration(float(problem.fastest_s[chain].sum()))
    return (
        f"booting takes {format_duration(problem.boot_s)} and the critical path on the fastest "
        f"types of {problem.catalog.name} {total}: {' -> '.join(shown)}"
    )


def dearest_text(problem: Problem) -> str:
    """Return which category most of the least cost is for, and on which type."""
    w, catalog, member = problem.workflow, problem.catalog, problem.class_member
    cost = problem.duration_s * (catalog.price_per_s / catalog.vcpus) * w.vcpus[member, None]
    kind = cost.argmin(axis=1)
    least = cost[np.arange(len(cost)), kind]
    by_category = np.bincount(w.category, weights=least[problem.task_class])
    top = int(by_category.argmax())
    tasks = w.category == top
    money = least[problem.task_class] * tasks
    share = f"{by_category[top] / max(by_category.sum(), 1e-300):.0%}"
    name = catalog.names[int(kind[problem.task_class[int(money.argmax())]])]
    return f"{share} of it for {int(tasks.sum()):,} tasks of {w.categories[top]} ({name})"


def enough_time(seconds: float) -> str:
    """Return a duration that people read and that is not less.

    Examples
    --------
    >>> enough_time(42.21), enough_time(327.7), enough_time(90061), enough_time(0)
    ('42.3s', '5m28s', '1d1h02m', '0s')
    """
    if seconds <= 0:
        return "0s"
    if seconds < 100:
        return f"{_ceil(seconds, 10.0 ** (math.floor(math.log10(seconds)) - 2)):.6g}s"
    return format_duration(_ceil(seconds, 1.0 if seconds < 86400 else 60.0))


def no_less_time(seconds: float) -> str:
    """Return a duration that people read and that is not more: for what nothing is below.

    Examples
    --------
    >>> no_less_time(42.29), no_less_time(327.7), no_less_time(90061)
    ('42.2s', '5m27s', '1d1h01m')
    """
    if seconds <= 0:
        return "0s"
    if seconds < 100:
        return f"{_floor(seconds, 10.0 ** (math.floor(math.log10(seconds)) - 2)):.6g}s"
    return format_duration(_floor(seconds, 1.0 if seconds < 86400 else 60.0))


def enough_money(usd: float) -> str:
    """Return an amount that people read and that is not less.

    Examples
    --------
    >>> enough_money(12.341), enough_money(0.0123412)
    ('$12.35', '$0.01235')
    """
    if usd >= 1 or usd <= 0:
        return format_money(_ceil(usd, 0.01))
    return format_money(_ceil(usd, 10.0 ** (math.floor(math.log10(usd)) - 3)))


def _floor(value: float, unit: float) -> float:
    """Return the largest multiple of the unit that is not more but for noise."""
    return math.floor(value / unit + 1e-9) * unit


def _ceil(value: float, unit: float) -> float:
    """Return the least multiple of the unit that is not less but for noise."""
    return math.ceil(value / unit - 1e-9) * unit
