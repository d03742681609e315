"""Planner ``lp`` for workflows of many thousand tasks: few list schedules, chosen well.

A list schedule of a million tasks takes seconds, so each has to count. Which type new leases
take and how slack is shared are settled one after the other; then schedules follow the relaxation
of the bound, which runs beside; then slack is shared ever differently while time is left.

Slack by the work of stages: a stage is the tasks of one category on one level. When a stage gets
time in proportion to its work, all stages need equally many machines, and the machines of one
serve the next without another boot; its square root is the compromise with giving each the same.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import require_interrupt
from autoscale.lp.bound import CostBound
from autoscale.lp.relaxing import BoundSettings
from autoscale.lp.work import work_bound_usd
from autoscale.optimize.incumbent import Incumbent, guarded
from autoscale.optimize.portfolio import (
    Offer,
    guided_target_s,
    offers,
    preferred_types,
    share_of_work,
    stages,
)
from autoscale.plan.decode import tighten
from autoscale.schedulers import get_scheduler
from autoscale.schedulers.list_scheduler import Setting, lateness_s, list_plan, targets_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autoscale.lp.bound import Bound
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)

TASKS_A_SECOND = 1e5
"""Nominal speed of one list schedule; counting by it keeps the plan the same on every machine."""

SEARCH_PART = 0.7
"""Part of the time limit that list schedules may take, in nominal seconds."""

KINDS = 3
"""Types that are preferred, one at a time."""

GUIDED_PARTS = (0.999, 0.9)
"""Parts of a task's work that the relaxation has done when the task should end."""

SPREAD = 0.6
"""Standard deviation of the logarithm by which slack weights of a stage are changed."""

CLASSIC = {"gain-deadline": 20_000, "prolis": 20_000, "spss": 10_000}
"""Schedulers of the literature that join the search, up to so many tasks: above, they take long."""

IDLE_TRIES = 40
"""Changes of the slack weights without a better plan after which the search ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What the list scheduler is told.

    Parameters
    ----------
    offer
        Number of the part of the catalogue.
    prefer
        Type that new leases take where it is fast enough, numbered in the catalogue; or -1.
    power
        See :class:`autoscale.schedulers.list_scheduler.Setting`.
    weight
        Slack weights; None gives every task all the slack.
    part
        Where the targets follow the relaxation: part of a task's work; else None.
    """

    offer: int
    prefer: int
    power: float = 0.0
    weight: FloatArray | None = None
    part: float | None = None


def plan_large(
    problem: Problem,
    *,
    seed: int,
    time_limit_s: float,
    gap: float = 0.0,
    tell: Callable[[float, float], None] | None = None,
) -> tuple[Plan, float, str]:
    """Return (plan, lower bound on cost in USD, how the bound was found).

    Parameters are those of :func:`autoscale.optimize.lp_planner.plan_lp`.
    """
    limit = time.perf_counter() + time_limit_s
    most = max(2, int(SEARCH_PART * time_limit_s * TASKS_A_SECOND / len(problem.workflow)))
    search = _ListSearch(problem, seed, limit, most)
    state = Incumbent(
        search.first(), work_bound_usd(problem), gap, tell or (lambda cost, bound: None)
    )
    state.tell(state.plan.cost_usd, state.bound_usd)
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            job = pool.submit(search.run, state)
            bound = guarded(lambda: _bound(search, state, limit))
            search.follow(None)
            if bound is not None:
                state.method = bound.method
            job.result()
        except (KeyboardInterrupt, SystemError) as error:
            require_interrupt(error)
            logger.warning("interrupted: the best plan so far is kept")
        finally:
            search.cancelled.set()
            search.follow(None)
    if time.perf_counter() + 2 * search.slowest_s < limit:
        state.offer(tighten(state.plan))
    return state.plan, state.bound_usd, state.method


def _bound(search: _ListSearch, state: Incumbent, limit: float) -> Bound:
    """Raise the bound as far as time allows; the search learns of the first relaxation."""
    problem = search.problem
    deadline = problem.deadline_s
    if deadline is None or not deadline > problem.boot_s or lateness_s(state.plan) > 0:
        raise ValueError("no deadline that leaves time to model, or none that was met")
    bound = CostBound(
        problem,
        settings=BoundSettings(nodes=12),
        used_types=np.unique(state.plan.lease_type),
        clock_limit_s=limit,
        cost_usd=state.plan.cost_usd,
    )
    root = bound.root()
    state.raise_bound(root.usd)
    search.follow(root)
    return bound.branch(lambda: state.plan.cost_usd, state.raise_bound, state.gap)


