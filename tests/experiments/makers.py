"""Policies of one's own for experiments: a machine a task, and one that misbehaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoscale.policies.protocol import Decision

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState, Policy


@dataclass(frozen=True)
class Each:
    """A machine of one type for every task, given back as soon as it is idle."""

    type: int
    name: str = "each"

    def __call__(self, state: ClusterState) -> Decision:
        """Return what the policy does now."""
        ready = state.ready.tolist()
        idle = tuple(x.number for x in state.leases if x.idle and x.leaves_s is None)
        return Decision(
            launches=(self.type,) * len(ready),
            assignments=tuple((task, state.next_lease + n) for n, task in enumerate(ready)),
            releases=idle,
        )


def slow(terms: Terms) -> Policy:
    """Return a policy that takes the slow type."""
    return Each(0)


def fast(terms: Terms) -> Policy:
    """Return a policy that takes the fast type."""
    return Each(1)


def wrong(terms: Terms) -> Policy:
    """Return a policy that launches a type that there is not."""
    return Each(9)
