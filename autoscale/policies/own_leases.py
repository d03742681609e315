"""Scaling without sharing: a ready task takes an idle lease of its type, or launches one at once.

That is what the baselines of SC'11 do: an instance-hour is used again only where one happens to be
idle when a task becomes ready; nothing waits for a lease that will be free, no load is smoothed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.policies.autoscaler import Autoscaler

if TYPE_CHECKING:
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState


class OwnLeases(Autoscaler):
    """A policy that launches a lease for every ready task that finds none idle."""

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return the leases that are busy or boot, and one more for each task that waits.

        Leases that boot are for tasks that wait already.
        """
        out = list(fleet.held)
        for room in fleet.room_of.values():
            out[room.kind] -= not room.used
        waiting = [0] * len(out)
        for _, _, job, i in self.queue.items():
            waiting[self.types_of(job, i)[0]] += 1
        return [
            n + max(0, more - booting)
            for n, more, booting in zip(out, waiting, fleet.booting, strict=True)
        ]