class _ListSearch:
    """List schedules, each chosen in the light of those before."""

    def __init__(self, problem: Problem, seed: int, limit: float, most: int) -> None:
        self.problem, self.limit, self.left = problem, limit, most
        self.rng = np.random.default_rng(seed)
        self.offers = offers(problem)[1:] or [Offer.whole(problem)]
        self.kinds = preferred_types(problem)[:KINDS]
        self.stage = stages(problem)
        self.best = _Choice(offer=0, prefer=self.kinds[0], weight=self._by_work(0.5))
        self.best_cost = np.inf
        self.slowest_s = 0.0
        self.cancelled, self.followed = Event(), Event()
        self.root: Bound | None = None

    def first(self) -> Plan:
        """Return a first plan, on time if any of a few ways leads there."""
        whole = len(self.offers) - 1
        sharing = (self.best.weight, self._by_work(0.0), None)
        tries = [
            replace(self.best, offer=offer, prefer=prefer, weight=weight)
            for offer, prefer in ((0, self.best.prefer), (whole, self.best.prefer), (whole, -1))
            for weight in sharing
        ]
        plans = []
        for choice in tries:
            plan = self._planned(choice)
            if plan is None:
                continue
            plans.append(plan)
            if lateness_s(plan) == 0.0:
                self.best, self.best_cost = choice, plan.cost_usd
                break
        return min(plans, key=lambda plan: (lateness_s(plan), plan.cost_usd))

    def follow(self, root: Bound | None) -> None:
        """Let the search go on to follow a relaxation, or without one."""
        self.root = self.root or root
        self.followed.set()

    def run(self, state: Incumbent) -> None:
        """Offer ever better plans until the effort, the time or the gap says to end."""
        self._try_classics(state)
        for choice in self._choices():
            in_time = time.perf_counter() + 1.2 * self.slowest_s < self.limit
            if self.left <= 0 or not in_time or self.cancelled.is_set() or state.reached():
                return
            planned = self._planned(choice)
            if planned is None or lateness_s(planned) > 0:
                continue
            if planned.cost_usd < self.best_cost:
                self.best, self.best_cost = choice, planned.cost_usd
                state.offer(planned)

    def _try_classics(self, state: Incumbent) -> None:
        """Offer what schedulers of the literature make, where the workflow is not too large."""
        if self.problem.deadline_s is None:
            return
        for name in (name for name, most in CLASSIC.items() if self.stage.size <= most):
            if self.cancelled.is_set() or time.perf_counter() > self.limit or state.reached():
                return
            plan = get_scheduler(name)(self.problem, rng=self.rng)
            if lateness_s(plan) == 0.0:
                state.offer(plan)

    def _planned(self, choice: _Choice) -> Plan | None:
        """Return the list schedule of a choice, or None where it makes no sense."""
        offer, prefer = self.offers[choice.offer], -1
        if choice.prefer >= 0:
            at = np.flatnonzero(offer.kinds == choice.prefer)
            if at.size == 0:
                return None
            prefer = int(at[0])
        began = time.perf_counter()
        self.left -= 1
        target: FloatArray | None
        if choice.part is not None and self.root is not None:
            target = guided_target_s(offer.problem, self.root, choice.part)
            if target is None:
                return None
        else:
            target = targets_s(offer.problem, choice.weight)
        setting = Setting(share_power=choice.power, prefer=prefer)
        plan = offer.lift(list_plan(offer.problem, target, setting), self.problem)
        self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
        return plan

    def _choices(self) -> Iterator[_Choice]:
        """Yield what to try next; ``self.best`` changes in between."""
        kinds = [*self.kinds, -1]
        for kind in kinds[1:]:
            yield replace(self.best, prefer=kind)
        if self.problem.deadline_s is None:
            return
        # Which type is best and how slack is best shared hang together.
        even = self._by_work(0.0)
        for kind in [self.best.prefer, *(k for k in kinds if k != self.best.prefer)]:
            yield replace(self.best, prefer=kind, weight=even)
        yield replace(self.best, weight=self._by_work(0.0, by_task=False))
        yield replace(self.best, weight=self._by_work(1.0, by_task=False))
        yield replace(self.best, weight=np.ones(len(self.problem.workflow)))
        yield replace(self.best, weight=None)
        for number in range(1, len(self.offers)):
            yield replace(self.best, offer=number)
        self.followed.wait(max(0.0, self.limit - time.perf_counter()))
        if self.root is not None:
            sharing = self.best
            for part in GUIDED_PARTS:
                yield replace(sharing, part=part)
        yield replace(self.best, power=1.0)
        yield from self._changed_weights()

    def _changed_weights(self) -> Iterator[_Choice]:
        idle, n_stages = 0, int(self.stage.max()) + 1
        while idle < IDLE_TRIES:
            before = self.best_cost
            step = self.rng.normal(0.0, SPREAD, n_stages)
            step *= self.rng.random(n_stages) < max(2.0 / n_stages, 0.25)
            base = self.best.weight
            weight = np.ones(self.stage.size) if base is None else base
            yield replace(self.best, weight=weight * np.exp(step)[self.stage], part=None)
            idle = 0 if self.best_cost < before * (1 - 1e-4) else idle + 1

    def _by_work(self, power: float, *, by_task: bool = True) -> FloatArray:
        """Return weights that give a stage time in proportion to a power of its work.

        Parameters
        ----------
        power
            0 gives every stage the same, 1 lets all stages need equally many machines.
        by_task
            Whether long and short tasks of a stage get the same time, else the same stretch.
        """
        fastest, stage = self.problem.fastest_s, self.stage
        mean = max(float(fastest.mean()), 1e-9)
        work = np.bincount(stage, weights=fastest * self.problem.workflow.vcpus)
        typical = fastest if by_task else (work / np.bincount(stage))[stage]
        share = share_of_work(self.problem, stage) ** power
        out: FloatArray = np.maximum(share, 1e-6) * mean / np.maximum(typical, 1e-3 * mean)
        return out
