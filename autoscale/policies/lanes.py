"""When leases will have room: what runs until its estimated end, then what is queued, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.policies.protocol import LeaseView

if TYPE_CHECKING:
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob, Work


class Lane:
    """One lease's future by estimates.

    Attributes
    ----------
    busy_until_s
        When all that runs or is queued on it should have ended; now if nothing is.
    """

    def __init__(self, lease: LeaseView, now_s: float, boot_s: float) -> None:
        self.number, self.type, self.requested_s = lease.number, lease.type, lease.requested_s
        booted_s = now_s if lease.ready_s is not None else lease.requested_s + boot_s
        self._next_s = max(now_s, booted_s)
        self._free = [lease.free_vcpus, lease.free_memory, lease.free_gpus]
        self._ends: list[tuple[float, list[float]]] = []
        self.busy_until_s = now_s

    def runs(self, job: OpenJob, i: int, end_s: float) -> None:
        """Take note of a task that runs; its room is not free now."""
        self._ends.append((end_s, _needs(job, i)))
        self._ends.sort()
        self.busy_until_s = max(self.busy_until_s, end_s)

    def start_s(self, job: OpenJob, i: int) -> float:
        """Return when a task could start behind all that is queued."""
        return self._fit(_needs(job, i))[0]

    def add(self, job: OpenJob, i: int, duration_s: float) -> float:
        """Let a task queue; return when it should start."""
        needs = _needs(job, i)
        start_s, passed = self._fit(needs)
        for _, freed in self._ends[:passed]:
            self._free = [a + b for a, b in zip(self._free, freed, strict=True)]
        del self._ends[:passed]
        self._free = [a - b for a, b in zip(self._free, needs, strict=True)]
        self._next_s = start_s
        self.runs(job, i, start_s + duration_s)
        return start_s

    def _fit(self, needs: list[float]) -> tuple[float, int]:
        """Return when there is room, and how many tasks have to end for it."""
        free, start_s, passed = list(self._free), self._next_s, 0
        for end_s, freed in self._ends:
            if end_s > start_s and all(n <= f for n, f in zip(needs, free, strict=True)):
                break
            free = [a + b for a, b in zip(free, freed, strict=True)]
            start_s = max(start_s, end_s)
            passed += 1
        if passed and all(n <= f for n, f in zip(needs, self._free, strict=True)):
            return self._next_s, 0
        return start_s, passed


def _needs(job: OpenJob, i: int) -> list[float]:
    return [job.vcpus[i], job.memory[i], job.gpus[i]]


def new_lane(state: ClusterState, kind: int, launched: int, boot_s: float) -> Lane:
    """Return the lane of a lease that is launched now, after ``launched`` others."""
    what = state.catalog.types[kind]
    lease = LeaseView(
        number=state.next_lease + launched,
        type=kind,
        requested_s=state.now_s,
        ready_s=None,
        leaves_s=None,
        running=(),
        queued=(),
        free_vcpus=what.vcpus,
        free_memory=what.memory_bytes,
        free_gpus=what.gpus,
    )
    return Lane(lease, state.now_s, boot_s)


def lanes(state: ClusterState, work: Work, boot_s: float) -> list[Lane]:
    """Return a lane for each lease that is held and stays."""
    out = []
    for lease in state.leases:
        if lease.leaves_s is not None:
            continue
        lane = Lane(lease, state.now_s, boot_s)
        for task in lease.running:
            job, i = work.at(task)
            lane.runs(job, i, job.expected_end_s(i, lease.type, state.now_s))
        for task in lease.queued:
            job, i = work.at(task)
            lane.add(job, i, job.duration_s(i, lease.type))
        out.append(lane)
    return out
