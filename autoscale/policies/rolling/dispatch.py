"""Which ready task starts on which lease, by the same rules as in the compiled play."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.policies.rolling.fleet import Fleet
    from autoscale.policies.rolling.work import Backlog, JobWork

MOST_SKIPPED = 60
"""Ready tasks that are passed over before the fleet counts as full."""

FASTER = 1.01
"""A task that would be late waits for a lease that is faster by this factor."""

Alike = tuple[int, float, tuple[float, ...]]
"""Considered type, until when it is paid, and room: leases that are the same to every task."""


class Dispatch:
    """Starts ready tasks at one moment.

    Parameters
    ----------
    now_s
        The moment.
    backlog, fleet
        Work and leases; tasks that are started leave the ready ones.
    caution
        A task is started on a lease that is to be given back only if it would be through in time
        even if it takes longer by this share.
    urgent_s
        By the second, a task takes no lease that is too dear for it unless it must start so soon.
    """

    def __init__(
        self,
        now_s: float,
        backlog: Backlog,
        fleet: Fleet,
        *,
        caution: float,
        urgent_s: float,
    ) -> None:
        self._now_s, self._backlog, self._fleet = now_s, backlog, fleet
        self._caution, self._urgent_s = caution, urgent_s
        self._column_of = {kind: c for c, kind in enumerate(backlog.columns)}
        self._columns = sorted({self._column_of[v.type] for v in fleet.views.values()})
        self._room: dict[int, tuple[float, ...]] = {}
        for view in fleet.views.values():
            if view.ready_s is not None and view.leaves_s is None and view.free_vcpus > 0:
                self._room[view.number] = (view.free_vcpus, view.free_memory, view.free_gpus)
        # Of leases that are alike the first goes first: most of a large fleet is not looked at.
        self._alike: dict[Alike, list[int]] = {}
        self.used: set[int] = set()

    def run(self, renews: Callable[[int], bool]) -> list[tuple[int, int]]:
        """Start what can be started and return the assignments.

        Parameters
        ----------
        renews
            Says whether another quantum is paid for a lease that has room for work only so.
        """
        assigned: list[tuple[int, int]] = []
        refused: set[int] = set()
        while self._room and self._backlog.ready:
            tempted = self._pass(assigned) - refused
            held = self._fleet.held
            for number in sorted(tempted, key=lambda n: (held[n].paid_until_s, n)):
                if renews(number):
                    break
                refused.add(number)
            else:
                break
        return assigned

    def _pass(self, assigned: list[tuple[int, int]]) -> set[int]:
        """Start what can be started; return the leases that would take work if renewed."""
        self._alike.clear()
        for lease in sorted(self._room):  # a sorted list is a heap
            self._alike.setdefault(self._kind(lease), []).append(lease)
        tempted: set[int] = set()
        left: list[tuple[float, int]] = []
        ready, skipped = self._backlog.ready, 0
        stop = len(ready)
        for at, (key, task) in enumerate(ready):
            if not self._room or skipped >= MOST_SKIPPED:
                stop = at
                break
            number = self._choose(key, task, tempted)
            if number is None:
                left.append((key, task))
                skipped += 1
            else:
                assigned.append((task, number))
        self._backlog.ready = left + ready[stop:]
        return tempted

    def _choose(self, key: float, task: int, tempted: set[int]) -> int | None:
        job = self._backlog.job_of(task)
        local = task - job.view.first
        expected, need = job.expected[local].tolist(), job.need[local].tolist()
        costs, due_s = job.cost[local].tolist(), float(job.due[local])
        limit = float(job.limit[local])
        calm = not self._fleet.coarse and self._now_s < key - self._urgent_s
        fastest = min(expected[c] for c in self._columns)
        best: tuple[float, float, float, int] | None = None
        for (column, paid_s, room), numbers in self._alike.items():
            duration_s = expected[column]
            if duration_s == math.inf or any(n > r for n, r in zip(need, room, strict=True)):
                continue
            if costs[column] > limit and calm:
                continue
            late_s = max(0.0, self._now_s + duration_s - due_s)
            waits = duration_s > FASTER * fastest and self._now_s + fastest <= due_s
            if late_s > 0 and waits:
                continue
            if not self._in_time(paid_s, duration_s):
                tempted.update(numbers)
                continue
            rank = (late_s, costs[column], room[0], numbers[0])
            if best is None or rank < best:
                best = rank
        if best is None:
            return None
        self._start(job, local, best[3], expected)
        return best[3]

    def _kind(self, number: int) -> Alike:
        column = self._column_of[self._fleet.views[number].type]
        paid_s = self._fleet.held[number].paid_until_s if self._fleet.coarse else math.inf
        return column, paid_s, self._room[number]

    def _in_time(self, paid_s: float, duration_s: float) -> bool:
        return self._now_s + duration_s * (1 + self._caution) <= paid_s + TIME_TOL_S

    def _start(self, job: JobWork, local: int, number: int, expected: list[float]) -> None:
        alike = self._kind(number)
        task, column = job.view.first + local, alike[0]
        job.end_estimate_s[local] = self._now_s + expected[column]
        self._backlog.running[task] = column
        self.used.add(number)
        heapq.heappop(self._alike[alike])
        if not self._alike[alike]:
            del self._alike[alike]
        room = tuple(r - n for r, n in zip(alike[2], job.need[local].tolist(), strict=True))
        if room[0] <= 0:
            del self._room[number]
        else:
            self._room[number] = room
            heapq.heappush(self._alike.setdefault((*alike[:2], room), []), number)
