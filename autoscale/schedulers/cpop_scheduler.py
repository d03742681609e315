"""CPOP: the critical path on one machine, everything else where it ends first.

Topcuoglu, Hariri and Wu, TPDS 13(3), 2002. A task's priority is its upward plus its downward rank;
the tasks whose priority is the critical path's length go to the machine that runs them all in the
least time. Own model and adaptation as for HEFT (``heft_scheduler``).
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.schedulers.about import About
from autoscale.schedulers.heft.fleets import best_on_fleets
from autoscale.schedulers.leasing.instance import instance, mean_durations_s, plan_of

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="the critical path on one machine, the rest where it ends first, on the cheapest fleet",
    source="Topcuoglu, Hariri and Wu, TPDS 13(3), 2002",
    reconstruction="the choice of the fleet is ours: in the paper it is given",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the cheapest CPOP schedule in time over a few fleets, the quickest if none is.

    Parameters
    ----------
    problem
        What is planned; a budget plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Seconds after which no further fleet is tried.
    """
    ends = time.perf_counter() + time_limit_s
    return best_on_fleets(
        problem, lambda fleet: cpop_plan(problem, fleet), lambda: time.perf_counter() > ends
    )


def cpop_plan(problem: Problem, fleet: IntArray, *, edge_s: FloatArray | None = None) -> Plan:
    """Return the CPOP schedule on a fleet; parameters as for ``heft_plan``."""
    from autoscale.schedulers.heft import kernels
    from autoscale.schedulers.leasing.kernels import downward_ranks, topological_by, upward_ranks

    x = instance(problem, edge_s)
    mean = mean_durations_s(problem, fleet)
    priority = upward_ranks(x, mean) + downward_ranks(x, mean)
    fleet = np.asarray(fleet, dtype=np.int64)
    path = _one_path(problem, priority)
    pinned = np.full(len(problem.workflow), -1, dtype=np.int64)
    together = problem.duration_s[problem.task_class[path]][:, fleet].sum(axis=0)
    if np.isfinite(together).any():
        pinned[path] = int(np.argmin(together))
    return plan_of(problem, kernels.place_earliest(x, topological_by(x, -priority), fleet, pinned))


def _one_path(problem: Problem, priority: FloatArray) -> IntArray:
    """Return the tasks of one critical path, first to last, by index among equals."""
    w = problem.workflow
    length = float(priority.max())
    critical = priority >= length - 1e-9 * max(length, 1.0)
    path = [int(np.flatnonzero(critical & (np.diff(w.parent_ptr) == 0))[0])]
    while True:
        below = w.children_of(path[-1])
        below = below[critical[below]]
        if below.size == 0:
            return np.array(path, dtype=np.int64)
        path.append(int(below[0]))
