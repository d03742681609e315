"""A certified lower bound on the cost of any plan: relaxations of growing size, then branching.

Relaxing.py says what is solved. Small models find the types that matter, and those that no better
plan leases (useful.py). Barriers are tasks with work before and after them: plain windows let both
sides use all the slack; branching on when the barrier starts makes them share it. So does branching
on the number of leases, which is whole (branching.py). Halves are solved by the dual simplex method
from where the whole ended, and get models of their own every few splits. The bound is the least
over the leaves, whenever the search stops.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from autoscale.lp.branching import Region, Splitter, dearest_fraction
from autoscale.lp.fleet import Limits
from autoscale.lp.relaxing import BoundSettings, Relaxed, Relaxer
from autoscale.lp.useful import affordable, confined, lengthened, needless
from autoscale.lp.work import SAFETY, work_bound_usd

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.lp.windows import Windows
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem

NEARLY_AS_GOOD = 0.95
"""Branching goes on with the smallest model whose first bound is at least this part of the best:
many nodes of a small model say more than few of a large one."""

MANY_TASKS = 50_000
"""Above so many tasks a small model says as much as a large one: groups are large anyway."""

RENEWED = 3
"""Splits after which a node gets a model of its own: until then it goes on from the basis of the
one before, which says less and takes a small fraction of the time."""

STALLED = 6
"""Splits in a row without a gain after which a finer model takes over."""

GAIN = 1e-4
"""Relative rise of a bound that counts as a gain."""

GAINLESS = 1e-7
"""A split worth no more is not made where a finer model might say more."""

LENGTHENED = 0.002
"""Part by which tasks must take longer without the types that no better plan leases: then the
relaxation is solved anew without them."""

PROBES = 6
"""Numbers of leases of dear types that are settled before the branching."""

STAGES = ((4, 12, 0), (8, 20, 0), (16, 40, 1))
"""Buckets, groups and cut rounds of the models before the one of full size: small ones find the
types that matter in a fraction of the time."""

PROBE = 1
"""Which of these probes what branching is worth."""

GLANCED = 2
"""Stages that are left after a glance."""

FULL_BELOW = 5000
"""Only where the last of the stages has no more variables does the model of full size follow:
above, it takes many times as long and hardly says more."""

UNDONE_DEARER = 300.0
"""How much dearer undone work is than any plan, where only the possibility of one is asked."""


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
    region: Region = field(compare=False)
    relaxed: Relaxed = field(compare=False)
    level: int = field(compare=False, default=0)
    age: int = field(compare=False, default=0)
    stalled: int = field(compare=False, default=0)


class CostBound:
    """A lower bound on the cost of any plan that meets the problem's deadline.

    Best-first branching on barriers' starts and on the number of leases: :meth:`root` solves the
    first relaxation, :meth:`branch` goes on from there.

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
    cost_usd
        Cost of a plan at hand: the bound is then on better plans, and at most this.
    release_s, due_s
        Beyond the problem's rules, each task starts no earlier and ends no later, seconds from
        submission, shape (tasks,); no later than the deadline. None for no such limit.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        settings: BoundSettings | None = None,
        used_types: IntArray | None = None,
        clock_limit_s: float = np.inf,
        cost_usd: float | None = None,
        release_s: FloatArray | None = None,
        due_s: FloatArray | None = None,
    ) -> None:
        self.cost_usd = cost_usd if cost_usd is not None else np.inf
        self.settings = settings or settings_for(problem)
        self.clock_limit_s = clock_limit_s
        penalty_usd = 2 * (cost_usd if cost_usd is not None else _dear_usd(problem))
        fewer = affordable(problem, self.cost_usd)
        self.relaxer = Relaxer(fewer, used_types, penalty_usd, release_s, due_s)
        self.numbers = itertools.count()
        self.solved = 0
        self.open_nodes: list[_Node] = []
        self.first: _Node | None = None
        self.pause_at_s = np.inf
        full = self.settings
        self.stages = [
            replace(
                full,
                buckets=min(buckets, full.buckets),
                groups=min(groups, full.groups),
                cut_rounds=rounds,
            )
            for buckets, groups, rounds in STAGES
        ]
        self.small = self.stages[PROBE]
        self.stages.append(full)
        self.tried: list[tuple[BoundSettings, float]] = []

    def glance(self, *, pause_at_s: float = np.inf) -> Bound:
        """Return the bound of small relaxations, which say what a good fleet looks like.

        Parameters
        ----------
        pause_at_s
            Reading of ``time.perf_counter()`` at which to leave the rest to :meth:`root`.
        """
        self.pause_at_s = pause_at_s
        self._advance(GLANCED)
        self.pause_at_s = np.inf
        assert self.first is not None
        return self._bound(self.first)

    def root(self, *, pause_at_s: float = np.inf) -> Bound:
        """Return the bound of the first relaxation: of ever larger models, as time allows.

        Small ones find the types that matter, and stand where a larger one takes too long.

        Parameters
        ----------
        pause_at_s
            Reading of ``time.perf_counter()`` at which to leave the rest to :meth:`branch`.
        """
        self.pause_at_s = pause_at_s
        self._advance(0)
        self.pause_at_s = np.inf
        assert self.first is not None
        self.open_nodes = [self.first]
        return self._bound(self.first)

    def _advance(self, left: int) -> None:
        """Solve stages until so many are left or it is time to stop."""
        while len(self.stages) > left:
            self.settings = self.stages[0]
            node = self._first_node(self.first.region if self.first is not None else None)
            self.tried.append((self.settings, node.bound_usd))
            self.first = self._no_worse(node, self.first)
            if time.perf_counter() > self._stop_s:
                return
            if self._forget_types():
                continue
            self.stages.pop(0)
            if len(self.stages) == 1:
                self.first = self._probed(self.first)
                if _size(self.first) > FULL_BELOW:
                    self.stages.clear()

    @property
    def _stop_s(self) -> float:
        return min(self.clock_limit_s, self.pause_at_s)

    @staticmethod
    def _no_worse(node: _Node, before: _Node | None) -> _Node:
        """Return the node with the better of the two bounds, and a relaxation if there is one."""
        if before is None:
            return node
        if node.relaxed.fleet is None and np.isfinite(node.bound_usd):
            node = replace(node, relaxed=before.relaxed)
        return replace(node, bound_usd=max(node.bound_usd, before.bound_usd))

    def _first_node(self, region: Region | None) -> _Node:
        floor = work_bound_usd(self.relaxer.problem) / SAFETY
        return self._node(region or self._everything(), floor)

    def _probed(self, node: _Node) -> _Node:
        """Return the first node with the numbers of dear leases settled where that is easy.

        Where plans with fewer leases of a type than the relaxation rents cost more than the plan
        at hand, every better plan has at least the next whole number of them.
        """
        for _ in range(PROBES):
            fleet, x = node.relaxed.fleet, node.relaxed.x
            if fleet is None or x is None or time.perf_counter() > self._stop_s:
                break
            choice = dearest_fraction(fleet, x, self.relaxer.types.index)
            if choice is None:
                break
            fewer, more = (
                node.region._replace(limits=limits) for limits in node.region.limits.split(*choice)
            )
            if self._first_node(fewer).bound_usd * SAFETY < self.cost_usd:
                break
            node = self._first_node(more)
        return node

    def branch(
        self, target_usd: Callable[[], float], tell: Callable[[float], None], gap: float = 0.0
    ) -> Bound:
        """Return the bound after branching.

        Parameters
        ----------
        target_usd
            Gives the cost of the best plan at hand; the search stops when the bound reaches it.
        tell
            Called with each better bound, USD.
        gap
            The search also stops when the cost exceeds the bound by no more than this part of it.
        """
        self.heed(target_usd())
        if self.stages and self.first is not None:  # the root was told to pause
            self._advance(0)
            self.open_nodes = [self.first]
        best = self.open_nodes[0]
        enough = NEARLY_AS_GOOD * best.bound_usd
        levels = [settings for settings, usd in self.tried if usd >= enough] or [self.settings]
        splitter = Splitter(self.relaxer.problem, self.settings.barriers)
        while self.open_nodes:
            best = self.open_nodes[0]
            tell(SAFETY * best.bound_usd)
            within = best.bound_usd * (1 + gap) * (1 + 1e-9) >= target_usd() * SAFETY
            if within or best.relaxed.x is None:
                break
            if self.solved >= self.settings.nodes or time.perf_counter() > self.clock_limit_s:
                break
            children = self._expanded(best, levels, splitter, target_usd())
            if not children:
                break
            heapq.heappop(self.open_nodes)
            for child in children:
                if np.isfinite(child.bound_usd):
                    heapq.heappush(self.open_nodes, child)
        return self._bound(best)

    def _expanded(
        self, node: _Node, levels: list[BoundSettings], splitter: Splitter, cost_usd: float
    ) -> list[_Node]:
        """Return what makes up a node: its halves, or itself with its own or a finer model.

        Nothing where the finest model has nothing left to split.
        """
        finer = node.level + 1 < len(levels)
        stalled = finer and node.stalled >= STALLED
        self.settings = levels[node.level]
        if node.age < RENEWED and not stalled:
            children = self._children(node, splitter, cost_usd, finer)
            if children or not (node.age or finer):
                return children
        level = node.level + 1 if stalled or (finer and not node.age) else node.level
        self.settings = levels[level]
        return [self._node(node.region, node.bound_usd, level)]

    def _children(
        self, node: _Node, splitter: Splitter, cost_usd: float, could_be_finer: bool
    ) -> list[_Node]:
        """Return the halves of a node, or nothing where they gain nothing."""
        windows = self.relaxer.windows(node.region)
        splits = splitter.splits(node.region, windows, node.relaxed, self.relaxer.types.index)
        if not splits:
            return []
        near = node.relaxed if node.relaxed.basis is not None else self._small(node.region)
        probed: list[tuple[Region, Relaxed | None]] = []

        def probe(region: Region) -> float:
            in_time = time.perf_counter() < self._stop_s
            relaxed = self.relaxer.solve_near(near, region) if in_time else None
            probed.append((region, relaxed))
            return near.bound_usd if relaxed is None else relaxed.bound_usd

        split, worth = splits[0], np.inf
        if near.bound_usd > 0:  # 0: no time was left to ask
            split, worth = splitter.best(splits, probe, near.bound_usd, cost_usd)
        if (could_be_finer or node.age) and worth <= GAINLESS:
            return []
        if near is not node.relaxed:
            probed = []
        return [self._half(node, region, probed) for region in split.halves]

    def _half(
        self, node: _Node, region: Region, probed: list[tuple[Region, Relaxed | None]]
    ) -> _Node:
        """Return the node of a part of another one's region, from the probes if it is there."""
        child = None
        for part, relaxed in probed:
            if part is region and relaxed is not None:
                usd = max(relaxed.bound_usd, node.bound_usd)
                child = _Node(usd, next(self.numbers), region, relaxed, node.level, node.age + 1)
                self.solved += 1
        if child is None:
            child = self._node(region, node.bound_usd, node.level)
        gained = child.bound_usd > node.bound_usd * (1 + GAIN)
        return replace(child, stalled=0 if gained else node.stalled + 1)

    def _bound(self, node: _Node) -> Bound:
        plural = "s" if self.solved > 1 else ""
        method = f"fluid fleet LP with packing cuts, {self.solved} node{plural}"
        windows = self.relaxer.windows(node.region)
        # Better plans than the one at hand were the only ones looked at.
        usd = min(SAFETY * node.bound_usd, self.cost_usd)
        return Bound(usd, method, windows, node.relaxed)

    def heed(self, cost_usd: float) -> None:
        """Bound only plans cheaper than this from now on: one that costs so much is at hand."""
        if cost_usd < self.cost_usd:
            self.cost_usd = cost_usd
            if self._forget_types() and not self.stages:
                self.stages.append(self.settings)

    def _forget_types(self) -> bool:
        """Leave out types that no better plan leases; return whether windows are narrower then."""
        assert self.first is not None
        relaxer = self.relaxer
        fewer = affordable(relaxer.problem, self.cost_usd)
        out = needless(self.first.relaxed, self.cost_usd)
        if out.any():
            fewer = confined(fewer, ~out)
        if lengthened(fewer, relaxer.problem) <= LENGTHENED:
            return False
        relaxer.confine(fewer, relaxer.types.index[relaxer.active])
        self.first = replace(self.first, region=self._everything())
        return True

    def _everything(self) -> Region:
        n = len(self.relaxer.problem.workflow)
        return Region(np.zeros(n), np.full(n, np.inf), Limits.none(len(self.relaxer.types)))

    def _small(self, region: Region) -> Relaxed:
        """Return a small relaxation within a region."""
        settings, solved = self.settings, self.solved
        self.settings = self.small
        node = self._node(region, 0.0)
        self.settings, self.solved = settings, solved
        return node.relaxed

    def _node(self, region: Region, floor: float, level: int = 0) -> _Node:
        self.solved += 1
        self.relaxer.stop_s = self._stop_s
        relaxed = self.relaxer.solve(region, self.settings, floor)
        return _Node(relaxed.bound_usd, next(self.numbers), region, relaxed, level)


