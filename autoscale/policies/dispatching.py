"""The queue of ready tasks, most urgent first, and its dispatch to leases with room.

Earliest due date first, where the date (or any other key) is what a policy says. A task that finds
no room holds up none behind it that does, but the emptiest lease of its type takes no other task
until it has got in, so that wide tasks are not passed over for ever.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.policies.fleet import Fleet, Room
    from autoscale.policies.work import OpenJob

LOOK_AHEAD = 50
"""Tasks looked at behind one that finds no room."""

Key: TypeAlias = tuple[float, ...]
Item: TypeAlias = "tuple[Key, int, OpenJob, int]"
"""(key, number of the task, its job, its index there); the smallest goes first."""


class Queue:
    """Ready tasks that wait for a lease, in lines: one for each type, or one for all.

    Attributes
    ----------
    lines
        By line, tasks in order.
    """

    def __init__(self) -> None:
        self.lines: dict[int, list[Item]] = {}

    def __len__(self) -> int:
        return sum(map(len, self.lines.values()))

    def add(self, line: int, key: Key, job: OpenJob, i: int) -> None:
        """Let a task wait; no task waits twice."""
        insort(self.lines.setdefault(line, []), (key, job.first + i, job, i))

    def clear(self) -> None:
        """Forget everything."""
        self.lines.clear()

    def items(self) -> list[Item]:
        """Return all that wait, line by line."""
        return [item for line in sorted(self.lines) for item in self.lines[line]]


def dispatch(
    queue: Queue,
    fleet: Fleet,
    types_of: Callable[[OpenJob, int], list[int]],
    place: Callable[[OpenJob, int], Room | None] | None = None,
) -> list[tuple[int, int]]:
    """Place what waits on leases that have room now; return (task, lease).

    Parameters
    ----------
    queue
        What is placed leaves it.
    fleet
        Whose rooms are filled.
    types_of
        The types that a task may go to, most liked first; it fits all of them.
    place
        Chooses the room; the fullest on the first type that has one if None.
    """
    placed: list[tuple[int, int]] = []
    if not fleet.rooms:
        return placed

    def fullest(job: OpenJob, i: int) -> Room | None:
        for kind in types_of(job, i):
            room = fleet.best(job, i, kind)
            if room is not None:
                return room
        return None

    for line in sorted(queue.lines):
        placed += _dispatch_line(queue.lines[line], fleet, types_of, place or fullest)
    return placed


def _dispatch_line(
    items: list[Item],
    fleet: Fleet,
    types_of: Callable[[OpenJob, int], list[int]],
    place: Callable[[OpenJob, int], Room | None],
) -> list[tuple[int, int]]:
    placed: list[tuple[int, int]] = []
    at = missed = 0
    while at < len(items) and missed <= LOOK_AHEAD and fleet.any_free():
        _, task, job, i = items[at]
        room = place(job, i)
        if room is not None:
            room.take(job, i)
            job.placed(i)
            placed.append((task, room.lease))
            del items[at]
            continue
        if not missed:
            for kind in types_of(job, i)[:1]:
                fleet.keep_for(job, i, kind)
        missed += 1
        at += 1
    return placed
