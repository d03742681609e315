"""An independent check of a plan against the rules of the execution model.

Shares only the billing rule with the decoder: durations, capacities, precedence and costs are
computed here again, from the workflow and the catalogue, by other means (sorted events).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.units import COST_TOL_USD, TIME_TOL_S, format_duration, format_money

if TYPE_CHECKING:
    from autoscale.model.limits import Quota
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan


def check_plan(problem: Problem, plan: Plan) -> tuple[str, ...]:
    """Return what is wrong with the plan, one line each; empty when nothing is.

    Checked are durations, boot and release of leases, capacities at every moment, precedence,
    the goal (deadline, budget), and that the certificate's bound does not exceed what it bounds.
    """
    wrong = _check_shapes(problem, plan)
    if wrong:
        return tuple(wrong)
    wrong += _check_times(problem, plan)
    wrong += _check_precedence(problem, plan)
    wrong += _check_fit(problem, plan)
    wrong += _check_capacity(problem, plan)
    wrong += _check_quotas(problem, plan)
    wrong += _check_goal(problem, plan)
    return tuple(wrong)


def _check_shapes(problem: Problem, plan: Plan) -> list[str]:
    n = len(problem.workflow)
    columns = (plan.task_lease, plan.task_start_s, plan.task_end_s)
    if any(column.size != n for column in columns):
        return [f"the plan has {plan.task_lease.size} tasks, the workflow {n}"]
    if n and not 0 <= plan.task_lease.min() <= plan.task_lease.max() < plan.n_leases:
        return ["a task names a lease that does not exist"]
    types = plan.lease_type
    if types.size and not 0 <= types.min() <= types.max() < len(problem.catalog):
        return ["a lease names an instance type that the catalogue does not have"]
    times = (*columns[1:], plan.lease_start_s, plan.lease_end_s)
    if not all(np.isfinite(column).all() for column in times):
        return ["a time is not a finite number"]
    return []


def _first(problem: Problem, bad: Any, text: str) -> list[str]:
    """Return one line about the first bad task, with the count of the others."""
    if not bad.any():
        return []
    i = int(np.argmax(bad))
    more = int(bad.sum()) - 1
    return [f"task {str(problem.workflow.ids[i])!r} {text}" + (f" (+{more} more)" if more else "")]


def _required_s(problem: Problem, plan: Plan) -> Any:
    """Return how long each task must hold its lease, from the model's formula."""
    w, lease_type = problem.workflow, plan.lease_type
    kind = lease_type[plan.task_lease]
    if problem.durations_s is not None:
        return problem.durations_s[np.arange(len(w)), kind]
    types = problem.catalog.types
    speed = np.array([t.speed for t in types])[kind]
    link = np.array([t.bandwidth_bytes_per_s for t in types])[kind]
    share = np.minimum(link, problem.storage_bandwidth) * w.vcpus / problem.catalog.vcpus[kind]
    moved = (w.in_bytes + w.out_bytes) / share if problem.transfers else 0.0
    return w.runtime_s / speed + moved


def _check_times(problem: Problem, plan: Plan) -> list[str]:
    required = _required_s(problem, plan)
    held = plan.task_end_s - plan.task_start_s
    lease = plan.task_lease
    early = plan.task_start_s < plan.lease_start_s[lease] + problem.boot_s - TIME_TOL_S
    late = plan.task_end_s > plan.lease_end_s[lease] + TIME_TOL_S
    wrong = _first(
        problem, held < required - TIME_TOL_S * np.maximum(1, required), "runs too short"
    )
    wrong += _first(problem, early, "starts before its lease has booted")
    wrong += _first(problem, late, "ends after its lease")
    if (plan.lease_start_s < -TIME_TOL_S).any() or (plan.lease_end_s < plan.lease_start_s).any():
        wrong.append("a lease starts before 0 or ends before it starts")
    return wrong


def _check_precedence(problem: Problem, plan: Plan) -> list[str]:
    w = problem.workflow
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    ended = np.full(len(w), -np.inf)
    np.maximum.at(ended, child, plan.task_end_s[w.parents])
    return _first(problem, plan.task_start_s < ended - TIME_TOL_S, "starts before a parent ends")


