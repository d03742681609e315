"""A problem's relaxation within a region: the fleet model with the types that matter, and cuts.

1. Only a few instance types enter the model; the others are priced with its duals: a type that is
   left out can be ignored when no single lease of it, over any interval, would earn its price.
   If one would, it enters, or the duals are scaled down until none does.
2. Packing cuts (cuts.py) are added while they help.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.lp.backend import SolvedAgain, SolveStatus, solve_model
from autoscale.lp.chains import add_precedence, long_chains, narrow_precedence
from autoscale.lp.cuts import (
    PackingCut,
    add_machine_cuts,
    add_packing_cuts,
    add_size_cuts,
    packing_cuts,
)
from autoscale.lp.fleet import FleetModel, Limits, build_fleet_model, narrow_fleet
from autoscale.lp.model import dual_bound, usable_duals
from autoscale.lp.order import add_stage_rows, narrow_stages, stage_order
from autoscale.lp.pricing import Pricing
from autoscale.lp.types import BoundTypes, bound_types
from autoscale.lp.useful import confined
from autoscale.lp.windows import Groups, Windows, bucket_edges, group_tasks
from autoscale.lp.work import forgiving_deadline_s
from autoscale.model import graph

if TYPE_CHECKING:
    from autoscale.lp.branching import Region
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem

NEARLY = 1.002
"""Types that are dominated but for this factor on price times duration are left out."""

MORE_ROUNDS = 15
"""Rounds of cuts at most, while they help."""

RISING = 1.005
"""A round of cuts helps if the bound rises by this factor."""

LEAST_S = 0.3
"""Seconds that a linear program gets in any case."""

MISSING = 1.01
"""A type that would earn so many times what it costs has to be in the model."""

TYPES_A_ROUND = 12
"""Types that may enter the model between two solutions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSettings:
    """How much work the bound may take.

    Parameters
    ----------
    buckets, groups
        Time buckets, and groups of tasks, of a model at most.
    cut_rounds, cuts, machine_cuts
        Rounds of cuts, and packing and machine cuts of a round, at most.
    nodes
        Nodes of the branching at most.
    barriers
        Barriers to branch on.
    """

    buckets: int = 32
    groups: int = 80
    cut_rounds: int = 3
    cuts: int = 80
    machine_cuts: int = 600
    nodes: int = 5000
    barriers: int = 12


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A solved relaxation.

    Parameters
    ----------
    bound_usd
        Lower bound within the node, USD; inf where the node has no plan at all.
    fleet, x
        The model and its solution, or None.
    row_dual
        The solution's multipliers, or None.
    pricing
        What prices the types that the model leaves out, or None.
    basis, again
        Where the simplex method ended, and what goes on from there within a part of the region;
        None where another method solved the model.
    """

    bound_usd: float
    fleet: FleetModel | None = None
    x: FloatArray | None = None
    row_dual: FloatArray | None = None
    pricing: Pricing | None = None
    basis: Any = None
    again: SolvedAgain | None = None


class Relaxer:
    """Solves the fleet model of a problem within one region after another.

    Types that turn out to matter stay in the model from then on.

    Parameters
    ----------
    problem
        With a deadline.
    used_types
        Types that a good plan uses (catalogue indices); they enter the model first.
    penalty_usd
        Price of leaving a group's work undone.
    release_s, due_s
        Beyond the problem's rules, each task starts no earlier and ends no later, seconds from
        submission, shape (tasks,); no later than the deadline. None for no such limit.
    """

    def __init__(
        self,
        problem: Problem,
        used_types: IntArray | None,
        penalty_usd: float,
        release_s: FloatArray | None = None,
        due_s: FloatArray | None = None,
    ) -> None:
        self.penalty_usd = penalty_usd
        self.horizon_s = forgiving_deadline_s(problem.deadline_s or 0.0) - problem.boot_s
        self.release_s = 0.0 if release_s is None else np.maximum(release_s - problem.boot_s, 0.0)
        self.due_s: float | FloatArray = self.horizon_s
        if due_s is not None:
            self.due_s = np.minimum(forgiving_deadline_s(due_s) - problem.boot_s, self.horizon_s)
        self.stop_s = np.inf
        self.confine(problem, used_types)

    def confine(self, problem: Problem, used_types: IntArray | None) -> None:
        """Bound this problem from now on; types that are used enter the models first."""
        self.problem = problem
        self.without: dict[bytes, Problem] = {}
        self.types = types = bound_types(problem, NEARLY - 1).forgiving()
        self.dear_usd_per_s = needed_price(problem, types, self.horizon_s)
        self.chains = long_chains(problem, self.horizon_s)
        self.order = stage_order(problem)
        self.active = np.zeros(len(types), dtype=bool)
        cheapest = np.argsort(types.price_per_s / problem.catalog.vcpus[types.index])
        self.active[cheapest[:1]] = True
        if used_types is not None:
            self.active |= np.isin(types.index, used_types)

    def windows(self, region: Region) -> Windows:
        """Return when each task can run within a region, seconds from boot."""
        low = np.maximum(region.low, self.release_s)
        return Windows.between(self.within(region.limits), self.due_s, low, region.high)

    def within(self, limits: Limits) -> Problem:
        """Return the problem without the types of which there is no lease."""
        none = limits.most <= 0
        if not none.any():
            return self.problem
        key = none.tobytes()
        if key not in self.without:
            usable = ~np.append(none, False)[self.types.stands_for]
            self.without[key] = confined(self.problem, usable)
        return self.without[key]

    def solve(self, region: Region, settings: BoundSettings, floor_usd: float) -> Relaxed:
        """Return the relaxation within a region: types are priced in, then cuts are added.

        Parameters
        ----------
        region
            The region.
        settings
            Sizes of the model.
        floor_usd
            What no plan in the region is known to cost less than.
        """
        windows = self.windows(region)
        if self._impossible(windows, region.limits):
            return Relaxed(np.inf)
        return self._priced_and_cut(windows, region.limits, settings, Relaxed(floor_usd))

    def solve_near(self, near: Relaxed, region: Region) -> Relaxed | None:
        """Return a relaxation within a part of the region of another one, from its basis.

        Buckets, groups, types and cuts stay what they are, which says less than a model made for
        the part and takes a small fraction of the time. None where the other one has no basis or is
        of a time when there were more types, where the solver has no answer, and where a type that
        the model leaves out would matter.

        Parameters
        ----------
        near
            The other one.
        region
            The part.
        """
        fleet, pricing = near.fleet, near.pricing
        if (
            near.again is None
            or fleet is None
            or pricing is None
            or pricing.types is not self.types
        ):
            return None
        windows, limits = self.windows(region), region.limits
        if self._impossible(windows, limits):
            return Relaxed(np.inf)
        box = fleet.model.box
        in_model = np.isin(self.types.index, fleet.types.index)
        narrow_fleet(box, fleet, windows, limits.only(np.flatnonzero(in_model)))
        narrow_precedence(box, fleet, self.within(limits), self.chains, windows)
        if self.order is not None:
            narrow_stages(box, fleet, self.order, windows)
        solved = near.again.solve(box, near.basis, time_limit_s=self._time_left())
        if solved.row_dual is None or solved.x is None or solved.basis is None:
            return None
        dual = usable_duals(fleet.model, solved.row_dual, box)
        ratio = pricing.ratios(dual, np.flatnonzero(~in_model).tolist())
        if ratio.max(initial=1.0) > MISSING:
            return None
        scaled = dual / ratio.max(initial=1.0)
        usd = max(dual_bound(fleet.model, scaled, box) * fleet.unit_usd, near.bound_usd)
        return replace(near, bound_usd=usd, x=solved.x, row_dual=scaled, basis=solved.basis)

    def _impossible(self, windows: Windows, limits: Limits) -> bool:
        """Return whether some task is longer than its window."""
        slack = windows.latest_end_s - windows.earliest_start_s - self.within(limits).fastest_s
        return bool(slack.min(initial=0.0) < -1e-6 * max(1.0, self.horizon_s))

    def _priced_and_cut(
        self, windows: Windows, limits: Limits, settings: BoundSettings, best: Relaxed
    ) -> Relaxed:
        problem = self.within(limits)
        work = problem.fastest_s * problem.workflow.vcpus
        edges = bucket_edges(windows, work, problem.fastest_s, self.horizon_s, settings.buckets)
        everyone = self.groups(windows, edges, settings.groups)
        cuts: list[PackingCut] = []
        fleet = self.model(everyone, windows, edges, limits, cuts)
        rounds, before_usd = 0, 0.0
        while True:
            solved = solve_model(fleet.model, time_limit_s=self._time_left())
            if solved.status is SolveStatus.INFEASIBLE:
                if not self.active.all():  # a type that is left out might help
                    self.active[:] = True
                    fleet = self.model(everyone, windows, edges, limits, cuts)
                    continue
                return Relaxed(np.inf) if solved.proven else best
            if solved.row_dual is None or solved.x is None:
                return best
            pricing = self._pricing(fleet, everyone)
            missing, usd = self._priced(pricing, solved.row_dual)
            usd = max(usd, best.bound_usd)
            again = SolvedAgain(fleet.model) if solved.basis is not None else None
            best = Relaxed(usd, fleet, solved.x, solved.row_dual, pricing, solved.basis, again)
            if time.perf_counter() > self.stop_s:
                break
            if missing.size:
                self.active[missing] = True
                fleet = self.model(everyone, windows, edges, limits, cuts)
                continue
            rounds += 1
            # Cuts on one type drive the relaxation to the next: it takes rounds to run out of them.
            rising = rounds <= MORE_ROUNDS and usd > before_usd * RISING
            if rounds > settings.cut_rounds and not (settings.cut_rounds and rising):
                break
            before_usd = usd
            fresh = packing_cuts(fleet, problem, solved.x, settings.cuts)
            machines = add_machine_cuts(fleet, problem, solved.x, settings.machine_cuts)
            sizes = add_size_cuts(fleet, problem, solved.x, settings.machine_cuts)
            if not fresh and not machines and not sizes:
                break
            add_packing_cuts(fleet, problem, fresh)
            cuts += fresh
        return best

    def _time_left(self) -> float:
        return max(LEAST_S, self.stop_s - time.perf_counter())

    def model(
        self,
        everyone: Groups,
        windows: Windows,
        edges: FloatArray,
        limits: Limits,
        cuts: list[PackingCut],
    ) -> FleetModel:
        """Return the model of the types that matter, with the cuts found so far."""
        chosen = np.flatnonzero(self.active)
        problem = self.within(limits)
        fleet = build_fleet_model(
            problem,
            self.types.only(chosen),
            everyone.only(chosen),
            edges,
            limits=limits.only(chosen),
            penalty_usd=self.penalty_usd,
            dear_usd_per_s=self.dear_usd_per_s,
        )
        add_precedence(fleet, problem, self.chains, windows)
        if self.order is not None:
            add_stage_rows(fleet, problem, self.order, windows)
        add_packing_cuts(fleet, problem, cuts)
        return fleet

    def groups(self, windows: Windows, edges: FloatArray, most: int) -> Groups:
        """Return the groups of a model, about so many at most."""
        apart = self.order.key if self.order is not None else None
        singles = self.chains.singles
        return group_tasks(self.problem, self.types, windows, edges, most, singles, apart)

    def _priced(self, pricing: Pricing, dual: FloatArray) -> tuple[IntArray, float]:
        """Return the types that must enter, and the bound with duals scaled to need none."""
        fleet = pricing.fleet
        dual = usable_duals(fleet.model, dual)
        outside = np.flatnonzero(~self.active)
        ratio = pricing.ratios(dual, outside.tolist())
        usd = dual_bound(fleet.model, dual / ratio.max(initial=1.0)) * fleet.unit_usd
        earning = np.argsort(-ratio, kind="stable")[:TYPES_A_ROUND]
        return outside[earning[ratio[earning] > 1 + 1e-4]], usd

    def _pricing(self, fleet: FleetModel, everyone: Groups) -> Pricing:
        return Pricing(
            problem=self.problem,
            types=self.types,
            chains=self.chains,
            order=self.order,
            dear_usd_per_s=self.dear_usd_per_s,
            fleet=fleet,
            everyone=everyone,
        )


def needed_price(problem: Problem, types: BoundTypes, horizon_s: float) -> float:
    """Return the price below which no set of types is fast enough for the critical path.

    Every plan has at least one lease of a type of that price or more; 0 where the cheapest types
    are fast enough.
    """
    w = problem.workflow
    caps = np.unique(types.price_per_s)

    def meets(cap: float) -> bool:
        fastest = types.duration_s[:, types.price_per_s <= cap].min(axis=1)[problem.task_class]
        return bool(np.isfinite(fastest).all()) and (graph.critical_path_s(w, fastest) <= horizon_s)

    low, high = 0, caps.size - 1
    while low < high:  # fewer types never make the critical path shorter
        middle = (low + high) // 2
        if meets(caps[middle]):
            high = middle
        else:
            low = middle + 1
    return float(caps[low]) if low > 0 else 0.0
