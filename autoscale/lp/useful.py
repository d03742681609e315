"""Which types a plan cheaper than the one at hand can lease at all.

What is fast but too dear for any better plan would leave windows wider than such a plan can use:
the bound is on better plans only, so that it may forget these types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.lp.model import dual_bound, usable_duals
from autoscale.lp.work import SAFETY

if TYPE_CHECKING:
    from autoscale.lp.relaxing import Relaxed
    from autoscale.model.arrays import BoolArray
    from autoscale.model.problem import Problem


def affordable(problem: Problem, cost_usd: float) -> Problem:
    """Return the problem without the types of which one lease alone costs as much as a plan."""
    least_s = problem.billing.billed_s(problem.boot_s)
    return confined(problem, SAFETY * least_s * problem.catalog.price_per_s < cost_usd)


def needless(relaxed: Relaxed, cost_usd: float) -> BoolArray:
    """Return the types that no plan cheaper than ``cost_usd`` leases, shape (catalogue types,).

    None of those in the relaxation is among them. Without a relaxation the shape is (0,).

    With the relaxation's duals, every plan costs at least their bound plus what its leases
    cost beyond what they earn; for a type where even the best lease exceeds what is left,
    there is no such plan. Nor does one lease what such a type dominates.
    """
    pricing, row_dual = relaxed.pricing, relaxed.row_dual
    if pricing is None or row_dual is None or not np.isfinite(cost_usd):
        return np.zeros(0, dtype=bool)
    types, model = pricing.types, pricing.fleet.model
    dual = usable_duals(model, row_dual)
    outside = np.flatnonzero(~np.isin(types.index, pricing.fleet.types.index))
    # Scaled down so that no type that is left out earns too much.
    dual = dual / pricing.ratios(dual, outside.tolist()).max(initial=1.0)
    beyond = pricing.least_reduced_costs(dual, outside.tolist())
    least = (dual_bound(model, dual) + beyond) * pricing.fleet.unit_usd
    out = np.zeros(len(types) + 1, dtype=bool)  # the last is for what cannot be leased
    out[outside] = SAFETY * least > cost_usd
    return out[types.stands_for]


def confined(problem: Problem, usable: BoolArray) -> Problem:
    """Return the problem with these types only, or as it is where a task would fit none."""
    if problem.usable is not None:
        usable = usable & problem.usable
    if usable.all() or not problem.can_do_with(usable):
        return problem
    return problem.with_usable(usable)


def lengthened(problem: Problem, before: Problem) -> float:
    """Return the part by which the tasks' shortest durations exceed what they were."""
    total = float(before.fastest_s.sum())
    return float(problem.fastest_s.sum()) / total - 1.0 if total > 0 else 0.0
