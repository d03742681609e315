"""The critical chain of a plan: what its last task waited for, back to the submission.

A task can start no earlier than its parents end, than its lease is ready, and than the lease has
room for it. The latest of these is what it waited for; where even that leaves time before the
start, the plan held the task back. Walking back from the task that ends last gives links that
follow one another without a gap from 0 to the makespan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.plan.plan import Plan

LinkKind = Literal["request", "boot", "task", "held back"]
Reason = Literal["submission", "boot", "parent", "room", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One stretch of the critical chain.

    Parameters
    ----------
    kind
        ``request``: the lease is not yet requested, though it could be; ``boot``: it boots;
        ``task``: a task runs; ``held back``: a task could run, but the plan starts it later.
    start_s, end_s
        Seconds since submission.
    lease
        Index of the lease.
    task
        Index of the task that runs or is held back, or -1.
    after
        What the link waited for: the submission, the boot of the lease, the end of a parent, room
        on the lease, or nothing but the plan.
    """

    kind: LinkKind
    start_s: float
    end_s: float
    lease: int
    task: int = -1
    after: Reason = "plan"

    @property
    def seconds(self) -> float:
        """Length of the link."""
        return self.end_s - self.start_s


def critical_chain(plan: Plan) -> tuple[Link, ...]:
    """Return the links that decide the makespan, first to last."""
    if not len(plan.problem.workflow):
        return ()
    walk = _Walk(plan)
    links: list[Link] = []
    task, end = int(np.argmax(plan.task_end_s)), plan.makespan_s
    seen: set[int] = set()
    while task not in seen:
        seen.add(task)  # only a plan that breaks the rules can lead back to a task
        start, lease = float(plan.task_start_s[task]), int(plan.task_lease[task])
        reason, moment, before = walk.waited_for(task)
        held = start - moment > TIME_TOL_S
        links.append(
            Link(
                kind="task",
                start_s=start,
                end_s=end,
                lease=lease,
                task=task,
                after="plan" if held else reason,
            )
        )
        if held:
            links.append(
                Link(
                    kind="held back",
                    start_s=moment,
                    end_s=start,
                    lease=lease,
                    task=task,
                    after=reason,
                )
            )
        end = moment if held else start
        if before < 0:
            links += _beginning(plan, lease, end)
            break
        task = before
    return tuple(reversed(links))


def _beginning(plan: Plan, lease: int, ready_s: float) -> list[Link]:
    """Return the boot of a lease and, if it is requested late, the time before, last first."""
    start = float(plan.lease_start_s[lease])
    late = start > TIME_TOL_S
    links = [
        Link(
            kind="boot",
            start_s=start if late else 0.0,
            end_s=ready_s,
            lease=lease,
            after="plan" if late else "submission",
        )
    ]
    if late:
        links.append(
            Link(kind="request", start_s=0.0, end_s=start, lease=lease, after="submission")
        )
    return links


class _Walk:
    """Finds what a task waited for; keeps the tasks of each lease at hand."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        w, catalog = plan.problem.workflow, plan.problem.catalog
        self.needs = np.stack([w.vcpus, w.memory_bytes, w.gpus], axis=1).astype(np.float64)
        self.has = np.stack([catalog.vcpus, catalog.memory_bytes, catalog.gpus], axis=1).astype(
            np.float64
        )
        self.by_lease = np.argsort(plan.task_lease, kind="stable")
        count = np.bincount(plan.task_lease, minlength=plan.n_leases)
        self.first = np.concatenate([[0], np.cumsum(count)])

    def waited_for(self, task: int) -> tuple[Reason, float, int]:
        """Return why the task starts no earlier, until when, and the task before it (or -1)."""
        plan, lease = self.plan, int(self.plan.task_lease[task])
        requested = float(plan.lease_start_s[lease])
        ready = requested + plan.problem.boot_s
        found: list[tuple[Reason, float, int]] = []
        above = plan.problem.workflow.parents_of(task)
        if above.size:
            last = int(above[np.argmax(plan.task_end_s[above])])
            found.append(("parent", float(plan.task_end_s[last]), last))
        mate = self._made_room(task)
        if mate >= 0:
            found.append(("room", float(plan.task_end_s[mate]), mate))
        # A lease requested after the submission could have been requested earlier: it is a reason
        # only for a task that has no other.
        if not found or requested <= TIME_TOL_S:
            found.append(("boot", ready, -1))
        latest = max(moment for _, moment, _ in found)
        return next(event for event in found if event[1] >= latest - TIME_TOL_S)

    def _made_room(self, task: int) -> int:
        """Return the task whose end made the room in which this one starts, or -1.

        That is where, going back from its start, the lease is first too full for it.
        """
        plan, lease = self.plan, int(self.plan.task_lease[task])
        mates = self.by_lease[self.first[lease] : self.first[lease + 1]]
        start = float(plan.task_start_s[task])
        lasts = plan.task_end_s[mates] - plan.task_start_s[mates] > TIME_TOL_S
        before = plan.task_start_s[mates] < start - TIME_TOL_S
        mates = mates[lasts & before & (mates != task)]
        if not mates.size:
            return -1
        room = self.has[plan.lease_type[lease]] - self.needs[task]
        return self._last_too_full(mates, room, start)

    def _last_too_full(self, mates: IntArray, room: FloatArray, start_s: float) -> int:
        """Return the mate that ends where usage by mates last falls to what leaves room."""
        plan = self.plan
        ends = np.minimum(plan.task_end_s[mates], start_s)
        when = np.concatenate([plan.task_start_s[mates], ends])
        sign = np.repeat([1.0, -1.0], mates.size)
        # Ends come before starts of the same moment: intervals are half-open.
        order = np.lexsort((sign, when))
        change = sign[:, None] * np.tile(self.needs[mates], (2, 1))
        used = np.cumsum(change[order], axis=0)
        time_s = when[order]
        lasting = np.append(np.diff(time_s) > TIME_TOL_S, False)
        full = np.flatnonzero(lasting & (used > room * (1 + 1e-12)).any(axis=1))
        if not full.size:
            return -1
        until = time_s[full[-1] + 1]
        ended = mates[np.abs(plan.task_end_s[mates] - until) <= TIME_TOL_S]
        if not ended.size:
            return -1
        weight = self.needs[ended, 0]
        return int(ended[np.argmax(weight)])
