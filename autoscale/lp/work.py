"""The simplest valid lower bound on cost: every task at its cheapest share of a machine.

On a lease of type k the tasks' vCPUs sum to at most V_k at every moment, so the vCPU-seconds that
run on it are at most V_k times its length; the same holds for memory and GPUs, one resource at a
time (the largest share of several resources would not be valid: tasks that use different ones may
overlap). Every plan rents at least one lease, and a lease pays its boot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem

Seconds = TypeVar("Seconds", "float", "FloatArray")

METHOD = "cheapest share of a machine per task"
"""How this bound is found, for certificates."""

SAFETY = 1 - 4e-6
"""Bounds are scaled by this: a plan may be 1e-6 (relative, and in time) off and still pass."""

FORGIVEN = 1 - 2e-6
"""Checkers forgive a duration that is short by this factor."""


def forgiving_deadline_s(deadline_s: Seconds) -> Seconds:
    """Return the latest end that a checker would still take for a deadline, and a bit more."""
    late_s: Seconds = deadline_s + np.maximum(2e-5, 2e-6 * deadline_s)
    return late_s


def work_bound_usd(problem: Problem) -> float:
    """Return a certified lower bound on the cost of any plan, USD."""
    catalog, duration = problem.catalog, problem.duration_s
    w, member = problem.workflow, problem.class_member
    count = np.bincount(problem.task_class, minlength=len(duration))
    price = catalog.price_per_s
    best = 0.0
    for need, has in (
        (w.vcpus, catalog.vcpus),
        (w.memory_bytes, catalog.memory_bytes),
        (w.gpus, catalog.gpus),
    ):
        needed = need[member].astype(np.float64)
        # Where a type has none of a resource that a class needs, its duration is infinite.
        per_unit = price / np.maximum(has, 1)
        cost = (duration * per_unit).min(axis=1) * needed
        best = max(best, float(count @ cost))
    shortest = duration.min(axis=0)
    usable = np.isfinite(shortest)
    billed = problem.billing.billed_array_s(shortest[usable] + problem.boot_s)
    one_lease = float((price[usable] * billed).min())
    boots = float((price[usable] * problem.boot_s).min())
    return SAFETY * max(best + boots, one_lease)
