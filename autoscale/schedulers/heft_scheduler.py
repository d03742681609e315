"""HEFT: tasks by upward rank, each on the machine that ends it first, gaps included.

Topcuoglu, Hariri and Wu, TPDS 13(3), 2002. The paper's own model is a fixed set of machines that
run one task at a time, and data that travel between machines: ``heft_plan`` with the machines as
the fleet, ``Problem.durations_s`` as its cost matrix and ``edge_s`` for the data. It minimises the
makespan and knows no prices.

Here a lease runs as many tasks at once as fit, is requested a boot before its first task and
released after its last. For a deadline, fleets of a few types and growing sizes are tried, and the
cheapest plan that is in time is kept (our addition: the paper's fleet is given).
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
    summary="tasks by upward rank, each where it ends first, on the cheapest fleet in time",
    source="Topcuoglu, Hariri and Wu, TPDS 13(3), 2002",
    reconstruction="the choice of the fleet is ours: in the paper it is given",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the cheapest HEFT schedule in time over a few fleets, the quickest if none is.

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
        problem, lambda fleet: heft_plan(problem, fleet), lambda: time.perf_counter() > ends
    )


def heft_plan(problem: Problem, fleet: IntArray, *, edge_s: FloatArray | None = None) -> Plan:
    """Return the HEFT schedule on a fleet.

    Parameters
    ----------
    problem
        What is planned; its goal plays no part.
    fleet
        Type of each machine, indices into the catalogue; together they must fit every task.
    edge_s
        Seconds that data take between machines, aligned with ``workflow.parents``; zero by
        default.
    """
    from autoscale.schedulers.heft import kernels
    from autoscale.schedulers.leasing.kernels import topological_by, upward_ranks

    x = instance(problem, edge_s)
    rank = upward_ranks(x, mean_durations_s(problem, fleet))
    pinned = np.full(len(problem.workflow), -1, dtype=np.int64)
    fleet = np.asarray(fleet, dtype=np.int64)
    return plan_of(problem, kernels.place_earliest(x, topological_by(x, -rank), fleet, pinned))
