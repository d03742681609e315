"""Compile, or load, the planner's kernels before the clock of a time limit starts.

The first plan on a machine compiles for some tens of seconds; what is compiled is kept on disk,
and later processes only load it. A user's time limit should buy planning, not compilation.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from autoscale.model.billing import HOURLY
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import Workflow
from autoscale.units import GIB

WARM_S = 0.25
"""Nominal seconds of planning that touch every kernel."""


def warm_kernels(*, many: bool = False) -> None:
    """Plan a workflow of five tasks, once in a process, so that every kernel is at hand.

    Parameters
    ----------
    many
        Whether the kernels for thousands of tasks are wanted, too.
    """
    _warm_few()
    if many:
        _warm_many()


@cache
def _warm_few() -> None:
    from autoscale.optimize.fleets.squeezing import squeeze
    from autoscale.optimize.lp_planner import plan_lp
    from autoscale.schedulers import get_scheduler

    problem = _example()
    plan_lp(problem, seed=0, time_limit_s=WARM_S)
    plan = get_scheduler("fastest")(problem.replace(billing=HOURLY), rng=np.random.default_rng(0))
    squeeze(plan, seed=0, bound_usd=0.0, effort_s=0.01 * WARM_S, clock_limit_s=np.inf)


@cache
def _warm_many() -> None:
    from autoscale.optimize.large import CLASSIC
    from autoscale.schedulers import get_scheduler
    from autoscale.schedulers.list_scheduler import (
        Setting,
        placed_by_time,
        targets_s,
        topological_order,
    )

    problem = _example()
    target = targets_s(problem, np.ones(len(problem.workflow)))
    placed_by_time(problem, topological_order(problem, target), target, Setting())
    for name in CLASSIC:
        get_scheduler(name)(problem, rng=np.random.default_rng(0))


def _example() -> Problem:
    """Return a diamond with a tail on two types, with time to spare."""
    workflow = Workflow.from_columns(
        name="warm",
        ids=[f"t{i}" for i in range(5)],
        runtime_s=np.array([10.0, 20.0, 30.0, 10.0, 5.0]),
        edges=(np.array([0, 0, 1, 2, 3]), np.array([1, 2, 3, 3, 4])),
        vcpus=np.ones(5, dtype=np.int64),
        memory_bytes=np.full(5, GIB, dtype=np.int64),
    )
    types = tuple(
        InstanceType(name=f"t.{v}", vcpus=v, memory_gib=4.0 * v, price_usd_per_hour=0.05 * v)
        for v in (1, 2)
    )
    return Problem(workflow=workflow, catalog=Catalog(types, name="warm"), deadline_s=200.0)
