"""The planner ``lp``: quick plans, improvement, and the fleet LP's bound, side by side.

The improvement runs in a thread of its own (its compiled search holds no lock), the bound in the
caller's; both count work rather than read the clock, so that a plan does not depend on how busy
the machine is unless the time limit strikes.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import require_interrupt
from autoscale.lp.bound import CostBound, rules_out
from autoscale.lp.work import METHOD, work_bound_usd
from autoscale.optimize.fleets.search import climb, guided_fleets
from autoscale.optimize.fleets.squeezing import one_quantum, squeeze
from autoscale.optimize.improve import improve
from autoscale.optimize.incumbent import Incumbent, guarded
from autoscale.optimize.large import plan_large
from autoscale.optimize.portfolio import (
    Start,
    distinct,
    guided_starts,
    share_slack_better,
    soonest,
    varied,
)
from autoscale.optimize.refusals import refuse_for_quotas
from autoscale.optimize.starts import FLEET_WITHIN, Starts
from autoscale.schedulers.list_scheduler import LARGE_TASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.lp.bound import Bound
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)

ROOT_PART = 0.4
"""Part of the time limit after which the search goes on with the relaxation as far as it is."""

GLANCE_PART = 0.15
"""Part of the time limit after which it has to do with what small relaxations say."""

STARTS = 4
"""Quick plans that are improved."""


def plan_lp(
    problem: Problem,
    *,
    seed: int,
    time_limit_s: float,
    gap: float = 0.0,
    tell: Callable[[float, float], None] | None = None,
) -> tuple[Plan, float, str]:
    """Return (plan, lower bound on cost in USD, how the bound was found).

    Parameters
    ----------
    problem
        With a deadline, or without one (then time is free).
    seed
        Seed of the improvement.
    time_limit_s
        Seconds for everything.
    gap
        Wanted gap; the search ends when it is reached.
    tell
        Called with cost and bound whenever either gets better.
    """
    limit = time.perf_counter() + time_limit_s
    tell = tell or (lambda cost, bound: None)
    if len(problem.workflow) > LARGE_TASKS and not problem.quotas:
        return plan_large(problem, seed=seed, time_limit_s=time_limit_s, gap=gap, tell=tell)
    first = Starts(problem, time_limit_s, limit)
    interrupted = first.begin()
    if interrupted:
        return first.best.plan, work_bound_usd(problem), METHOD
    if not first.found:
        refuse_for_quotas(problem, soonest(problem), rules_out(problem, limit))
    state = Incumbent(first.best.plan, work_bound_usd(problem), gap, tell)
    state.tell(state.plan.cost_usd, state.bound_usd)
    glanced: Future[Bound | None] = Future()
    found: Future[Bound | None] = Future()
    search = _Search(first, state, seed, time_limit_s, limit)
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            job = pool.submit(search.run, glanced, found)
            bounding = _bounding(problem, first.best, limit)
            if bounding is not None:
                _prove(bounding, state, glanced, found, search.early_usd, limit, time_limit_s)
            _settle(glanced, found)
            job.result()
        except (KeyboardInterrupt, SystemError) as error:
            require_interrupt(error)
            logger.warning("interrupted: the best plan so far is kept")
        finally:
            search.cancelled.set()
            _settle(glanced, found)
    return state.plan, state.bound_usd, state.method


def _prove(
    bounding: CostBound, state: Incumbent, glanced: Future[Bound | None],
    found: Future[Bound | None], early_usd: Future[float], limit: float, time_limit_s: float,
) -> None:  # fmt: skip
    """Raise the bound as far as time allows; what the search waits for is handed over on the way.

    Parameters
    ----------
    bounding
        The search for the bound.
    state
        Gets every bound.
    glanced, found
        Get the small relaxation and the first one of full size; not set where there is none.
    early_usd
        Gets the cost of the best plan that follows no relaxation. The bound waits for it, not for
        whatever is the best by then: what follows must not depend on which thread is quicker.
    limit, time_limit_s
        Reading of the clock at the end, and seconds for everything.
    """
    soon_s, later_s = (limit - (1 - part) * time_limit_s for part in (GLANCE_PART, ROOT_PART))
    glanced.set_result(guarded(lambda: bounding.glance(pause_at_s=soon_s)))
    with suppress(TimeoutError):
        bounding.heed(early_usd.result(max(0.0, soon_s - time.perf_counter())))
    root = guarded(lambda: bounding.root(pause_at_s=later_s))
    if root is None:
        return
    state.raise_bound(root.usd)
    state.method = root.method
    found.set_result(root)
    bound = guarded(
        lambda: bounding.branch(lambda: state.plan.cost_usd, state.raise_bound, state.gap)
    )
    if bound is not None:
        state.method = bound.method


def _settle(*relaxations: Future[Bound | None]) -> None:
    """Tell whoever waits for a relaxation that none will come."""
    for relaxation in relaxations:
        if not relaxation.done():
            relaxation.set_result(None)


def _bounding(problem: Problem, start: Start, limit: float) -> CostBound | None:
    """Return the search for the bound, or None where no deadline leaves time to model."""
    if problem.deadline_s is None or not problem.deadline_s > problem.boot_s:
        return None
    used = np.unique(start.plan.lease_type).astype(np.int64)
    return CostBound(problem, used_types=used, clock_limit_s=limit, cost_usd=start.plan.cost_usd)


class _Search:
    """The search for plans, in a thread of its own.

    Parameters
    ----------
    first
        The quick plans, of which there is at least one.
    state
        Gets every plan.
    seed, time_limit_s, limit
        As of :func:`plan_lp`; the reading of the clock at which it ends.
    """

    def __init__(
        self, first: Starts, state: Incumbent, seed: int, time_limit_s: float, limit: float
    ) -> None:
        self.first, self.state, self.seed = first, state, seed
        self.time_limit_s, self.limit = time_limit_s, limit
        self.cancelled = Event()
        self.early_usd: Future[float] = Future()

    def run(self, glanced: Future[Bound | None], found: Future[Bound | None]) -> None:
        """Find plans: what needs no relaxation first, then what follows the ones that are found."""
        starts = self._early(glanced)
        root = None if self._stop(starts[0].plan) else found.result()
        if root is not None:
            models = [(start.setting, start.offer) for start in varied(starts, STARTS)]
            guided = guided_starts(self.first.problem, root, models, self.limit)
            starts = distinct([*starts, *guided])
        self._improve_all([start.plan for start in starts[:STARTS]], 0.35 * self.time_limit_s)
        if root is not None:
            self._squeeze(root.usd, 11, 0.1 * self.time_limit_s)

    def _stop(self, plan: Plan) -> bool:
        """Take a plan; return whether the search is over."""
        return self.state.offer(plan) or self.cancelled.is_set()

    def _early(self, glanced: Future[Bound | None]) -> list[Start]:
        """Make the quick plans, change fleets, share slack better, improve the best plan."""
        self.first.make(self._stop)
        starts = distinct(self.first.found)
        if self.cancelled.is_set():
            return starts
        starts += self._other_fleets(0.05 * self.time_limit_s)
        self.early_usd.set_result(distinct(starts)[0].plan.cost_usd)
        glance = glanced.result()
        starts += self._guided_fleets(glance) if glance is not None else []
        starts = distinct(starts)
        if self._stop(starts[0].plan):
            return starts
        starts += self._share_slack(starts, 0.1 * self.time_limit_s)
        starts = distinct(starts)
        if not self._stop(starts[0].plan):
            self._improve(starts[0].plan, 53, 0.05 * self.time_limit_s)
            self._squeeze(glance.usd if glance is not None else 0.0, 0, 0.05 * self.time_limit_s)
        return starts

    def _squeeze(self, bound_usd: float, number: int, effort_s: float) -> None:
        """Try cheaper fleets than that of the best plan, where their number is all that counts.

        The bound is one that does not depend on the clock: that of a relaxation, not the best.
        """
        if self._stop(self.state.plan) or not one_quantum(self.first.problem):
            return
        better = squeeze(
            self.state.plan, seed=self.seed + number, bound_usd=bound_usd, effort_s=effort_s,
            clock_limit_s=self.limit,
        )  # fmt: skip
        self._stop(better)

    def _share_slack(self, starts: list[Start], effort_s: float) -> list[Start]:
        """Search for better ways to share slack, from the best starts of different settings."""
        chosen = varied([start for start in starts if np.isfinite(start.plan.slack_s)], STARTS)
        return [
            share_slack_better(
                start,
                seed=self.seed + number,
                effort_s=effort_s / len(chosen),
                clock_limit_s=self.limit,
            )
            for number, start in enumerate(chosen)
            if not self.cancelled.is_set()
        ]

    def _other_fleets(self, effort_s: float) -> list[Start]:
        """Change the best fleets."""
        found = climb(
            self.first.fleets,
            seed=self.seed,
            effort_s=effort_s,
            cost_usd=FLEET_WITHIN * self.state.plan.cost_usd,
            clock_limit_s=self.limit,
        )
        return [fleet.start for fleet in found]

    def _guided_fleets(self, glance: Bound) -> list[Start]:
        """Try the fleet that a small relaxation rents, and change it."""
        found = guided_fleets(
            self.first.problem,
            glance,
            seed=self.seed,
            effort_s=0.1 * self.time_limit_s,
            cost_usd=FLEET_WITHIN * self.state.plan.cost_usd,
            clock_limit_s=self.limit,
        )
        return [fleet.start for fleet in found]

    def _improve_all(self, plans: list[Plan], effort_s: float) -> None:
        """Improve every start a little, then the best one for the rest of the effort."""
        tried = []
        for number, start in enumerate(plans):
            if self._stop(start):
                return
            tried.append(self._improve(start, number, 0.1 * effort_s))
        tried.sort(key=lambda plan: plan.cost_usd)
        for number, plan in enumerate(tried[:2]):
            if self._stop(plan):
                return
            self._improve(plan, 97 + number, (0.45, 0.15)[number] * effort_s)

    def _improve(self, plan: Plan, number: int, effort_s: float) -> Plan:
        return improve(
            plan,
            seed=self.seed + number,
            effort_s=effort_s,
            stop=self._stop,
            cancelled=self.cancelled.is_set,
            clock_limit_s=self.limit,
        )
