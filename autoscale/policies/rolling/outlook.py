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


@dataclass(frozen=True, slots=True)
class Played:
    """What a play shows.

    Parameters
    ----------
    regret_usd
        What expected misses of deadlines are worth, USD.
    cost_usd
        What all leases are charged up to their last task.
    finish_s, start_s
        Of each open job's tasks.
    place
        Position of the lease of each task; -1 for none.
    last_s
        When each job ends.
    """

    regret_usd: float
    cost_usd: float
    finish_s: FloatArray
    start_s: FloatArray
    place: IntArray
    last_s: FloatArray

    @property
    def total_usd(self) -> float:
        """Charges and expected misses together."""
        return self.regret_usd + self.cost_usd


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
    """

    def __init__(
        self,
        now_s: float,
        backlog: Backlog,
        fleet: Fleet,
        boots: BootTimes,
        catalog: Catalog,
        caution: Caution,
    ) -> None:
        self.now_s, self.fleet, self._backlog, self.caution = now_s, fleet, backlog, caution
        self.boot_s = boots.quantile(caution.boot_share)
        self._stack = backlog.stacked()
        self._index = np.array(backlog.columns, dtype=np.int64)
        self._room = np.stack([catalog.vcpus, catalog.memory_bytes, catalog.gpus], axis=1).astype(
            np.float64
        )[self._index]
        self._price = catalog.price_per_s[self._index]
        self._leases(boots, caution)
        limit = self._stack["limit"]
        self._limit = np.full_like(limit, np.inf) if fleet.coarse else limit
        self.worth_usd = float(self._stack["worth_usd"].mean()) if backlog.jobs else 0.0

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
        self._paid = np.array([self.fleet.held[n].paid_until_s for n in self.numbers])
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
        place, state = self._place.copy(), stack["state"].copy()
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
        regret_usd, last_s, used_s = kernels.judge(
            finish,
            stack["state"],
            stack["job"],
            place,
            stack["deadline_s"],
            stack["doubt_s"],
            stack["worth_usd"],
            column.size,
        )
        cost_usd = self._charge(column, requested, used_s)
        return Played(regret_usd, cost_usd, finish, start, place, last_s)

    def _charge(self, column: IntArray, requested: FloatArray, used_s: FloatArray) -> float:
        """Return what leases are charged up to their last task, USD.

        Of long quanta, what comes after what is paid (a new lease pays one) counts in proportion:
        which lease takes that work is still open, and so is what else will fill the quantum.
        """
        billing = self.fleet.billing
        n_held = len(self.numbers)
        held_s = np.maximum(used_s, self.now_s) - requested
        unused = used_s <= 0
        unused[:n_held] = False
        price = np.where(unused, 0.0, self._price[column])
        if not self.fleet.coarse:
            return math.fsum(price * billing.billed_array_s(held_s))
        paid_s = np.full(column.size, max(billing.quantum_s, billing.minimum_s))
        paid_s[:n_held] = self._paid - requested[:n_held]
        return math.fsum(price * np.maximum(held_s, paid_s))

    def _with(
        self, extra: Sequence[Extra], ending: Mapping[int, float]
    ) -> tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        until = self._until
        if ending:
            until = until.copy()
            for number, at_s in ending.items():
                if number in self._position:
                    at = self._position[number]
                    until[at] = min(until[at], at_s)
        if not extra:
            return self._column, self._ready, until, self._free.copy(), self._requested
        counts = [e.count for e in extra]
        column = np.repeat([e.column for e in extra], counts)
        start_s = np.repeat([e.at_s for e in extra], counts)
        return (
            np.concatenate([self._column, column]),
            np.concatenate([self._ready, start_s + self.boot_s]),
            np.concatenate([until, np.full(column.size, np.inf)]),
            np.concatenate([self._free, self._room[column]]),
            np.concatenate([self._requested, start_s]),
        )

    def first_use_s(self, played: Played) -> dict[int, float]:
        """Return when each held lease next starts a task; infinite for never."""
        waits = (self._stack["state"] == 0) & (played.place >= 0)
        first = np.full(len(self.numbers) + 1, np.inf)
        held = waits & (played.place < len(self.numbers))
        np.minimum.at(first, played.place[held], played.start_s[held])
        return {number: float(first[m]) for m, number in enumerate(self.numbers)}

    def options(self) -> list[int]:
        """Return the considered types that are worth a launch for what has not started.

        A type is left out where a cheaper lease is as good for every task.
        """
        waits = self._stack["state"] == 0
        dur, cost = self._stack["dur"][waits], self._stack["cost"][waits]
        some = [c for c in range(self._index.size) if np.isfinite(dur[:, c]).any()]

        def beats(a: int, b: int) -> bool:
            if (self._price[a], a) >= (self._price[b], b):
                return False
            cheaper = cost[:, a] * (1 - 1e-9) <= cost[:, b]
            return bool((dur[:, a] <= dur[:, b]).all() and cheaper.all())

        return [c for c in some if not any(beats(a, c) for a in some)]

    def most_leases(self, column: int) -> float:
        """Return how many leases of a type could at most be of use."""
        waits = (self._stack["state"] == 0) & np.isfinite(self._stack["dur"][:, column])
        share = self._stack["need"][waits] / np.maximum(self._room[column], 1e-9)
        return min(float(waits.sum()), 2 * float(share.max(axis=1).sum()) + 1)
