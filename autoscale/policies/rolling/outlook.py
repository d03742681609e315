"""Open work and leases at one moment, played forward with leases added or ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.policies.protocol import ENDED, RUNNING
from autoscale.policies.rolling.cover import buckets_of, groups_of, least_fleet

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
        self.now_s, self.fleet = float(now_s), fleet
        self._backlog, self.caution = backlog, caution
        self.boot_s = boots.quantile(caution.boot_share)
        self._stack = backlog.stacked()
        self._index = np.array(backlog.columns, dtype=np.int64)
        self._room = np.stack([catalog.vcpus, catalog.memory_bytes, catalog.gpus], axis=1).astype(
            np.float64
        )[self._index]
        self._price = catalog.price_per_s[self._index]
        self._leases(boots, caution)
        self.worth_usd = float(self._stack["worth_usd"].mean()) if backlog.jobs else 0.0
        self._played: dict[tuple[Extra, ...], Played] = {}
        self._first_use_s: dict[tuple[Extra, ...], dict[int, float]] = {}

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
        """Play the open work to its end, or return what it showed before.

        Parameters
        ----------
        extra
            Leases launched in addition.
        ending
            Leases, by number, that start nothing which would end after a time.
        """
        if ending:
            return self._play(extra, self._ended(ending))
        what = tuple(extra)
        if what not in self._played:
            self._played[what] = self._play(what, self._until)
        return self._played[what]

    def _play(self, extra: Sequence[Extra], until: FloatArray) -> Played:
        from autoscale.policies.rolling import kernels

        n = self._place.size
        finish, start, place = np.empty(n), np.empty(n), np.empty(n, dtype=np.int64)
        last_s = np.empty(self._stack["deadline_s"].size)
        charge_usd = np.empty(len(self.numbers) + sum(e.count for e in extra))
        play_fleet: Any = kernels.play_fleet
        regret_usd = play_fleet(
            *self._work,
            *self._held,
            until,
            *self._terms,
            np.array([e.column for e in extra], dtype=np.int64),
            np.array([e.count for e in extra], dtype=np.int64),
            np.array([e.at_s for e in extra], dtype=np.float64),
            finish,
            start,
            place,
            last_s,
            charge_usd,
        )
        # Of long quanta, what comes after what is paid (a new lease pays one) counts in proportion:
        # which lease takes that work is still open, and so is what else will fill the quantum.
        cost_usd = math.fsum(charge_usd.tolist())
        return Played(regret_usd, cost_usd, finish, start, place, last_s)

    def _ended(self, ending: Mapping[int, float]) -> FloatArray:
        """Return until when leases start anything, with some given back at a time."""
        until = self._until.copy()
        for number, at_s in ending.items():
            if number in self._position:
                at = self._position[number]
                until[at] = min(until[at], at_s)
        return until

    @cached_property
    def _work(self) -> tuple[Any, ...]:
        """The arguments of a play that do not depend on the fleet."""
        from autoscale.policies.rolling import kernels

        stack = self._stack
        limit = stack["limit"]
        if self.fleet.coarse:
            limit = np.full_like(limit, np.inf)
        order, rank = kernels.in_order(stack["key"])
        return (
            self.now_s, stack["dur"], stack["need"], stack["cost"], limit, self.boot_s,
            stack["key"], order, rank, stack["due"], stack["state"], stack["pending"],
            stack["child_ptr"], stack["children"], self._place, stack["end"], stack["job"],
            stack["deadline_s"], stack["doubt_s"], stack["worth_usd"],
        )  # fmt: skip

    @cached_property
    def _held(self) -> tuple[Any, ...]:
        """The arguments that tell of the held leases."""
        return self._column, self._ready, self._free, self._requested, self._paid

    @cached_property
    def _terms(self) -> tuple[Any, ...]:
        """The arguments that tell what leases have and cost."""
        billing = self.fleet.billing
        terms = (float(billing.quantum_s), float(billing.minimum_s), self.fleet.coarse)
        return self._room, self._price, *terms

    def first_use_s(self, extra: Sequence[Extra] = ()) -> dict[int, float]:
        """Return when each held lease next starts a task in a play; infinite for never."""
        what = tuple(extra)
        if what not in self._first_use_s:
            played = self.play(what)
            first = np.full(len(self.numbers) + 1, np.inf)
            held = (self._stack["state"] == 0) & (played.place >= 0)
            held &= played.place < len(self.numbers)
            np.minimum.at(first, played.place[held], played.start_s[held])
            self._first_use_s[what] = dict(zip(self.numbers, first.tolist(), strict=False))
        return self._first_use_s[what]

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

    def least_fleet(self, options: list[int]) -> FloatArray:
        """Return the launches of the linear program over due times, by considered type.

        Parameters
        ----------
        options
            The types that may be launched.
        """
        stack = self._stack
        waits = stack["state"] == 0
        dur, need = stack["dur"][waits], stack["need"][waits]
        n_types = self._index.size
        group, n_groups = groups_of(need)
        soonest_s = self.now_s + self.boot_s + dur.min(axis=1)
        ends_s, bucket = buckets_of(np.maximum(stack["due"][waits], soonest_s))
        cell, n_cells = group * ends_s.size + bucket, n_groups * ends_s.size
        load_s = np.zeros((n_groups, ends_s.size, n_types))
        for k in range(n_types):
            share = (need / np.maximum(self._room[k], 1e-9)).max(axis=1)
            load_s[:, :, k] = np.bincount(cell, dur[:, k] * share, n_cells).reshape(n_groups, -1)
        held_s = np.zeros((n_types, ends_s.size))
        ready_s = np.maximum(self._ready, self.now_s)
        stop_s = np.minimum(ends_s, self._until[:, None])
        np.add.at(held_s, self._column, np.maximum(stop_s - ready_s[:, None], 0.0))
        held_s -= self._busy_s(ends_s)
        quantum_s = self.fleet.billing.quantum_s
        overhead_s = 0.5 * quantum_s if self.fleet.coarse else self.boot_s
        left_s = np.maximum(ends_s - self.now_s - self.boot_s, 0.0)
        most = np.zeros(n_types)
        most[options] = np.inf
        return least_fleet(
            load_s, np.maximum(held_s, 0.0), left_s, self._price, self._price * overhead_s, most
        )

    def _busy_s(self, ends_s: FloatArray) -> FloatArray:
        """Return how much of the held leases is taken by what runs, shape (types, buckets)."""
        stack = self._stack
        runs = (stack["state"] == 1) & (self._place >= 0)
        column = self._column[self._place[runs]]
        share = (stack["need"][runs] / np.maximum(self._room[column], 1e-9)).max(axis=1)
        left_s = np.minimum(stack["end"][runs][:, None], ends_s) - self.now_s
        out = np.zeros((self._index.size, ends_s.size))
        np.add.at(out, column, np.maximum(left_s, 0.0) * share[:, None])
        return out

    def most_leases(self, column: int) -> float:
        """Return how many leases of a type could at most be of use."""
        waits = (self._stack["state"] == 0) & np.isfinite(self._stack["dur"][:, column])
        share = self._stack["need"][waits] / np.maximum(self._room[column], 1e-9)
        return min(float(waits.sum()), 2 * float(share.max(axis=1).sum()) + 1)


def warm_up() -> None:
    """Have the compiled parts compiled, which takes longer than any decision, before a run."""
    from autoscale.policies.rolling import kernels

    one, whole = np.ones(1), np.zeros(1, dtype=np.int64)
    pointers, nobody = np.zeros(2, dtype=np.int64), np.zeros(0, dtype=np.int64)
    table, need = np.ones((1, 1)), np.ones((1, 3))
    tasks = (table, need, table, one, 0.0, one, *kernels.in_order(one), one, whole, whole)
    jobs = (pointers, nobody, whole - 1, one, whole, one, one, one)
    held = (whole, np.zeros(1), np.ones((1, 3)), one, one, one * 9)
    terms = (np.ones((1, 3)), one, 1.0, 60.0, False, nobody, nobody, np.zeros(0))
    filled = (np.zeros(1), np.zeros(1), whole - 1, np.zeros(1), np.zeros(1))
    play_fleet: Any = kernels.play_fleet
    play_fleet(0.0, *tasks, *jobs, *held, *terms, *filled)
    members, status = np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int8)
    for part in (fixed := (pointers.copy(), members, status)):
        part.flags.writeable = False  # as those of a workflow are
    kernels.ahead(*fixed[:2], one, fixed[2], RUNNING, ENDED, one, 0.0, np.zeros(1))
    kernels.within(table, table, one, 1.0)
    category = np.zeros(1, dtype=np.int32)
    category.flags.writeable = False
    correct: Any = kernels.corrected
    correct(table, one, category, one, table, *np.empty((3, 1, 1)), np.empty(1))
