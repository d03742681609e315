"""Machines, how they end, and who decides about them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from simulator.network import Link

if TYPE_CHECKING:
    from autoscale.model.problem import Problem

MOST_MACHINES = 1000
"""Machines for one lease, or starts of one task, after which a run gives up."""

OUTCOMES = (
    "released", "boot failed", "instance failed", "interrupted", "never granted", "stopped",
)  # fmt: skip
"""How machines end."""

RELEASED, BOOT_FAILED, DIED, INTERRUPTED, UNGRANTED, STOPPED = range(len(OUTCOMES))

LOST = (BOOT_FAILED, DIED, INTERRUPTED)
"""Endings that nobody wanted."""


class GaveUp(Exception):  # noqa: N818 - an ending, not an error
    """Ends a run that cannot be completed; its text says why."""


class Machine:
    """One machine, from its request to its end."""

    __slots__ = (
        "attempt",
        "billed_s",
        "busy_vcpu_s",
        "closed",
        "closes_s",
        "cost_usd",
        "dies_as",
        "dies_s",
        "disk",
        "free_gpus",
        "free_memory",
        "free_vcpus",
        "gone",
        "granted",
        "lease",
        "link",
        "n_vcpus",
        "number",
        "outcome",
        "ready",
        "ready_s",
        "released_s",
        "requested_s",
        "running",
        "slowness",
        "speed",
        "tasks",
        "type",
    )

    def __init__(self, number: int, type_index: int, problem: Problem, lease: int, attempt: int):
        t = problem.catalog.types[type_index]
        self.number, self.type, self.lease, self.attempt = number, type_index, lease, attempt
        self.free_vcpus, self.free_memory, self.free_gpus = t.vcpus, t.memory_bytes, t.gpus
        self.speed = t.speed
        link = min(t.bandwidth_bytes_per_s, problem.storage_bandwidth)
        self.link = Link(link)
        self.n_vcpus = t.vcpus
        self.slowness = 1.0
        self.running: dict[int, float] = {}  # task -> since when it holds its room
        self.disk: dict[int, float] = {}  # file -> from when on it is there
        self.granted = self.ready = self.closed = self.gone = False
        self.requested_s = self.ready_s = self.released_s = math.nan
        self.closes_s = self.dies_s = math.inf
        self.dies_as = self.outcome = RELEASED
        self.billed_s = self.cost_usd = self.busy_vcpu_s = 0.0
        self.tasks = 0


class Driver(Protocol):
    """Decides what runs where; called when something has happened."""

    def begin(self) -> None:
        """Act at time 0."""

    def on_ready(self, machine: Machine) -> None:
        """Act on a machine that has booted."""

    def on_ended(self, task: int, machine: Machine) -> None:
        """Act on a task that has ended well; it no longer holds its room."""

    def on_notice(self, machine: Machine) -> None:
        """Act on the announcement that a machine will be interrupted."""

    def on_gone(self, machine: Machine, lost: list[int]) -> None:
        """Act on a machine that ended otherwise than by a release, and its unended tasks."""
