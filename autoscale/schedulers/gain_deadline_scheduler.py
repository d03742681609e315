"""GAIN against a deadline: from all-cheapest, the change that saves most time per money, until met.

Sakellariou, Zhao, Tsiakkouri and Dikaiakos, in Integrated Research in GRID Computing, 2007, state
the rule for a budget; Mao and Humphrey (SC'11) run it against the deadline as a baseline. Every
task starts on its cheapest type; the (task, type) change with the largest (time saved) / (money
added) is made, again and again, until the critical path fits.

Reconstruction: how tasks of one type share machines. Here each goes where it adds least to the
bill on leases of its type, and ends by the latest finish that the chosen types leave.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.model import graph
from autoscale.schedulers.about import About
from autoscale.schedulers.leasing.instance import instance
from autoscale.schedulers.subdeadline import LEAST, allocated
from autoscale.schedulers.upgrades.types import gain_types

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

ABOUT = About(
    goal="deadline",
    summary="from all-cheapest, the type change that saves most time per money until in time",
    source="Sakellariou et al., CoreGRID 2007, as used by Mao and Humphrey, SC'11",
    reconstruction="how tasks of one type share leases",
)


def schedule(problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf) -> Plan:
    """Return GAIN's plan for a deadline.

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free); a budget plays no part.
    rng
        Not used: ties are broken by index.
    time_limit_s
        Not used: the algorithm ends by itself.
    """
    from autoscale.schedulers.leasing.kernels import topological_by

    kind = gain_types(problem)
    held = problem.durations_on(kind)
    deadline = np.inf if problem.deadline_s is None else problem.deadline_s
    limit = graph.latest_finish_s(problem.workflow, held, deadline)
    key = limit - held if np.isfinite(deadline) else -graph.upward_rank_s(problem.workflow, held)
    order = topological_by(instance(problem), key)
    return allocated(problem, order, limit, rule=LEAST, only=kind)
