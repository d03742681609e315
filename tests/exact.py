"""The exact optimum of a tiny problem by constraint programming (whole seconds and cents)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.problem import Problem


def optimum_usd(problem: Problem, *, time_limit_s: float = 20.0) -> tuple[float, bool]:
    """Return the cost of the cheapest plan and whether it is proven.

    Every duration, the boot, the billing rule and the deadline must be whole seconds, every price
    whole cents: with whole data some optimal plan starts everything at whole seconds.

    Parameters
    ----------
    problem
        With a deadline that can be met.
    time_limit_s
        Seconds after which the best plan found is all that is known.
    """
    from ortools.sat.python import cp_model

    model: Any = cp_model.CpModel()
    n, horizon = len(problem.workflow), int(np.floor(problem.deadline_s or 0.0))
    start = [model.new_int_var(int(problem.boot_s), horizon, "") for _ in range(n)]
    end = [model.new_int_var(0, horizon, "") for _ in range(n)]
    for i in range(n):
        for p in problem.workflow.parents_of(i).tolist():
            model.add(start[i] >= end[p])
    hosts: list[list[Any]] = [[] for _ in range(n)]
    cost = [
        cents * charged
        for k in range(len(problem.catalog))
        for cents, charged in _leases(model, problem, k, start, end, hosts)
    ]
    for lits in hosts:
        model.add_exactly_one(lits)
    model.minimize(sum(cost))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit_s
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.linearization_level = 2
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return np.inf, status == cp_model.INFEASIBLE
    return solver.objective_value / 360000, status == cp_model.OPTIMAL


def _leases(
    model: Any, problem: Problem, k: int, start: list[Any], end: list[Any], hosts: list[list[Any]]
) -> list[tuple[int, Any]]:
    """Add as many leases of type ``k`` as could be useful; return (cents an hour, seconds)."""
    w, kind = problem.workflow, problem.catalog[k]
    duration = problem.duration_s[problem.task_class, k]
    fitting = np.flatnonzero(np.isfinite(duration)).tolist()
    boot, horizon = int(problem.boot_s), int(np.floor(problem.deadline_s or 0.0))
    quantum, minimum = int(problem.billing.quantum_s), int(problem.billing.minimum_s)
    cents = round(kind.price_usd_per_hour * 100)
    charges: list[tuple[int, Any]] = []
    before: Any = None
    for number in range(len(fitting)):
        used = model.new_bool_var("")
        first, last = model.new_int_var(boot, horizon, ""), model.new_int_var(0, horizon, "")
        intervals, members, taken = [], [], []
        for i in fitting[number:]:  # the lease is numbered by no more than its first task
            d = round(float(duration[i]))
            assert abs(d - duration[i]) < 1e-9
            here = model.new_bool_var("")
            hosts[i].append(here)
            taken.append((i, here))
            model.add_implication(here, used)
            model.add(first <= start[i]).only_enforce_if(here)
            model.add(last >= end[i]).only_enforce_if(here)
            model.add(end[i] == start[i] + d).only_enforce_if(here)
            if d > 0:
                intervals.append(model.new_optional_fixed_size_interval_var(start[i], d, here, ""))
                members.append(i)
        for need, has in (
            (w.vcpus, kind.vcpus),
            (w.memory_bytes // 2**20, int(kind.memory_gib * 1024)),
            (w.gpus, kind.gpus),
        ):
            model.add_cumulative(intervals, [int(need[i]) for i in members], has)
        # Redundant, but it lets the solver see that work takes room.
        model.add(
            kind.vcpus * (last - first)
            >= sum(int(w.vcpus[i]) * round(float(duration[i])) * here for i, here in taken)
        ).only_enforce_if(used)
        quanta = model.new_int_var(0, (horizon + boot + max(minimum, quantum)) // quantum + 1, "")
        charged = model.new_int_var(0, horizon + boot + quantum + minimum, "")
        model.add(quanta * quantum >= last - first + boot).only_enforce_if(used)
        model.add(charged >= quanta * quantum)
        model.add(charged >= minimum).only_enforce_if(used)
        if before is not None:
            model.add_implication(used, before)
        before = used
        charges.append((cents, charged))
    return charges
