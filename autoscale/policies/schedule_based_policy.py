"""Schedule-based: a fleet by the time of day, learnt from the days before, or by the peak.

Scheduled scaling, as clouds offer it (Amazon EC2 Auto Scaling user guide, "Scheduled scaling"): the
day has slots of 15 minutes; in each the fleet is what ran and waited at most in that slot of
the days seen before, brought up one boot ahead. A slot that was not seen before has the peak seen
so far, as an operator has who provides for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.loads import EPS
from autoscale.policies.one_type import OneType, busy_shares

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState

DAY_S = 86400.0
SLOT_S = 900.0

ABOUT = About(
    aim="deadlines",
    summary="a fleet of one type by the time of day, learnt as days pass; the peak until then",
    source="Amazon EC2 Auto Scaling user guide, scheduled scaling",
    reconstruction="how the schedule is learnt: the peak of each quarter hour of earlier days",
)


class ScheduleBased(OneType):
    """A learnt schedule for one run."""

    name = "schedule-based"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._learnt: dict[int, int] = {}
        self._today: dict[int, int] = {}
        self._day = 0
        self._peak = 1

    def size(self, state: ClusterState, fleet: Fleet) -> int:
        """Return the size for now and for one boot ahead."""
        demand = float(busy_shares(state)[self.general])
        demand += self.waiting(state, fleet)[self.general]
        self._learn(state.now_s, math.ceil(demand - EPS))
        ahead_s = state.now_s + self.problem.boot_s + self.interval_s
        return max(1, self._scheduled(state.now_s), self._scheduled(ahead_s))

    def _learn(self, now_s: float, demand: int) -> None:
        day, slot = int(now_s // DAY_S), int(now_s % DAY_S // SLOT_S)
        if day > self._day:
            for at, peak in self._today.items():
                self._learnt[at] = max(peak, self._learnt.get(at, 0))
            self._day, self._today = day, {}
        self._today[slot] = max(demand, self._today.get(slot, 0))
        self._peak = max(self._peak, demand)

    def _scheduled(self, at_s: float) -> int:
        return self._learnt.get(int(at_s % DAY_S // SLOT_S), self._peak)


def make(terms: Terms) -> ScheduleBased:
    """Return a schedule that is learnt in one run."""
    return ScheduleBased(terms)