def _size(node: _Node) -> int:
    """Return how many variables the node's relaxation has; 0 without any."""
    return node.relaxed.fleet.model.n_variables if node.relaxed.fleet is not None else 0


def rules_out(problem: Problem, clock_limit_s: float) -> bool:
    """Return whether the relaxation proves that no plan meets the deadline within the quotas.

    Where any plan does, the cheapest costs no more than a lease of its own for every task: leases
    can be cut where they are idle without exceeding a quota. Leaving work undone is made far
    dearer than that, so a bound above it means that work has to be left undone.
    """
    dear = _dear_usd(problem)
    bound = CostBound(problem, clock_limit_s=clock_limit_s)
    bound.relaxer.penalty_usd = UNDONE_DEARER * dear
    return bound.root().usd > dear


def _dear_usd(problem: Problem) -> float:
    """Return what a lease of its own for every task would cost at most, USD."""
    price = float(problem.catalog.price_per_s.max())
    held = problem.duration_s[np.isfinite(problem.duration_s)].max(initial=0.0) + problem.boot_s
    return len(problem.workflow) * price * problem.billing.billed_s(held)


def settings_for(problem: Problem, *, quick: bool = False) -> BoundSettings:
    """Return settings for a problem; ``quick`` ones keep a linear program well below a second."""
    base = BoundSettings()
    if quick or len(problem.workflow) > MANY_TASKS:
        return replace(base, buckets=24, groups=60, cut_rounds=1)
    return base
