"""Transfers that share links: max-min fairness over machines' links and the storage service.

Every transfer crosses its machine's link; all together cross the service. With weights, the fair
share of a transfer is in proportion to its weight (progressive filling; Bertsekas and Gallager,
Data Networks, 1992, section 6.5.2). All transfers on a link have the same rate per weight, so a
link keeps one clock, the bytes per weight that it has moved, and a heap of where on that clock
its transfers end: one event a completion, whatever the number of transfers.

Links that the service holds back all have the same rate per weight, the level; they share one
clock. The level is the service's bandwidth that the other links leave, by the weight of those that
it holds back. After a change links move between the two sides until none is on the wrong one:
each move raises the level, so they end.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    import simpy

    from simulator.cloud import Machine

ROUNDING = 1e-12
"""Clocks and rates this close (relative) are the same."""


class Link:
    """The link of one machine.

    While the service holds it back it moves with the service's clock, which is ``offset`` ahead of
    its own; else at its own rate.
    """

    __slots__ = (
        "capacity", "clock", "flows", "held", "offset", "rate", "since_s", "version",
        "weight",
    )  # fmt: skip

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.clock = self.since_s = self.rate = self.offset = self.weight = 0.0
        self.held = False
        self.version = 0
        self.flows: list[tuple[float, int, float, Callable[[], None]]] = []

    def ended(self) -> list[Callable[[], None]]:
        """Take out the transfers that have ended: the first, and those that end with it."""
        self.clock = max(self.clock, self.flows[0][0])
        reached, found = self.clock * (1 + ROUNDING), []
        while self.flows and self.flows[0][0] <= reached:
            _, _, weight, callback = heapq.heappop(self.flows)
            self.weight -= weight
            found.append(callback)
        return found


Entry = tuple[float, int, int, Link]  # key, number, version of the link, the link


def _first(heap: list[Entry]) -> Entry | None:
    """Return the first entry that still holds, without those that do not."""
    while heap and heap[0][2] != heap[0][3].version:
        heapq.heappop(heap)
    return heap[0] if heap else None


class Network:
    """The links of all machines and the service behind them.

    Parameters
    ----------
    env
        The environment.
    service
        Bytes per second that the storage service grants all transfers together, may be infinite.
    """

    def __init__(self, env: simpy.Environment, service: float) -> None:
        self.env = env
        self.service = service
        self._number = 0
        self._clock = self._since_s = 0.0
        self._level = math.inf
        self._held_weight = self._own_capacity = 0.0
        self._n_own = 0
        self._fastest: list[Entry] = []  # links at their own rate
        self._slowest: list[Entry] = []  # links that the service holds back
        self._ends: list[Entry] = []  # of those, by where on its clock their first transfer ends
        self._alarm = 0

    def transfer(
        self, machine: Machine, size: float, weight: float, ended: Callable[[], None]
    ) -> None:
        """Move ``size`` > 0 bytes over the machine's link and call ``ended``."""
        link = machine.link
        if link.capacity == math.inf and self.service == math.inf:
            ended()
            return
        self._take_out(link)
        if not link.flows:
            link.clock = 0.0
        self._number += 1
        heapq.heappush(link.flows, (link.clock + size / weight, self._number, weight, ended))
        link.weight += weight
        self._put_in(link)
        self._settle()

    def drop(self, machine: Machine) -> None:
        """Forget the transfers of a machine that is gone."""
        link = machine.link
        if link.flows:
            self._take_out(link)
            link.flows.clear()
            link.weight = 0.0
            self._settle()

    def _take_out(self, link: Link) -> None:
        """Bring a link's clock to now and count it on no side."""
        now = self.env.now
        if self._held_weight:
            self._clock += (now - self._since_s) * self._level
        self._since_s = now
        if not link.flows:
            return
        link.version += 1
        if link.held:
            link.clock = self._clock - link.offset
            self._held_weight -= link.weight
            return
        link.clock += (now - link.since_s) * link.rate
        if self.service < math.inf:
            self._n_own -= 1
            self._own_capacity = self._own_capacity - link.capacity if self._n_own else 0.0

    def _put_in(self, link: Link, *, held: bool | None = None) -> None:
        """Count a link with transfers on a side; the present level says which if not given."""
        own_rate = link.capacity / link.weight
        if self.service == math.inf:
            self._run_alone(link, own_rate)
            return
        link.held = own_rate > self._level or own_rate == math.inf if held is None else held
        self._number += 1
        key = (self._number, link.version, link)
        if link.held:
            if not self._held_weight:
                self._clock = 0.0
            link.offset = self._clock - link.clock
            self._held_weight += link.weight
            heapq.heappush(self._slowest, (own_rate, *key))
            heapq.heappush(self._ends, (link.flows[0][0] + link.offset, *key))
            return
        self._n_own += 1
        self._own_capacity += link.capacity
        heapq.heappush(self._fastest, (-own_rate, *key))
        self._run_alone(link, own_rate)

    def _run_alone(self, link: Link, own_rate: float) -> None:
        link.since_s, link.rate = self.env.now, own_rate
        delay_s = max(0.0, (link.flows[0][0] - link.clock) / own_rate)
        self.env.timeout(delay_s, (link, link.version)).callbacks.append(self._wake_own)

    def _settle(self) -> None:
        """Move links between the two sides until none is on the wrong one."""
        if self.service == math.inf:
            return
        while True:
            level = self._level = self._new_level()
            slow, fast = _first(self._slowest), _first(self._fastest)
            if slow is not None and slow[0] < level * (1 - ROUNDING):
                link, held = slow[3], False
            elif fast is not None and -fast[0] > max(level, 0.0) * (1 + ROUNDING):
                link, held = fast[3], True
            else:
                break
            self._take_out(link)
            self._put_in(link, held=held)
        self._watch()

    def _new_level(self) -> float:
        left = self.service - self._own_capacity
        if self._held_weight:
            return left / self._held_weight
        return math.inf if left >= -ROUNDING * self.service else -math.inf

    def _watch(self) -> None:
        """Wake when the first transfer that the service holds back ends."""
        self._alarm += 1
        first = _first(self._ends)
        if first is not None:
            delay_s = max(0.0, (first[0] - self._clock) / self._level)
            self.env.timeout(delay_s, self._alarm).callbacks.append(self._wake_held)

    def _wake_own(self, event: simpy.Event) -> None:
        link, version = cast("tuple[Link, int]", event.value)
        if version == link.version:
            self._take_out(link)
            self._finish([link])

    def _wake_held(self, event: simpy.Event) -> None:
        if event.value != self._alarm:
            return
        due: list[Link] = []
        first = _first(self._ends)
        while first is not None and (not due or first[0] <= self._clock * (1 + ROUNDING)):
            self._take_out(first[3])
            due.append(first[3])
            first = _first(self._ends)
        self._finish(due)

    def _finish(self, due: list[Link]) -> None:
        """End the first transfers of links that have been taken out."""
        ended = [callback for link in due for callback in link.ended()]
        for link in due:
            if link.flows:
                self._put_in(link)
        self._settle()
        for callback in ended:
            callback()
