"""Dates of all open jobs, kept current, and the loads that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.policies.loads import Loads, rates
from autoscale.policies.protocol import RUNNING
from autoscale.policies.subdeadlines.dates import Dates
from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.subdeadlines.dates import Rule
    from autoscale.policies.work import OpenJob, Work


class Kinds:
    """Type of every lease that was ever seen, by its number."""

    def __init__(self) -> None:
        self.of: list[int] = []

    def look(self, state: ClusterState) -> None:
        """Take note of the leases that are held."""
        self.of += [-1] * (state.next_lease - len(self.of))
        for lease in reversed(state.leases):
            if self.of[lease.number] >= 0:
                break
            self.of[lease.number] = lease.type


class Dated:
    """The open jobs with their dates.

    Parameters
    ----------
    work
        The open jobs.
    bundles, rule
        See :class:`~autoscale.policies.subdeadlines.dates.Dates`.
    """

    def __init__(self, work: Work, *, bundles: bool = True, rule: Rule = "scs") -> None:
        self.work = work
        self.kinds = Kinds()
        self.of: dict[int, Dates] = {}
        self._bundles, self._rule = bundles, rule

    def look(self, state: ClusterState) -> None:
        """Take note of new leases and jobs; jobs that have ended are forgotten."""
        self.kinds.look(state)
        for job in self.work.ended:
            self.of.pop(job.number, None)
        for job in self.work.arrived:
            self.of[job.number] = Dates(job, bundles=self._bundles, rule=self._rule)

    def assign(self, state: ClusterState) -> None:
        """Assign dates anew to all open jobs.

        A job that has nothing running or ended yet is planned from when a machine that is asked
        for now would be ready.
        """
        for dates in self.of.values():
            wait_s = 0.0 if dates.started else dates.job.problem.boot_s
            dates.assign(state.now_s, state.now_s + wait_s, self.kinds.of)

    def loads(self, state: ClusterState) -> Loads:
        """Return what all open jobs ask for."""
        running = self._running(state.now_s)
        size, n_types = len(running), len(state.catalog)
        columns = [np.array(column) for column in zip(*running, strict=True)]
        if not columns:
            columns = [np.zeros(0, np.int64), *[np.zeros(0)] * 3]
        parts = [(columns[0].astype(np.int64), *columns[1:])]
        other = [np.full((size, n_types), np.inf)]
        owner = [np.full((size, 2), -1)]
        if self.of:
            every = list(self.of.values())
            some = np.concatenate([dates.some for dates in every])
            sizes = [dates.some.size for dates in every]
            bundles = np.concatenate([np.arange(size) for size in sizes])
            owner.append(np.stack([np.repeat(list(self.of), sizes), bundles], axis=1)[some])
            parts.append(_planned(every, some, other))
        kind, rate, begin_s, due_s = (np.concatenate(c) for c in zip(*parts, strict=True))
        return Loads(
            kind=kind, rate=rate, begin_s=begin_s, due_s=due_s,
            owner=np.concatenate(owner), other=np.concatenate(other),
        )  # fmt: skip

    def _running(self, now_s: float) -> list[tuple[int, float, float, float]]:
        """Return (type, rate, from, until) of what is left of each running task, in its window."""
        out = []
        for dates in self.of.values():
            job = dates.job
            for i in (job.view.status == RUNNING).nonzero()[0].tolist():
                kind = self.kinds.of[job.view.lease[i]]
                # A task that should have ended by now still holds its part for a moment.
                end_s = max(job.expected_end_s(i, kind, now_s), now_s + 1.0)
                due_s = max(float(dates.task_due_s[i]), end_s)
                share = float(job.shares[job.cls[i], kind])
                out.append((kind, share * (end_s - now_s) / (due_s - now_s), now_s, due_s))
        return out

    def moved(self, loads: Loads) -> None:
        """Take the types over that consolidation has changed."""
        mine = np.flatnonzero(loads.owner[:, 0] >= 0)
        for number, bundle, kind in zip(
            *loads.owner[mine].T.tolist(), loads.kind[mine].tolist(), strict=True
        ):
            self.of[number].kind[bundle] = kind

    def kind(self, job: OpenJob, i: int) -> int:
        """Return the type that a task is to go to."""
        dates = self.of[job.number]
        return int(dates.kind[dates.bundle[i]])

    def due_s(self, job: OpenJob, i: int) -> float:
        """Return until when a task is to end."""
        dates = self.of[job.number]
        return float(dates.due_s[dates.bundle[i]])


def _planned(jobs: list[Dates], some: Any, other: list[FloatArray]) -> tuple[Any, ...]:
    """Return (type, rate, from, until) of what has not started; append its rates on all types.

    ``some`` says of each bundle of all jobs whether any of it has not started.
    """
    rest_s, share, kind, begin_s, due_s = (
        np.concatenate([getattr(dates, name) for dates in jobs])[some]
        for name in ("rest_s", "share", "kind", "begin_s", "due_s")
    )
    window_s = due_s - begin_s
    fits = np.isfinite(rest_s)
    rate = rates(np.where(fits, rest_s, 0.0), share, window_s[:, None])
    other.append(np.where(fits & (rest_s <= window_s[:, None] + TIME_TOL_S), rate, np.inf))
    return kind.astype(np.int64), rate[np.arange(kind.size), kind], begin_s, due_s