def _check_fit(problem: Problem, plan: Plan) -> list[str]:
    w, kind = problem.workflow, plan.lease_type[plan.task_lease]
    catalog = problem.catalog
    too_small = (
        (w.vcpus > catalog.vcpus[kind])
        | (w.memory_bytes > catalog.memory_bytes[kind])
        | (w.gpus > catalog.gpus[kind])
    )
    wrong = _first(problem, too_small, "does not fit its lease's instance type")
    for rule in problem.allowed:
        of_rule = np.array([name == rule.category for name in w.categories])[w.category]
        barred = np.array([not rule.allows(t) for t in catalog])[kind]
        wrong += _first(problem, of_rule & barred, f"is on a type that {rule} leaves out")
    return wrong


def _check_quotas(problem: Problem, plan: Plan) -> list[str]:
    wrong = []
    for quota in problem.quotas:
        used, when = _leased(problem, plan, quota)
        if used.size and used.max() > quota.limit:
            x = int(np.argmax(used))
            wrong.append(
                f"quota {quota} is exceeded: {used[x]} {quota.unit} are leased at "
                f"{format_duration(max(0.0, float(when[x])))}"
            )
    return wrong


def quota_peaks(plan: Plan) -> tuple[int, ...]:
    """Return the most that each quota of the problem has counted at any moment."""
    problem = plan.problem
    leased = [_leased(problem, plan, quota)[0] for quota in problem.quotas]
    return tuple(int(used.max(initial=0)) for used in leased)


def _leased(problem: Problem, plan: Plan, quota: Quota) -> tuple[Any, Any]:
    """Return what a quota counts after each request and release, and when those are."""
    weight = quota.weights(problem.catalog)[plan.lease_type]
    # What is released at a moment makes room for what is requested then.
    when = np.concatenate([plan.lease_start_s + TIME_TOL_S, plan.lease_end_s])
    change = np.concatenate([weight, -weight])
    order = np.lexsort((change, when))
    return np.cumsum(change[order]), when[order]


def _check_capacity(problem: Problem, plan: Plan) -> list[str]:
    w, n = problem.workflow, len(problem.workflow)
    # Sort all starts and ends by lease and time; within the tolerance, ends come first.
    lease = np.concatenate([plan.task_lease, plan.task_lease])
    when = np.concatenate([plan.task_start_s + TIME_TOL_S, plan.task_end_s])
    begins = np.repeat([1, 0], n)
    order = np.lexsort((begins, when, lease))
    sign = np.where(begins == 1, 1, -1)[order]
    lasting = np.tile(plan.task_end_s - plan.task_start_s > TIME_TOL_S, 2)[order]
    capacities: dict[str, tuple[Any, Any]] = {
        "vCPUs": (w.vcpus, problem.catalog.vcpus),
        "bytes of memory": (w.memory_bytes, problem.catalog.memory_bytes),
        "GPUs": (w.gpus, problem.catalog.gpus),
    }
    for what, (need, has) in capacities.items():
        used = np.cumsum(sign * lasting * np.tile(need, 2)[order])
        over = used > has[plan.lease_type[lease[order]]] * (1 + 1e-12)
        if over.any():
            x = int(np.argmax(over))
            number = int(lease[order][x])
            return [
                f"lease {number} ({problem.catalog.names[plan.lease_type[number]]}) holds "
                f"{used[x]:g} {what} at {when[order][x]:.6g} s, more than it has"
            ]
    return []


def _check_goal(problem: Problem, plan: Plan) -> list[str]:
    wrong = []
    deadline, budget = problem.deadline_s, problem.budget_usd
    if deadline is not None and plan.makespan_s > deadline + TIME_TOL_S:
        wrong.append(
            f"the deadline of {format_duration(deadline)} is missed: the last task ends at "
            f"{format_duration(plan.makespan_s)}"
        )
    if budget is not None and plan.cost_usd > budget + COST_TOL_USD:
        wrong.append(
            f"the budget of {format_money(budget)} is exceeded: the plan costs "
            f"{format_money(plan.cost_usd)}"
        )
    bound = plan.certificate.lower_bound if plan.certificate else 0.0
    if not bound <= plan.objective * (1 + 1e-7):
        wrong.append(f"the certified bound {bound!r} exceeds the plan's value {plan.objective!r}")
    return wrong
