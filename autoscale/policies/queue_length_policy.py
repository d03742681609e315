"""Queue length: a fleet by the backlog, as with a queue of messages.

Amazon EC2 Auto Scaling's guide, "Scaling policy based on Amazon SQS": the backlog for each machine
is held at the acceptable latency over the mean time of a message. Here the times are estimated, so
the work that waits, in machine-seconds, over the acceptable latency is the number of machines;
those that are busy stay.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.loads import EPS
from autoscale.policies.one_type import OneType

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState

LATENCY_S = 300.0
"""Acceptable time for the backlog to be worked off, seconds."""

ABOUT = About(
    aim="deadlines",
    summary="a fleet of one type by the work that waits",
    source="Amazon EC2 Auto Scaling user guide, scaling based on Amazon SQS (backlog per instance)",
    reconstruction="work in estimated machine-seconds in place of messages; latency 300 s",
)


class QueueLength(OneType):
    """Scaling by the backlog, for one run."""

    name = "queue-length"

    def size(self, state: ClusterState, fleet: Fleet) -> int:
        """Return the machines that work the backlog off in time, those that are busy at least."""
        busy = sum(room.used for room in fleet.room_of.values() if room.kind == self.general)
        return max(busy, math.ceil(self.waiting_work_s() / LATENCY_S - EPS))


def make(terms: Terms) -> QueueLength:
    """Return scaling by the backlog for one run."""
    return QueueLength(terms)
