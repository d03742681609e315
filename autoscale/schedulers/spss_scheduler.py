"""SPSS: workflows in order of priority, each admitted if its static plan fits the budget.

Malawski, Juve, Deelman and Nabrzyski, "Cost- and deadline-constrained provisioning for scientific
workflow ensembles in IaaS clouds", SC'12; FGCS 48, 2015. Offline. The workflows of an ensemble are
planned one after another on what is leased already; one whose plan takes the cost to the budget,
or whose critical path is longer than the deadline, is left out. (The authors' code admits a plan
that costs exactly the budget. The figure of their example, which this follows, has one rejected.)

1. The time to spare ST = D - critical path is shared among the levels,
   ST(l) = ST (a N(l) / N + (1 - a) R(l) / R), with N tasks and R run time of the workflow, a = 0.7;
   a task's deadline is its last parent's plus its run time plus its level's share.
2. Tasks by deadline go to the cheapest slot that ends in time: in a gap, before the first or after
   the last task of a machine, or on a new one; of equal ones one on a machine, then the earliest.

The paper has one type of machine. With several, every task starts on its cheapest type and the
upgrades with the best gain of makespan for the money, as in
:mod:`~autoscale.schedulers.gain_budget_scheduler`, are made until the critical path meets the
deadline; the authors' code leaves that for later. The run times above are those. New leases are of
the task's type, slots on leases of any type. Boot is part of the critical path, slots are where
vCPUs, memory and GPUs are free.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.model import graph
from autoscale.plan.decode import tighten
from autoscale.schedulers.about import About
from autoscale.schedulers.budgeted.listing import ENDLESS_USD, offer
from autoscale.schedulers.budgeted.moves.path import way_of
from autoscale.schedulers.ensembles.ensemble import EnsemblePlan, merged
from autoscale.schedulers.leasing.instance import instance, plan_of
from autoscale.units import COST_TOL_USD, TIME_TOL_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autoscale.model.problem import Problem
    from autoscale.model.workflow import Workflow
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="cheapest slots by deadlines per level; ensembles are admitted by priority",
    source="Malawski, Juve, Deelman and Nabrzyski, SC'12; FGCS 48, 2015",
    reconstruction="the choice among several types",
)

ALPHA = 0.7
"""How far time to spare goes by numbers of tasks rather than run times."""

ROUNDING = 1e-9
"""Part of a critical path by which sums of its durations may differ."""


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the plan of the ensemble that is this one workflow.

    Parameters
    ----------
    problem
        With a deadline, or without: then time is free. The plan is returned whatever it costs.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Not used: the algorithm ends by itself.
    """
    from autoscale.schedulers.ensembles import kernels
    from autoscale.schedulers.leasing.kernels import new_leases

    x, n = instance(problem), len(problem.workflow)
    kind = types_in_time(problem)
    seconds = problem.durations_on(kind)
    everyone = np.arange(n)
    due = kernels.task_deadlines(x, everyone, problem.workflow.level, seconds, x.deadline, ALPHA)
    leases = new_leases(n, n)
    kernels.fill_slots(x, leases, np.lexsort((everyone, due)), due, kind)
    return tighten(plan_of(problem, leases))


