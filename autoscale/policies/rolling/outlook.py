"""Open work and leases at one moment, played forward with leases added or ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.policies.protocol import RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.catalog import Catalog
    from autoscale.policies.rolling.fleet import Fleet
    from autoscale.policies.rolling.learning import BootTimes
    from autoscale.policies.rolling.work import Backlog, Caution

CAP_S = 1e5
"""A job counts as late by at most this, also if it never ends."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a play shows.

    Parameters
    ----------
    late_s
        Summed lateness of the open jobs.
    finish_s, start_s
        Of each open job's tasks.
    place
        Position of the lease of each task; -1 for none.
    cost_usd
        What all leases are charged up to their last task.
    last_s
        When each lease ends its last task; 0 for one that runs none.
    """

    late_s: float
    finish_s: FloatArray
    start_s: FloatArray
    place: IntArray
    cost_usd: float
    last_s: FloatArray


@dataclass(frozen=True, slots=True)
class Extra:
    """Leases that might be launched: how many of which considered type, and when."""

    column: int
    count: int
    at_s: float


class Outlook:
    """Open work and leases at one moment.

    Parameters
    ----------
    now_s
        The moment.
    backlog, fleet, boots, catalog
        What is known.
    caution
        How much to hedge.
    dear
        A task that is not urgent takes no lease that costs it more than so many times the least.
    """

    def __init__(
        self,
        now_s: float,
        backlog: Backlog,
        fleet: Fleet,
        boots: BootTimes,
        catalog: Catalog,
        caution: Caution,
        dear: float,
    ) -> None:
        self.now_s, self.fleet, self._backlog, self._dear = now_s, fleet, backlog, dear
        self.boot_s = boots.quantile(caution.boot_share)
        self._stack = backlog.stacked()
        self._index = np.array(backlog.columns, dtype=np.int64)
        self._room = np.stack(
            [catalog.vcpus, catalog.memory_bytes, catalog.gpus], axis=1
        ).astype(np.float64)[self._index]
        self._price = catalog.price_per_s[self._index]
        self._leases(boots, caution)
        self._limit = self._stack["cheapest"] * dear

    def _leases(self, boots: BootTimes, caution: Caution) -> None:
        views = [v for v in self.fleet.views.values() if v.leaves_s is None]
        column_of = {kind: c for c, kind in enumerate(self._backlog.columns)}
        self.numbers = [v.number for v in views]
        self._position = {number: m for m, number in enumerate(self.numbers)}
        self._column = np.array([column_of[v.type] for v in views], dtype=np.int64)
        self._requested = np.array([v.requested_s for v in views])
        self._ready = np.array(
            [
                boots.ready_s(v.requested_s, self.now_s, caution.boot_share)
                if v.ready_s is None
                else v.ready_s
                for v in views
            ]
        )
        self._until = np.array([self.fleet.until_s(n) for n in self.numbers])
        free = [(v.free_vcpus, v.free_memory, v.free_gpus) for v in views]
        self._free = np.array(free, dtype=np.float64).reshape(-1, 3)
        stack, backlog = self._stack, self._backlog
        self._place = np.full(stack["job"].size, -1, dtype=np.int64)
        starts = {n: int(at) for n, at in zip(backlog.jobs, stack["first"][:-1], strict=True)}
        for view in self.fleet.views.values():
            at = self._position.get(view.number, -1)
            for task in view.running:
                job = backlog.job_of(task)
                self._place[starts[job.view.number] + task - job.view.first] = at
                assert job.view.status[task - job.view.first] == RUNNING

    @property
    def n_open(self) -> int:
        """Number of tasks that have not started."""
        return int((self._stack["state"] == 0).sum())

    def play(
        self, extra: Sequence[Extra] = (), ending: Mapping[int, float] | None = None
    ) -> Played:
        """Play the open work to its end.

        Parameters
        ----------
        extra
            Leases launched in addition.
        ending
            Leases, by number, that start nothing which would end after a time.
        """
        from autoscale.policies.rolling import kernels

        stack = self._stack
        column, ready, until, free, requested = self._with(extra, ending or {})
        n = stack["job"].size
        finish, start = np.full(n, np.inf), np.full(n, np.nan)
        place, state = self._place.copy(), stack["state"].astype(np.int64)
        kernels.play(
            self.now_s,
            stack["dur"],
            stack["need"],
            stack["cost"],
            self._limit,
            self.boot_s,
            stack["key"],
            stack["due"],
            state,
            stack["pending"].copy(),
            stack["child_ptr"],
            stack["children"],
            place,
            stack["end"],
            column,
            ready,
            until,
            free,
            finish,
            start,
        )
        late_s, _ = kernels.tardiness(
            finish, stack["state"], stack["job"], stack["job_due"], CAP_S
        )
        last_s = kernels.last_use(finish, stack["state"], place, column.size)
        held_s = np.maximum(last_s, self.now_s) - requested
        new = np.arange(column.size) >= len(self.numbers)
        held_s = np.where(new & (last_s <= 0), 0.0, held_s)
        billed_s = np.where(held_s > 0, self.fleet.billing.billed_array_s(held_s), 0.0)
        cost_usd = math.fsum(self._price[column] * billed_s)
        return Played(late_s, finish, start, place, cost_usd, last_s)

    def _with(
        self, extra: Sequence[Extra], ending: Mapping[int, float]
    ) -> tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        until = self._until.copy()
        for number, at_s in ending.items():
            if number in self._position:
                until[self._position[number]] = min(until[self._position[number]], at_s)
        column = np.repeat([e.column for e in extra], [e.count for e in extra]).astype(np.int64)
        at_s = np.repeat([e.at_s for e in extra], [e.count for e in extra]).astype(np.float64)
        return (
            np.concatenate([self._column, column]),
            np.concatenate([self._ready, at_s + self.boot_s]),
            np.concatenate([until, np.full(column.size, np.inf)]),
            np.concatenate([self._free, self._room[column]]),
            np.concatenate([self._requested, at_s]),
        )

    def first_use_s(self, played: Played) -> dict[int, float]:
        """Return when each held lease next starts a task; infinite for never."""
        waits = (self._stack["state"] == 0) & (played.place >= 0)
        first = np.full(len(self.numbers) + 1, np.inf)
        held = waits & (played.place < len(self.numbers))
        np.minimum.at(first, played.place[held], played.start_s[held])
        return {number: float(first[m]) for m, number in enumerate(self.numbers)}

    def options(self) -> list[int]:
        """Return the considered types that a task which has not started could use."""
        waits = self._stack["state"] == 0
        return [c for c in range(self._index.size) if np.isfinite(self._stack["dur"][waits, c]).any()]

    def most_leases(self, column: int) -> float:
        """Return how many leases of a type could at most be of use."""
        waits = (self._stack["state"] == 0) & np.isfinite(self._stack["dur"][:, column])
        share = self._stack["need"][waits] / np.maximum(self._room[column], 1e-9)
        return min(float(waits.sum()), 2 * float(share.max(axis=1).sum()) + 1)
