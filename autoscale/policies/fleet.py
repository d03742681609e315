"""What is held: leases by type, room on those that are ready, and until when each is paid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.billing import Billing
    from autoscale.model.problem import Problem
    from autoscale.policies.protocol import ClusterState, LeaseView
    from autoscale.policies.work import OpenJob

SHORT_S = 60.0
"""Of a shorter quantum nothing is worth waiting for: what is idle is given back at once."""


class Room:
    """What is free on a lease that is ready."""

    __slots__ = ("gpus", "held_for", "kind", "lease", "memory", "paid_s", "used", "vcpus")

    def __init__(self, lease: LeaseView, paid_s: float) -> None:
        self.lease, self.kind = lease.number, lease.type
        self.vcpus, self.memory, self.gpus = lease.free_vcpus, lease.free_memory, lease.free_gpus
        self.paid_s = paid_s
        self.used = not lease.idle
        self.held_for = -1

    def takes(self, job: OpenJob, i: int) -> bool:
        """Return whether a task of a type that it fits has room now."""
        return (
            job.vcpus[i] <= self.vcpus
            and job.memory[i] <= self.memory
            and job.gpus[i] <= self.gpus
            and self.held_for in (-1, job.first + i)
        )

    def take(self, job: OpenJob, i: int) -> None:
        """Let a task hold its part."""
        self.vcpus -= job.vcpus[i]
        self.memory -= job.memory[i]
        self.gpus -= job.gpus[i]
        self.used = True


def paid_until_s(lease: LeaseView, billing: Billing, now_s: float) -> float:
    """Return until when a lease is paid for, at least now, if it is not held any longer."""
    return max(now_s, lease.requested_s + billing.billed_s(now_s - lease.requested_s))


def _paid_until_s(state: ClusterState, billing: Billing) -> list[float]:
    """Return :func:`paid_until_s` of every lease."""
    requested_s = np.array([lease.requested_s for lease in state.leases])
    paid_s = requested_s + billing.billed_array_s(state.now_s - requested_s)
    out: list[float] = np.maximum(paid_s, state.now_s).tolist()
    return out


class Fleet:
    """The leases at one call.

    Parameters
    ----------
    state
        What is seen.
    billing
        How leases are charged.

    Attributes
    ----------
    held
        Leases of each type that are ready or boot and stay, shape (types,).
    booting
        Those of them that boot.
    rooms
        By type, the ready leases with a vCPU free.
    """

    def __init__(self, state: ClusterState, billing: Billing) -> None:
        self.state, self.billing = state, billing
        n_types = len(state.catalog)
        self.held = [0] * n_types
        self.booting = [0] * n_types
        self.rooms: dict[int, list[Room]] = {}
        self.room_of: dict[int, Room] = {}
        self.leaving: list[LeaseView] = []
        paid_s = _paid_until_s(state, billing)
        for lease, lease_paid_s in zip(state.leases, paid_s, strict=True):
            if lease.leaves_s is not None:
                self.leaving.append(lease)
                continue
            self.held[lease.type] += 1
            if lease.ready_s is None:
                self.booting[lease.type] += 1
                continue
            room = Room(lease, lease_paid_s)
            self.room_of[lease.number] = room
            if room.vcpus > 0:
                self.rooms.setdefault(lease.type, []).append(room)

    def best(self, job: OpenJob, i: int, kind: int) -> Room | None:
        """Return where a task goes among the leases of a type: the fullest, then longest paid."""
        best, best_key = None, (math.inf, 0.0)
        for room in self.rooms.get(kind, ()):
            if room.takes(job, i):
                key = (room.vcpus, -room.paid_s)
                if key < best_key:
                    best, best_key = room, key
        return best

    def any_free(self) -> bool:
        """Return whether any lease has a vCPU free."""
        return any(room.vcpus > 0 for rooms in self.rooms.values() for room in rooms)

    def keep_for(self, job: OpenJob, i: int, kind: int) -> None:
        """Let the emptiest lease of a type drain for a task that finds no room there."""
        free = [r for r in self.rooms.get(kind, ()) if r.held_for < 0]
        if free:
            max(free, key=lambda r: (r.vcpus, -r.lease)).held_for = job.first + i

    def idle(self) -> list[tuple[LeaseView, float]]:
        """Return the leases with nothing to do after this call's placements; until when paid."""
        out = []
        for lease in self.state.leases:
            room = self.room_of.get(lease.number)
            if room is not None and not room.used:
                out.append((lease, room.paid_s))
        return out

    def expires(self, paid_s: float) -> bool:
        """Return whether what is idle had better be given back now than held on."""
        left_s = paid_s - self.state.now_s
        return left_s <= (self.billing.quantum_s if self.billing.quantum_s <= SHORT_S else 0) + (
            TIME_TOL_S
        )


class Quotas:
    """How many more leases the quotas of a problem allow."""

    def __init__(self, problem: Problem) -> None:
        self._weights = problem.quota_weights.tolist()
        self._limits = problem.quota_limits.tolist()

    def grant(self, wanted: list[int], held: list[int]) -> list[int]:
        """Return the types to launch of those wanted, in order, as far as there is room.

        Parameters
        ----------
        wanted
            Types.
        held
            Leases of each type.
        """
        if not self._limits:
            return wanted
        used = [
            sum(n * weight[q] for n, weight in zip(held, self._weights, strict=True))
            for q in range(len(self._limits))
        ]
        out = []
        for kind in wanted:
            after = [u + x for u, x in zip(used, self._weights[kind], strict=True)]
            if all(a <= limit for a, limit in zip(after, self._limits, strict=True)):
                used = after
                out.append(kind)
        return out
