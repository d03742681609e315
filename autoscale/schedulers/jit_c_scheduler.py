"""JIT-C, its offline form: what is ready goes at once to the cheapest lease that is in time.

Sahni and Vidyarthi, TCC 6(1), 2018. Chains without branches are bundled. Whatever is ready is
placed in the order in which it gets ready: on a running lease whose paid interval covers it, else
on the running lease with the least extra charge, else on a new lease of the cheapest type that
ends it by its latest finish, else on the fastest. Latest finishes are those on the fastest types.

The paper decides online, every monitoring interval, against measured times; here the times are
known, and so every task is decided on when its parents end. Reconstruction from the abstract and
memory of the steps: how a chain is treated that no one type runs in time (cut after its first
task). A lease counts as running while it is paid for, or when it adds less than a new one. Above
``LARGE_TASKS`` tasks, chains are not bundled, tasks go in the order of their earliest starts, and
places are looked up by time instead of all compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.instance import instance, plan_of
from autoscale.schedulers.list_scheduler import LARGE_TASKS
from autoscale.schedulers.subdeadline import by_time

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="what is ready goes at once to the cheapest lease that ends it by its latest finish",
    source="Sahni and Vidyarthi, TCC 6(1), 2018 (JIT-C, offline form)",
    reconstruction="steps from the abstract and memory; chains that no one type runs in time",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the JIT-C plan.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Not used: the algorithm ends by itself.
    """
    from autoscale.schedulers.bundles import kernels
    from autoscale.schedulers.leasing.kernels import (
        earliest_starts,
        latest_finishes,
        topological_by,
    )

    x = instance(problem)
    if len(problem.workflow) <= LARGE_TASKS:
        return plan_of(problem, kernels.just_in_time(x, problem.fastest_s))
    order = topological_by(x, earliest_starts(x, problem.fastest_s))
    return by_time(problem, order, latest_finishes(x, problem.fastest_s, x.deadline))