def schedule_ensemble(
    problem: Problem,
    workflows: Sequence[Workflow],
    *,
    durations_s: Sequence[Any] | None = None,
    time_limit_s: float = math.inf,
) -> EnsemblePlan:
    """Return which workflows run within deadline and budget, and one plan for all of them.

    Parameters
    ----------
    problem
        Catalogue, billing, boot, transfers, deadline and budget; its workflow plays no part.
    workflows
        The ensemble, the highest priority first.
    durations_s
        Durations given outright, one matrix a workflow, as in ``Problem``.
    time_limit_s
        Seconds after which no further workflow is looked at.

    Raises
    ------
    InputError
        There is no workflow, or no deadline.
    """
    from autoscale.schedulers.budgeted.beam.kernels import copy_leases
    from autoscale.schedulers.ensembles import kernels
    from autoscale.schedulers.leasing.kernels import new_leases

    if problem.deadline_s is None:
        raise InputError("ensemble: expected a deadline, got none")
    ends = time.perf_counter() + time_limit_s
    whole, owner = _problem_of(problem, workflows, range(len(workflows)), durations_s)
    x, n = instance(whole), len(whole.workflow)
    leases, tried = new_leases(n, n), new_leases(n, n)
    budget = ENDLESS_USD if problem.budget_usd is None else problem.budget_usd
    spent, admitted = 0.0, []
    for number in range(len(workflows)):
        single, _ = _problem_of(problem, workflows, [number], durations_s)
        kind = types_in_time(single)
        seconds = single.durations_on(kind)
        path = problem.boot_s + graph.critical_path_s(single.workflow, seconds)
        if path > problem.deadline_s + TIME_TOL_S or time.perf_counter() > ends:
            continue
        tasks = np.flatnonzero(owner == number)
        of_all, types = np.zeros(n), np.zeros(n, dtype=np.int32)
        of_all[tasks], types[tasks] = seconds, kind
        level = whole.workflow.level
        due = kernels.task_deadlines(x, tasks, level, of_all, problem.deadline_s, ALPHA)
        copy_leases(leases, tried)
        order = tasks[np.lexsort((tasks, due[tasks]))]
        added = kernels.fill_slots(x, tried, order, due, types)
        if spent + added < budget - COST_TOL_USD:
            spent += added
            admitted.append(number)
            leases, tried = tried, leases
    return _admitted(problem, workflows, durations_s, admitted, owner, leases)


def types_in_time(problem: Problem) -> Any:
    """Return each task's type: the cheapest, upgraded until the critical path is in time."""
    limit = math.inf if problem.deadline_s is None else problem.deadline_s - problem.boot_s
    # Sums taken from the other end round otherwise: the way goes surely far enough.
    way = way_of(offer(problem), gain=True, renewed=True, enough_s=limit * (1 - ROUNDING))
    low, high = 0, len(way)
    while low < high:  # the critical path does not grow on the way
        middle = (low + high) // 2
        kind = way.types_after(middle)
        if graph.critical_path_s(problem.workflow, problem.durations_on(kind)) <= limit:
            high = middle
        else:
            low = middle + 1
    return way.types_after(low).astype(np.int32)


def _problem_of(
    problem: Problem,
    workflows: Sequence[Workflow],
    numbers: Sequence[int],
    durations_s: Sequence[Any] | None,
) -> tuple[Problem, Any]:
    """Return the problem of some workflows side by side, and each task's workflow."""
    chosen = [workflows[y] for y in numbers]
    workflow, owner = merged(chosen, list(numbers))
    table = None
    if durations_s is not None:
        order = np.argsort(np.concatenate([w.level for w in chosen]), kind="stable")
        table = np.concatenate([np.asarray(durations_s[y], float) for y in numbers])[order]
    return problem.replace(workflow=workflow, durations_s=table), owner


def _admitted(
    problem: Problem,
    workflows: Sequence[Workflow],
    durations_s: Sequence[Any] | None,
    numbers: list[int],
    owner: Any,
    leases: Any,
) -> EnsemblePlan:
    """Return the plan of the admitted workflows: what the leases hold, without the others."""
    if not numbers:
        return EnsemblePlan(plan=None, admitted=(), owner=np.zeros(0, dtype=np.int64))
    part, part_owner = _problem_of(problem, workflows, numbers, durations_s)
    # Leaving workflows out does not change the order of the tasks of the others.
    kept = np.isin(owner, numbers)
    filled = leases._replace(lease=leases.lease[kept], start=leases.start[kept])
    plan = tighten(plan_of(part, filled))
    return EnsemblePlan(plan=plan, admitted=tuple(numbers), owner=part_owner)
