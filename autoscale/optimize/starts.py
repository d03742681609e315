"""All quick plans that planner ``lp`` begins with."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError, require_interrupt
from autoscale.optimize.fleets.search import Fleet, fleets_of_one_type
from autoscale.optimize.portfolio import Offer, Start, quick_starts
from autoscale.schedulers import get_scheduler
from autoscale.schedulers.list_scheduler import Setting, lateness_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)

SIMPLE = ("list", "fastest", "cheapest")
"""Simple schedulers that no plan is worse than."""

MANY_TASKS = 2_000
"""From so many tasks on, time is short for list schedules."""

CLASSIC = {"heft": (0, 5000), "spss": (0, 5000), "gain-deadline": (MANY_TASKS, 5000)}
"""Schedulers of the literature that join them, from and up to so many tasks: above, they take too
long. HEFT on a fleet of fixed size is hard to find by sharing slack where many short tasks need
many machines at once, and so is SPSS where few types have the network that some tasks need. Where
few list schedules can be tried, upgrades of single tasks may be better than any of them."""

EFFORT = 0.08
"""Part of the time limit that list schedules may take, and fleets as well."""

CLASSIC_PART = 0.1
"""Part of the time that is left after which these try nothing further."""

FLEET_WITHIN = 1.1
"""A fleet is worth a start when it costs at most this much of the best plan."""


class Starts:
    """Quick plans, found one by one.

    Parameters
    ----------
    problem
        What is planned.
    time_limit_s, limit
        Seconds for everything, and the reading of the clock at which they end.
    """

    def __init__(self, problem: Problem, time_limit_s: float, limit: float) -> None:
        self.problem, self.limit = problem, limit
        self.effort_s = EFFORT * time_limit_s
        self.found: list[Start] = []
        self.fleets: list[Fleet] = []

    @property
    def best(self) -> Start:
        """The cheapest so far."""
        return min(self.found, key=lambda start: start.plan.cost_usd)

    def begin(self) -> bool:
        """Make the first ones, and go on while there is none; return whether interrupted.

        Raises
        ------
        KeyboardInterrupt
            It came before there was any plan.
        """
        try:
            self._named(SIMPLE)
            if not self.found:
                self._quick(lambda start: False)
        except (KeyboardInterrupt, SystemError) as error:
            require_interrupt(error)
            if not self.found:
                raise
            logger.warning("interrupted: the best plan so far is kept")
            return True
        return False

    def make(self, stop: Callable[[Plan], bool]) -> None:
        """Make the others; ``stop`` is called with each plan and ends it when true."""
        self._fleets()
        if self.fleets and stop(self.fleets[0].start.plan):
            return
        if self._quick(lambda start: stop(start.plan)):
            return
        n = len(self.problem.workflow)
        self._named(tuple(name for name, (least, most) in CLASSIC.items() if least <= n <= most))

    def _named(self, names: tuple[str, ...]) -> None:
        limit_s = max(0.0, CLASSIC_PART * (self.limit - time.perf_counter()))
        for name in names:
            try:
                plan = get_scheduler(name)(
                    self.problem, rng=np.random.default_rng(0), time_limit_s=limit_s
                )
            except InputError as error:  # no single machine fits everything: the others will do
                logger.info("planner %r does not apply: %s", name, error)
                continue
            if lateness_s(plan) == 0.0:
                self.found.append(Start(plan, Setting(), None, Offer.whole(self.problem)))

    def _quick(self, stop: Callable[[Start], bool]) -> bool:
        """Make list schedules; return whether ``stop`` ended that."""
        over = False

        def keep(start: Start) -> bool:
            nonlocal over
            self.found.append(start)
            over = stop(start)
            return over

        quick_starts(self.problem, effort_s=self.effort_s, clock_limit_s=self.limit, keep=keep)
        return over

    def _fleets(self) -> None:
        if self.problem.deadline_s is None or self.problem.quotas:
            return
        self.fleets = fleets_of_one_type(
            self.problem,
            cost_usd=FLEET_WITHIN * self.best.plan.cost_usd,
            effort_s=self.effort_s,
            clock_limit_s=self.limit,
        )
        for fleet in self.fleets:
            self.found.append(fleet.start)
