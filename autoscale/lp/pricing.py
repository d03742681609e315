"""What a lease of a type that is left out of the fleet model would earn, at the model's duals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.lp.chains import precedence_prices
from autoscale.lp.order import stage_prices

if TYPE_CHECKING:
    from autoscale.lp.chains import LongChains
    from autoscale.lp.fleet import FleetModel
    from autoscale.lp.order import StageOrder
    from autoscale.lp.types import BoundTypes
    from autoscale.lp.windows import Groups
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """The pricing problem of column generation, for leases instead of columns.

    Parameters
    ----------
    problem, types, chains, order
        What is bounded: all types, those in the model and those that are not.
    dear_usd_per_s
        Price from which on row (9) counts a lease.
    fleet, everyone
        The model, and its groups with their durations on all types.
    """

    problem: Problem
    types: BoundTypes
    chains: LongChains
    order: StageOrder | None
    dear_usd_per_s: float
    fleet: FleetModel
    everyone: Groups

    def ratios(self, dual: FloatArray, kinds: list[int]) -> FloatArray:
        """Return the most that a lease of each type earns per dollar it costs."""
        second = precedence_prices(self.fleet, self.problem, self.chains, dual)
        return np.array([_ratio(*self._leases(dual, second, k)) for k in kinds])

    def least_reduced_costs(self, dual: FloatArray, kinds: list[int]) -> FloatArray:
        """Return the least that a lease of each type costs beyond what it earns, in units."""
        second = precedence_prices(self.fleet, self.problem, self.chains, dual)
        leases = [self._leases(dual, second, k) for k in kinds]
        return np.array([float((costs - earns).min()) for earns, costs in leases])

    def _leases(
        self, dual: FloatArray, second: FloatArray, k: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return what leases of a type earn and cost, one entry for each that could be the best.

        What leases earn is linear between edges, and so is what they cost but for the minimum
        charge: the best ones begin and end at edges, or are as long as the minimum pays for.
        """
        problem, edges = self.problem, self.fleet.edges
        rows = self.fleet.model.rows
        slope, free = self._per_second(dual, second, k)
        earned = np.concatenate([[0.0], np.cumsum(slope * np.diff(edges))])
        # An empty lease, too: it counts as a lease, and serves what takes no time.
        first, last = np.triu_indices(edges.size)
        least = problem.billing.billed_s(problem.boot_s)
        unit = self.types.price_per_s[k] / self.fleet.unit_usd
        cost = unit * np.maximum(edges[last] - edges[first] + problem.boot_s, least)
        span = min(max(least - problem.boot_s, 0.0), float(edges[-1]))
        begin = np.clip(np.concatenate([edges, edges - span]), 0.0, edges[-1] - span)
        kinked = np.interp(begin + span, edges, earned) - np.interp(begin, edges, earned)
        kinked_cost = np.full(begin.size, unit * max(span + problem.boot_s, least))
        per_lease = free + float(dual[rows["leases"]].sum())
        if "dear" in rows and self.types.price_per_s[k] >= self.dear_usd_per_s:
            per_lease += float(dual[rows["dear"]].sum())
        earns = np.concatenate([earned[last] - earned[first], kinked]) + per_lease
        return earns, np.concatenate([cost, kinked_cost])

    def _per_second(self, dual: FloatArray, second: FloatArray, k: int) -> tuple[FloatArray, float]:
        """Return what a lease earns per second of each bucket, and what it earns at once.

        A vCPU of it earns in a bucket at most the best rate over the groups that it could serve:
        what the work is worth (row 1), less what its place (row 3) and its seconds on chains cost
        (multipliers <= 0). Groups without any work are worth what they are to whoever is there.
        """
        everyone, edges, rows = self.everyone, self.fleet.edges, self.fleet.model.rows
        on_chain = np.where(np.isfinite(everyone.shortest_s[:, k]), everyone.shortest_s[:, k], 0.0)
        worth = dual[rows["work"]] + second * on_chain
        held = np.where(np.isfinite(everyone.task_s[:, k]), everyone.task_s[:, k], 0.0)
        worth = worth + stage_prices(self.fleet, self.order, dual) * held
        place = np.zeros((len(everyone), edges.size - 1))
        place.ravel()[self.fleet.place_cells] = dual[rows["place"]]
        work = everyone.vcpu_s[:, k]
        served = np.isfinite(work) & (worth > 0)
        rate = worth[served, None] / np.maximum(work[served, None], 1e-12) + place[served]
        rate = np.where(everyone.overlap(edges)[served] > 0, rate, 0.0)
        kind = self.types.index[k]
        best: FloatArray = rate.max(axis=0, initial=0.0) * float(self.problem.catalog.vcpus[kind])
        if "quota" in rows:  # a lease takes of quotas, whose multipliers are <= 0
            taken = dual[rows["quota"]].reshape(len(self.problem.quotas), -1)
            best = best + self.problem.quota_weights[kind] @ taken / np.diff(edges)
        return best, float(worth[served & (work <= 1e-9)].sum())


def _ratio(earns: FloatArray, costs: FloatArray) -> float:
    """Return the most that any of some leases earns per dollar it costs."""
    # A lease that costs nothing earns without measure, or not at all.
    free_lunch = np.where(earns > 1e-12, np.inf, 0.0)
    ratio = np.where(costs > 0, earns / np.maximum(costs, 1e-300), free_lunch)
    return float(max(ratio.max(), 0.0))
