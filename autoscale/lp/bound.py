"""A certified lower bound on the cost of any plan: the fleet model, priced, cut and branched.

1. Only a few instance types enter the model; the others are priced with its duals: a type that is
   left out can be ignored when no single lease of it, over any interval, would earn its price.
   If one would, it enters, or the duals are scaled down until none does.
2. Packing cuts (cuts.py) are added while they help.
3. Barriers: tasks with much work before and after them. Plain windows let both sides use all the
   slack; branching on when the barrier starts makes them share it. So does branching on the number
   of leases, which is whole. The bound is the least over the leaves, whenever the search stops.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.lp.backend import SolveStatus, solve_model
from autoscale.lp.cuts import add_packing_cuts
from autoscale.lp.fleet import FleetModel, build_fleet_model
from autoscale.lp.model import dual_bound
from autoscale.lp.types import BoundTypes, bound_types
from autoscale.lp.windows import Windows, bucket_edges, group_tasks
from autoscale.lp.work import SAFETY, work_bound_usd

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.arrays import BoolArray, FloatArray, IntArray
    from autoscale.model.problem import Problem

NEARLY = 1.002
"""Types that are dominated but for this factor on price times duration are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSettings:
    """How much work the bound may take.

    Parameters
    ----------
    buckets, groups
        Time buckets, and groups of tasks, of a model at most.
    cut_rounds, cuts
        Rounds of packing cuts, and cuts of a round, at most.
    nodes
        Linear programs of the branching at most.
    barriers
        Barriers to branch on.
    """

    buckets: int = 40
    groups: int = 120
    cut_rounds: int = 4
    cuts: int = 80
    nodes: int = 60
    barriers: int = 4


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A solved relaxation.

    Parameters
    ----------
    bound_usd
        Lower bound within the node, USD; inf where the node has no plan at all.
    fleet, x
        The model and its solution, or None.
    """

    bound_usd: float
    fleet: FleetModel | None = None
    x: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A lower bound on cost and how it was found.

    Parameters
    ----------
    usd
        No plan costs less, USD.
    method
        One line for the certificate.
    windows
        Windows of the leaf with the least bound: when the relaxation would run each task.
    best
        The relaxation of that leaf.
    """

    usd: float
    method: str
    windows: Windows
    best: Relaxed


@dataclass(order=True, slots=True)
class _Node:
    bound_usd: float
    number: int
    start_low: FloatArray = field(compare=False)
    start_high: FloatArray = field(compare=False)
    leases: tuple[int, float] = field(compare=False)
    relaxed: Relaxed = field(compare=False)


def cost_bound(
    problem: Problem,
    *,
    settings: BoundSettings | None = None,
    used_types: IntArray | None = None,
    clock_limit_s: float = np.inf,
    target_usd: Callable[[], float] = lambda: np.inf,
    tell: Callable[[float], None] | None = None,
) -> Bound:
    """Return a lower bound on the cost of any plan that meets the problem's deadline.

    Parameters
    ----------
    problem
        With a deadline.
    settings
        Sizes and limits.
    used_types
        Types that a good plan uses (catalogue indices); they enter the model first.
    clock_limit_s
        Reading of ``time.perf_counter()`` after which no further linear program is begun.
    target_usd
        Gives the cost of the best plan at hand; the search stops when the bound reaches it.
    tell
        Called with each better bound, USD.
    """
    search = _Search(
        problem, settings or BoundSettings(), bound_types(problem, NEARLY - 1), clock_limit_s
    )
    return search.run(used_types, target_usd, tell or (lambda usd: None))


@dataclass(frozen=True, slots=True)
class _Barrier:
    """A task with the tasks that must end before it and those that start after it."""

    task: int
    before: BoolArray
    after: BoolArray


