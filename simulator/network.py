"""Transfers that share links: max-min fairness over machines' links and the storage service.

Every transfer crosses its machine's link; all together cross the service. With weights, the fair
share of a transfer is in proportion to its weight (progressive filling; Bertsekas and Gallager,
Data Networks, 1992, section 6.5.2). All transfers on a link have the same rate per weight, so a
link keeps one clock, the bytes per weight that it has moved, and a heap of where on that clock
its transfers end: one event a completion, whatever the number of transfers.
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
"""Transfers this close (relative) to their end on their link's clock end together."""


class Link:
    """The link of one machine."""

    __slots__ = ("capacity", "clock", "flows", "rate", "since_s", "version", "weight")

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.clock = 0.0
        self.since_s = 0.0
        self.rate = 0.0
        self.weight = 0.0
        self.version = 0
        self.flows: list[tuple[float, int, float, Callable[[], None]]] = []

    def advance(self, now: float) -> None:
        """Move the clock on to now."""
        self.clock += (now - self.since_s) * self.rate
        self.since_s = now


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
        self._active: dict[Link, None] = {}
        self._number = 0

    def transfer(
        self, machine: Machine, size: float, weight: float, ended: Callable[[], None]
    ) -> None:
        """Move ``size`` > 0 bytes over the machine's link and call ``ended``."""
        link = machine.link
        if link.capacity == math.inf and self.service == math.inf:
            ended()
            return
        now = self.env.now
        if link.flows:
            link.advance(now)
        else:
            link.clock, link.since_s, link.rate = 0.0, now, 0.0
            self._active[link] = None
        self._number += 1
        heapq.heappush(link.flows, (link.clock + size / weight, self._number, weight, ended))
        link.weight += weight
        self._share(link)

    def drop(self, machine: Machine) -> None:
        """Forget the transfers of a machine that is gone."""
        link = machine.link
        if not link.flows:
            return
        link.flows.clear()
        self._emptied(link)
        self._share(None)

    def _emptied(self, link: Link) -> None:
        link.weight = 0.0
        link.version += 1
        self._active.pop(link, None)

    def _share(self, changed: Link | None) -> None:
        """Set the rates anew after the transfers of one link have changed."""
        if self.service == math.inf:
            if changed is not None and changed.flows:
                changed.rate = changed.capacity / changed.weight
                self._watch(changed)
            return
        now, level = self.env.now, self._level()
        for link in self._active:
            rate = min(link.capacity / link.weight, level)
            if rate != link.rate or link is changed:
                link.advance(now)
                link.rate = rate
                self._watch(link)

    def _level(self) -> float:
        """Return the rate per weight of the transfers that the service holds back."""
        left, weight = self.service, sum(link.weight for link in self._active)
        for link in sorted(self._active, key=_own_rate):
            if _own_rate(link) * weight >= left:
                break
            left -= link.capacity
            weight -= link.weight
        else:
            return math.inf
        return left / weight

    def _watch(self, link: Link) -> None:
        """Wake when the first transfer of a link ends, unless its rate changes before."""
        link.version += 1
        delay_s = max(0.0, (link.flows[0][0] - link.clock) / link.rate)
        event = self.env.timeout(delay_s, (link, link.version))
        event.callbacks.append(self._wake)

    def _wake(self, event: simpy.Event) -> None:
        link, version = cast("tuple[Link, int]", event.value)
        if version != link.version:
            return
        link.advance(self.env.now)
        first = link.flows[0][0]
        link.clock = max(link.clock, first)
        ended = []
        reached = link.clock * (1 + ROUNDING)
        while link.flows and link.flows[0][0] <= reached:
            _, _, weight, callback = heapq.heappop(link.flows)
            link.weight -= weight
            ended.append(callback)
        if not link.flows:
            self._emptied(link)
        self._share(link if link.flows else None)
        for callback in ended:
            callback()


def _own_rate(link: Link) -> float:
    return link.capacity / link.weight
