"""Greedy, the baseline of SC'11: every task the cheapest type that meets its own window.

Mao and Humphrey, SC'11. Every task starts on its most cost-efficient type; while the critical path
is too long, the upgrade on it with the best ratio of time saved to money added is made. The times
on these types share the deadline out, path by path in proportion. Then each task alone takes the
cheapest type that ends it within its window, on a lease of its own: nothing is consolidated.

Reconstruction: the paper's text was not at hand. The windows of paths are those of IC-PCPD2 with
the durations on the chosen types; where the description ranks upgrades by the change of the
makespan, the time that the task itself saves is taken.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.instance import instance
from autoscale.schedulers.subdeadline import ALWAYS_NEW, allocated
from autoscale.schedulers.upgrades.types import greedy_types

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="every task on a lease of its own, of the cheapest type that meets its window",
    source="Mao and Humphrey, SC'11 (baseline)",
    reconstruction="from re-implementations and memory; windows as in IC-PCPD2",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return the greedy plan.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Seconds after which the upgrades stop, at the fastest types.
    """
    from autoscale.schedulers.critical.kernels import sub_deadlines
    from autoscale.schedulers.subdeadline import kernels

    kind = greedy_types(problem, ends=time.perf_counter() + time_limit_s)
    x = instance(problem)
    limit = sub_deadlines(x, problem.durations_on(kind))
    return allocated(problem, kernels.fifo_order(x), limit, rule=ALWAYS_NEW)