class _Search:
    """Best-first branching on barriers' starts and on the number of leases."""

    def __init__(
        self, problem: Problem, settings: BoundSettings, types: BoundTypes, clock_limit_s: float
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.types = types
        self.clock_limit_s = clock_limit_s
        self.horizon_s = (problem.deadline_s or 0.0) - problem.boot_s
        self.active = np.zeros(len(types), dtype=bool)
        self.numbers = itertools.count()

    def run(
        self,
        used_types: IntArray | None,
        target_usd: Callable[[], float],
        tell: Callable[[float], None],
    ) -> Bound:
        self._activate_first(used_types)
        floor = work_bound_usd(self.problem)
        n = len(self.problem.workflow)
        root = self._node(np.zeros(n), np.full(n, np.inf), (0, np.inf), floor)
        tell(SAFETY * root.bound_usd)
        open_nodes, best = [root], root
        barriers = self._barriers()
        solved = 1
        while open_nodes:
            best = open_nodes[0]
            if best.bound_usd >= target_usd() * SAFETY or best.relaxed.x is None:
                break
            if solved >= self.settings.nodes or time.perf_counter() > self.clock_limit_s:
                break
            children = self._children(best, barriers)
            if not children:
                break
            heapq.heappop(open_nodes)
            for low, high, leases in children:
                child = self._node(low, high, leases, best.bound_usd)
                if np.isfinite(child.bound_usd):
                    heapq.heappush(open_nodes, child)
                solved += 1
            if open_nodes:
                tell(SAFETY * open_nodes[0].bound_usd)
        usd = SAFETY * best.bound_usd
        method = f"fluid fleet LP with packing cuts, {solved} node{'s' if solved > 1 else ''}"
        return Bound(usd, method, self._windows(best.start_low, best.start_high), best.relaxed)

    def _activate_first(self, used_types: IntArray | None) -> None:
        catalog = self.problem.catalog
        cheapest = np.argsort(self.types.price_per_s / catalog.vcpus[self.types.index])
        self.active[cheapest[:1]] = True
        if used_types is not None:
            self.active |= np.isin(self.types.index, used_types)

    def _windows(self, low: FloatArray, high: FloatArray) -> Windows:
        return Windows.between(self.problem, self.horizon_s, low, high)

    def _node(
        self, low: FloatArray, high: FloatArray, leases: tuple[int, float], floor: float
    ) -> _Node:
        windows = self._windows(low, high)
        slack = windows.latest_end_s - windows.earliest_start_s - self.problem.fastest_s
        if slack.min(initial=0.0) < -1e-6 * max(1.0, self.horizon_s):
            relaxed = Relaxed(np.inf)
        else:
            relaxed = self._relax(windows, leases, floor)
        return _Node(relaxed.bound_usd, next(self.numbers), low, high, leases, relaxed)

    def _relax(self, windows: Windows, leases: tuple[int, float], floor: float) -> Relaxed:
        """Solve the node's model: types are priced in, then cuts are added."""
        best = Relaxed(floor)
        problem, settings = self.problem, self.settings
        work = problem.fastest_s * problem.workflow.vcpus
        edges = bucket_edges(windows, work, self.horizon_s, settings.buckets)
        everyone = group_tasks(problem, self.types, windows, edges, settings.groups)
        rounds = 0
        while rounds <= settings.cut_rounds:
            fleet = self._model(everyone, edges, leases)
            while rounds <= settings.cut_rounds:
                solved = solve_model(fleet.model, time_limit_s=self._time_left())
                if solved.status is SolveStatus.INFEASIBLE and self.active.all():
                    return Relaxed(np.inf)
                if solved.status is SolveStatus.INFEASIBLE:
                    self.active[:] = True
                    break
                if solved.row_dual is None or solved.x is None:
                    return best
                missing, usd = self._priced(fleet, everyone, edges, solved.row_dual)
                if usd > best.bound_usd:
                    best = Relaxed(usd, fleet, solved.x)
                elif best.x is None:
                    best = Relaxed(best.bound_usd, fleet, solved.x)
                if missing.any():
                    self.active |= missing
                    break
                rounds += 1
                if not add_packing_cuts(fleet, problem, solved.x, settings.cuts):
                    return best
            else:
                return best
            if time.perf_counter() > self.clock_limit_s:
                return best
        return best

    def _time_left(self) -> float:
        return max(0.5, self.clock_limit_s - time.perf_counter())

    def _model(self, everyone: Any, edges: FloatArray, leases: tuple[int, float]) -> FleetModel:
        chosen = np.flatnonzero(self.active)
        types = BoundTypes(
            self.types.index[chosen],
            self.types.price_per_s[chosen],
            self.types.duration_s[:, chosen],
        )
        return build_fleet_model(self.problem, types, everyone.only(chosen), edges, leases=leases)

    def _priced(
        self, fleet: FleetModel, everyone: Any, edges: FloatArray, dual: FloatArray
    ) -> tuple[Any, float]:
        """Return the types that must enter, and the bound with duals scaled to need none."""
        missing = np.zeros(len(self.types), dtype=bool)
        worst = 1.0
        for k in np.flatnonzero(~self.active):
            ratio = self._earning_ratio(fleet, everyone, edges, dual, int(k))
            worst = max(worst, ratio)
            missing[k] = ratio > 1 + 1e-4
        usd = dual_bound(fleet.model, dual / worst) * fleet.unit_usd
        return missing, usd

    def _earning_ratio(
        self, fleet: FleetModel, everyone: Any, edges: FloatArray, dual: FloatArray, k: int
    ) -> float:
        """Return the most that a lease of a left-out type earns per dollar it costs.

        A vCPU of it earns in a bucket at most the best rate over the groups that it could serve:
        what the work is worth (row 1), less what its place costs (row 3, a dual <= 0).
        """
        model, problem = fleet.model, self.problem
        worth = dual[model.rows["work"]]
        place = np.zeros((len(everyone), edges.size - 1))
        place.ravel()[fleet.place_cells] = dual[model.rows["place"]]
        work = everyone.vcpu_s[:, k]
        served = np.isfinite(work) & (worth > 0)
        if not served.any():
            return 0.0
        free = self._serve_free(everyone, work, served, worth)
        rate = worth[served, None] / np.maximum(work[served, None], 1e-12) + place[served]
        rate = np.where(everyone.overlap(edges)[served] > 0, rate, 0.0)
        catalog_k = self.types.index[k]
        best = np.maximum(rate.max(axis=0), 0.0) * float(problem.catalog.vcpus[catalog_k])
        earned = np.concatenate([[0.0], np.cumsum(best * np.diff(edges))])
        first, last = np.triu_indices(edges.size, 1)
        held = edges[last] - edges[first] + problem.boot_s
        least = problem.billing.billed_s(problem.boot_s)
        unit = self.types.price_per_s[k] / fleet.unit_usd
        cost = unit * np.maximum(held, least)
        revenue = earned[last] - earned[first] + free
        per_lease = float(dual[model.rows["leases"]].sum())
        return float(((revenue + per_lease) / cost).max())

    @staticmethod
    def _serve_free(everyone: Any, work: FloatArray, served: Any, worth: FloatArray) -> float:
        """Return what groups without any work are worth: whoever serves them takes it all."""
        none = served & (work <= 1e-9)
        return float(worth[none].sum())

    def _barriers(self) -> list[_Barrier]:
        """Return tasks with much work both before and after them, the most divisive first."""
        from autoscale.lp import kernels

        w = self.problem.workflow
        work = self.problem.fastest_s * w.vcpus
        degree = np.diff(w.parent_ptr) + np.diff(w.child_ptr)
        candidates = np.argsort(-degree, kind="stable")[:64]
        before, after = kernels.work_around(
            candidates, w.parent_ptr, w.parents, w.child_ptr, w.children, work
        )
        score = np.minimum(before, after)
        chosen = np.argsort(-score, kind="stable")[: self.settings.barriers]
        return [
            _Barrier(
                int(task),
                kernels.reached(task, w.parent_ptr, w.parents),
                kernels.reached(task, w.child_ptr, w.children),
            )
            for task in candidates[chosen[score[chosen] > 0.03 * work.sum()]]
        ]

    def _children(
        self, node: _Node, barriers: list[_Barrier]
    ) -> list[tuple[FloatArray, FloatArray, tuple[int, float]]]:
        """Split the node where its relaxation is least like a plan."""
        low, high = node.start_low, node.start_high
        fleet, x = node.relaxed.fleet, node.relaxed.x
        if fleet is None or x is None:
            return []
        total = float(x[fleet.opened].sum())
        part = total - np.floor(total)
        least, most = node.leases
        if total < 40 and 0.02 < part < 0.98 and least <= np.floor(total) < most:
            below, above = float(np.floor(total)), int(np.ceil(total))
            return [(low, high, (least, below)), (low, high, (above, most))]
        splits = [self._overlap(fleet, x, barrier) for barrier in barriers]
        if not splits or max(split[0] for split in splits) < 0.01:
            return []
        which = int(np.argmax([split[0] for split in splits]))
        task, moment = barriers[which].task, splits[which][1]
        earlier, later = high.copy(), low.copy()
        earlier[task], later[task] = moment, moment
        return [(low, earlier, node.leases), (later, high, node.leases)]

    def _overlap(self, fleet: FleetModel, x: FloatArray, barrier: _Barrier) -> tuple[float, float]:
        """Return how far the relaxation ignores a barrier, and the moment that shows it best.

        At that moment the lesser of the work before the barrier that is still to come and the
        work behind it that is already done is largest; it is given as a part of all work.
        """
        work = self.problem.fastest_s * self.problem.workflow.vcpus
        groups, edges = fleet.groups, fleet.edges
        done = np.zeros((len(groups), edges.size - 1))
        np.add.at(done, (fleet.group, fleet.bucket), x[fleet.x])
        sides = []
        for member in (barrier.before, barrier.after):
            amount = np.bincount(groups.of_task, weights=work * member, minlength=len(groups))
            sides.append(np.concatenate([[0.0], np.cumsum(amount @ done)]))
        to_come, ahead = sides[0][-1] - sides[0], sides[1]
        ignored = np.minimum(to_come, ahead)
        at = int(np.argmax(ignored))
        return float(ignored[at] / work.sum()), float(edges[at])


def settings_for(problem: Problem, *, quick: bool = False) -> BoundSettings:
    """Return settings that keep a linear program of the problem within about a second."""
    base = BoundSettings()
    if quick:
        return replace(base, buckets=24, groups=60, cut_rounds=1, nodes=1)
    return base
