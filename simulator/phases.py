"""Attempts whose transfers share links: three phases with an event after each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from simulator import events as kinds

if TYPE_CHECKING:
    from simulator.cloud import Cloud
    from simulator.machine import Machine
    from simulator.network import Network


class Attempt:
    """One attempt of a task."""

    __slots__ = ("compute_s", "machine", "moment", "since_s", "task")

    def __init__(
        self, task: int, machine: Machine, compute_s: float, moment: float | None, since_s: float
    ) -> None:
        self.task, self.machine, self.since_s = task, machine, since_s
        self.compute_s, self.moment = compute_s, moment


class Phases:
    """Fetches, computes and stores on a cloud whose transfers share links.

    An attempt is void once the cloud's record of what a task is doing names something else.

    Parameters
    ----------
    cloud
        Whose tasks run.
    network
        The links.
    by_vcpus
        Whether shares are in proportion to vCPUs.
    """

    def __init__(self, cloud: Cloud, network: Network, *, by_vcpus: bool) -> None:
        self._cloud, self.network = cloud, network
        w = cloud.problem.workflow
        self._weights: list[float] = w.vcpus.astype(float).tolist() if by_vcpus else [1.0] * len(w)

    def begin(self, attempt: Attempt) -> None:
        """Begin an attempt of three phases, with an event after each."""
        task, machine, cloud = attempt.task, attempt.machine, self._cloud
        cloud.event_of[task] = attempt
        size = cloud.in_bytes[task]
        if cloud.disks:
            size = cloud.disks.missing_bytes(task, machine.disk, attempt.since_s)
        if size:
            self.network.transfer(
                machine, size, self._weights[task], partial(self._fetched, attempt)
            )
        else:
            self._fetched(attempt)

    def _fetched(self, attempt: Attempt) -> None:
        task, cloud = attempt.task, self._cloud
        now = cloud.env.now
        if cloud.event_of[task] is not attempt:
            return
        cloud.fetch_s[task] = now - attempt.since_s
        if cloud.log:
            cloud.log.add(now, kinds.FETCHED, attempt.machine.number, task)
        if cloud.disks:
            cloud.disks.hold_inputs(task, attempt.machine.disk, now)
        if attempt.moment is None:
            event = cloud.env.timeout(attempt.compute_s, attempt)
            event.callbacks.append(self._computed)
        else:
            event = cloud.env.timeout(attempt.compute_s * attempt.moment, task)
            event.callbacks.append(cloud.fail)
            cloud.event_of[task] = event

    def _computed(self, event: Any) -> None:
        attempt = event.value
        task, cloud = attempt.task, self._cloud
        now = cloud.env.now
        if cloud.event_of[task] is not attempt:
            return
        if cloud.log:
            cloud.log.add(now, kinds.COMPUTED, attempt.machine.number, task)
        attempt.since_s = now
        size = cloud.out_bytes[task]
        if size:
            self.network.transfer(
                attempt.machine, size, self._weights[task], partial(self._stored, attempt)
            )
        else:
            self._stored(attempt)

    def _stored(self, attempt: Attempt) -> None:
        task, cloud = attempt.task, self._cloud
        if cloud.event_of[task] is attempt:
            cloud.store_s[task] = cloud.env.now - attempt.since_s
            cloud.finish(task)
