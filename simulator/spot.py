"""Spot markets while a run goes on: when they are open, and what machines pay."""

from __future__ import annotations

import math
from bisect import bisect_right
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from simulator.luck import MARKET

if TYPE_CHECKING:
    from autoscale.model.problem import Problem
    from simulator.cloud import Machine
    from simulator.luck import Luck
    from simulator.market import Market


class Replay:
    """One market's trace, begun where this run begins in it."""

    def __init__(self, market: Market, offset_s: float) -> None:
        trace = market.trace
        self.offset_s = offset_s
        self.length_s = trace.length_s
        self.times_s: list[float] = trace.time_s.tolist()
        self.open: list[bool] = market.open.tolist()
        self.prices: list[float] | None = trace.value.tolist() if trace.kind == "price" else None

    def next_s(self, now: float, *, is_open: bool) -> float:
        """Return the first time from now on at which the market is open (or is closed)."""
        position = (now + self.offset_s) % self.length_s
        step = bisect_right(self.times_s, position) - 1
        if self.open[step] == is_open:
            return now
        passed_s, n = self._step_end(step) - position, len(self.open)
        for ahead in range(1, n):
            at = (step + ahead) % n
            if self.open[at] == is_open:
                return now + passed_s
            passed_s += self._step_end(at) - self.times_s[at]
        return math.inf

    def _step_end(self, step: int) -> float:
        return self.times_s[step + 1] if step + 1 < len(self.times_s) else self.length_s

    def mean_price(self, start_s: float, end_s: float) -> float:
        """Return the mean of a trace of prices over a span of time."""
        assert self.prices is not None
        if end_s <= start_s:
            return self.prices[self._step_at(start_s)]
        paid, now = 0.0, start_s
        while now < end_s:
            position = (now + self.offset_s) % self.length_s
            step = bisect_right(self.times_s, position) - 1
            # Rounding may end a step where it begins; then the next one is taken.
            until = max(now + (self._step_end(step) - position), math.nextafter(now, math.inf))
            until = min(until, end_s)
            paid += self.prices[step] * (until - now)
            now = until
        return paid / (end_s - start_s)

    def _step_at(self, now: float) -> int:
        return bisect_right(self.times_s, (now + self.offset_s) % self.length_s) - 1


class Markets:
    """The markets of a chance, and which machines they govern."""

    def __init__(self, luck: Luck, problem: Problem) -> None:
        spot = luck.chance.spot
        markets = spot.markets if spot else ()
        self._everything = spot is not None and spot.everything
        self._notice_s = spot.notice_s if spot else 0.0
        self._types = problem.catalog.types
        self._replays = [
            Replay(
                m,
                m.start_s if m.start_s is not None else luck.uniform(MARKET, i) * m.trace.length_s,
            )
            for i, m in enumerate(markets)
        ]
        self._of_type = [
            next((i for i, m in enumerate(markets) if fnmatchcase(t.name, m.types)), -1)
            if t.purchase == "spot" or self._everything
            else -1
            for t in self._types
        ]

    def __bool__(self) -> bool:
        return bool(self._replays)

    def _replay(self, machine: Machine) -> Replay | None:
        index = self._of_type[machine.type]
        return self._replays[index] if index >= 0 else None

    def opens_s(self, machine: Machine, now: float) -> float:
        """Return when a machine that is asked for now is granted; infinite if never.

        Nothing is granted that would be announced to be interrupted at once.
        """
        replay = self._replay(machine)
        if replay is None:
            return now
        for _ in range(len(replay.open)):
            now = replay.next_s(now, is_open=True)
            closes_s = replay.next_s(now, is_open=False) if now < math.inf else math.inf
            if closes_s - now > self._notice_s or now == math.inf:
                return now
            now = closes_s
        return math.inf

    def closes_s(self, machine: Machine, now: float) -> float:
        """Return when the market takes a machine back that was granted now."""
        replay = self._replay(machine)
        return math.inf if replay is None else replay.next_s(now, is_open=False)

    def price(self, machine: Machine, listed: float) -> float:
        """Return what the machine paid, USD per hour: the trace's mean, or the listed price."""
        replay = self._replay(machine)
        if replay is None or replay.prices is None:
            return listed
        return replay.mean_price(machine.requested_s, machine.released_s)
