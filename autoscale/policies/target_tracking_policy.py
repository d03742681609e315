"""Target tracking: the rule of Kubernetes' Horizontal Pod Autoscaler, for machines.

Kubernetes documentation, "Horizontal Pod Autoscaling": every 15 s, ``desired = ceil(current *
metric / target)``; nothing is done where the ratio is within 10 % of 1; of the last 300 s the
largest desired size counts (scale-down stabilisation); at most four or a doubling is added every 15
s. The metric is what runs and waits over what there is, the target 80 %. From none, the first is
launched when something waits (as KEDA does).
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.loads import EPS
from autoscale.policies.one_type import OneType, busy_shares

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState

TARGET = 0.8
TOLERANCE = 0.1
STABLE_S = 300.0
PERIOD_S = 15.0

ABOUT = About(
    aim="deadlines",
    summary="a fleet of one type by ceil(current * metric / target), as Kubernetes' autoscaler",
    source="Kubernetes documentation, Horizontal Pod Autoscaling; KEDA for none to one",
    reconstruction="the metric is what runs and waits over what there is, the target 80 %",
)


def desired(current: int, metric: float, *, target: float = TARGET) -> int:
    """Return the size that the rule asks for, before stabilisation.

    Parameters
    ----------
    current
        Machines that there are.
    metric
        Mean over them, a ratio like ``target``.

    Examples
    --------
    >>> desired(4, 1.2), desired(4, 0.87), desired(4, 0.2), desired(0, 0.0)
    (6, 4, 1, 0)
    """
    if abs(metric / target - 1.0) <= TOLERANCE + EPS:
        return current
    return math.ceil(current * metric / target - EPS)


class TargetTracking(OneType):
    """The rule for one run."""

    name = "target-tracking"
    interval_s = PERIOD_S

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._asked: deque[tuple[float, int]] = deque()

    def size(self, state: ClusterState, fleet: Fleet) -> int:
        """Return the largest size of the last 300 s, growing by four or a doubling at most."""
        current = fleet.held[self.general]
        demand = float(busy_shares(state)[self.general])
        demand += self.waiting(state, fleet)[self.general]
        asked = desired(current, demand / current) if current else int(demand > 0)
        asked = min(asked, max(2 * current, current + 4)) if current else asked
        while self._asked and self._asked[0][0] <= state.now_s - STABLE_S:
            self._asked.popleft()
        self._asked.append((state.now_s, asked))
        return max(n for _, n in self._asked)


def make(terms: Terms) -> TargetTracking:
    """Return the rule for one run."""
    return TargetTracking(terms)
