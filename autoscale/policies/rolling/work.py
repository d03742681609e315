"""The open work: jobs with what is left of them, by when, and how long it takes."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.policies.protocol import ENDED, RUNNING
from autoscale.policies.rolling.fleet import COARSE_S
from autoscale.policies.rolling.offers import LADDER, choose_types, share_of

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.policies.protocol import JobView
    from autoscale.policies.rolling.learning import RuntimeRatios

NO_DEADLINE = 4.0
"""A job without a deadline is given so many times the shortest time it can take."""

LOST = 1.5
"""A job that cannot be in time any more is given so many times what it still needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """How much a policy hedges.

    Parameters
    ----------
    sigmas
        Standard deviations of what is left of a job that are kept free before its deadline.
    boot_share
        Leases are reckoned to boot as long as this share of boots takes at most.
    worth, worth_fine
        A deadline is worth so many times what the job's cheapest leases of its own would cost;
        the second under fine billing, where capacity comes in small pieces and caution is cheap.
    patience
        A launch waits while that costs at most this part of what a deadline is worth.
    dear
        By the second, a task that is not urgent takes no lease that costs it more than so many
        times the least.
    """

    sigmas: float = 1.0
    boot_share: float = 0.95
    worth: float = 3.0
    worth_fine: float = 5.0
    patience: float = 0.01
    dear: float = 1.05


FLOOR_S = 3.0
"""When a job ends is never known better than this, seconds (standard deviation)."""


GOLDEN = 0.6180339887498949


def spread(normal: FloatArray, noise: float) -> FloatArray:
    """Return factors of mean 1 that are spread as runtimes are: lognormal, from normal quantiles.

    Plays with them see that of many parallel tasks some take long.
    """
    sd = np.log1p(noise**2) ** 0.5
    out: FloatArray = np.exp(sd * normal - 0.5 * sd**2)
    return out


class JobWork:
    """One open job: durations on the considered types, windows, and what is left.

    Parameters
    ----------
    view
        The job.
    columns
        The considered types, as indices into the catalogue.
    """

    def __init__(self, view: JobView, columns: tuple[int, ...]) -> None:
        from scipy.special import ndtri

        self.view = view
        self.problem = view.job.problem
        w = self.problem.workflow
        self.n = len(w)
        self.need = np.stack([w.vcpus, w.memory_bytes, w.gpus], axis=1).astype(np.float64)
        self.pending = np.diff(w.parent_ptr).astype(np.int64)
        self.end_estimate_s = np.full(self.n, np.nan)
        deadline_s = self.problem.deadline_s
        self.deadline_s = np.inf if deadline_s is None else view.job.arrival_s + deadline_s
        self.rung = 0
        number = view.first + np.arange(self.n)
        self._normal = ndtri((0.5 + GOLDEN * number) % 1.0)
        self._present = np.unique(w.category)
        self._tail = np.zeros(self.n)
        self.set_columns(columns)

    def set_columns(self, columns: tuple[int, ...]) -> None:
        """Consider other types."""
        index = np.array(columns)
        everyone = np.arange(self.n)
        stated = np.ascontiguousarray(self.problem.duration_s[self.problem.task_class][:, index])
        shares = share_of(self.problem, everyone)[:, index]
        self.stated = stated
        self._price = self.problem.catalog.price_per_s[index]
        self._known: object = None
        self._price_share = np.ascontiguousarray(shares * self._price)

    def learn(self, ratios: RuntimeRatios) -> None:
        """Correct the durations by what has been learnt and start on the lowest rung."""
        from autoscale.policies.rolling import kernels

        w = self.problem.workflow
        known = ratios.corrections(w.categories)
        if known is self._known:  # nothing has been seen since
            return
        self._known = known
        factor, doubt = known
        self.doubt = float(doubt[self._present].max(initial=0.0))
        self.noise = ratios.sd
        tables = self.expected, self.played, self.cost = np.empty((3, *self.stated.shape))
        self.cheapest = np.empty(self.n)
        factors = factor, w.category, spread(self._normal, self.noise)
        correct: Any = kernels.corrected
        correct(self.stated, *factors, self._price_share, *tables, self.cheapest)

    def reference_s(self, rung: int) -> FloatArray:
        """Return how long each task takes on the fastest type within a rung's cost."""
        from autoscale.policies.rolling import kernels

        out: FloatArray = kernels.within(self.expected, self.cost, self.cheapest, LADDER[rung])
        return out

    def choose_rung(self, now_s: float, boot_s: float, caution: Caution) -> None:
        """Choose the cheapest rung that is in time, and what the deadline is worth."""
        for self.rung in range(len(LADDER)):
            left_s, doubt_s = self._left(self.reference_s(self.rung), now_s)
            if now_s + boot_s + left_s + caution.sigmas * doubt_s <= self.deadline_s:
                break
        if self.deadline_s == np.inf:
            self.deadline_s = now_s + NO_DEADLINE * (left_s + boot_s)
        length = self.reference_s(self.rung)
        used = (self.expected <= length[:, None] * (1 + 1e-9)) & np.isfinite(self.expected)
        own_s = self.problem.billing.billed_array_s(length + boot_s)[:, None] * self._price
        dearest = float(np.where(used, own_s, np.inf).min(axis=1).max())
        work = float(np.where(used, self.cost, np.inf).min(axis=1).sum())
        coarse = self.problem.billing.quantum_s >= COARSE_S
        self.worth_usd = (caution.worth if coarse else caution.worth_fine) * max(dearest, work)

    def set_windows(self, now_s: float, caution: Caution) -> None:
        """Set each task's latest finish and its place in the order."""
        length = self.reference_s(self.rung)
        left_s, self.doubt_s = self._left(length, now_s)
        if self.deadline_s < now_s + left_s:
            fastest_s, _ = self._left(self.reference_s(len(LADDER) - 1), now_s)
            if self.deadline_s < now_s + fastest_s:
                self.deadline_s = now_s + LOST * left_s + FLOOR_S
            self._left(length, now_s)
        self.due = self.deadline_s - caution.sigmas * self.doubt_s - self._tail
        self.key = self.due - length
        self.limit = max(caution.dear, LADDER[self.rung]) * self.cheapest

    def set_ranks(self, now_s: float) -> None:
        """Set how long the longest chain is that starts with each task, at its fastest."""
        length = self.expected.min(axis=1)
        self.deadline_s, self.doubt_s = now_s, FLOOR_S
        self._left(length, now_s)
        self.rank_s = self._tail + length

    def work_left_usd(self) -> float:
        """Return what the unended tasks cost at least on full leases."""
        return float(self.cheapest[self.view.status != ENDED].sum())

    def work_left_s(self) -> float:
        """Return how long the unended tasks take in all, each on its fastest type."""
        return float(self.stated.min(axis=1)[self.view.status != ENDED].sum())

    def expect_end(self, local: int, column: int, now_s: float) -> None:
        """Set when a running task is expected to end; who is late may stay so for a while."""
        took_s = float(self.expected[local, column])
        end_s = float(self.view.start_s[local]) + took_s
        self.end_estimate_s[local] = max(end_s, now_s + max(0.1, self.noise) * took_s)

    def _left(self, length: FloatArray, now_s: float) -> tuple[float, float]:
        """Return the longest chain of unended tasks, and how well its length is known."""
        from autoscale.policies.rolling import kernels

        w = self.problem.workflow
        state = self.view.status, RUNNING, ENDED, self.end_estimate_s, now_s
        left_s, squares = kernels.ahead(w.child_ptr, w.children, length, *state, self._tail)
        variance = self.noise**2 * squares + (self.doubt * left_s) ** 2
        return left_s, (variance + FLOOR_S**2) ** 0.5


class Backlog:
    """All open jobs, their tasks one after another, and the ready ones in the order of keys."""

    def __init__(self) -> None:
        self.jobs: dict[int, JobWork] = {}
        self.columns: tuple[int, ...] = ()
        self.running: dict[int, int] = {}
        self.ready: list[tuple[float, int]] = []
        self._job_of: list[int] = []
        self._stack: dict[str, Any] | None = None

    def job_of(self, task: int) -> JobWork:
        """Return the job of an open task."""
        return self.jobs[self._job_of[task]]

    def job_number(self, task: int) -> int:
        """Return the number of a task's job, also of one that has ended."""
        return self._job_of[task]

    def arrive(self, view: JobView) -> JobWork:
        """Take in a job."""
        more = set(choose_types(view.job.problem)) - set(self.columns)
        if more:
            self.columns += tuple(sorted(more))
            for job in self.jobs.values():
                job.set_columns(self.columns)
        job = self.jobs[view.number] = JobWork(view, self.columns)
        missing = view.first - len(self._job_of)
        self._job_of += [-1] * missing + [view.number] * job.n
        self._stack = None
        return job

    def add_column(self, kind: int) -> None:
        """Consider a type that is on lease."""
        if kind not in self.columns:
            self.columns += (kind,)
            for job in self.jobs.values():
                job.set_columns(self.columns)

    def ended(self, task: int) -> None:
        """Take note that a task has ended: its children may be ready."""
        job = self.jobs[self._job_of[task]]
        w = job.problem.workflow
        for child in w.children_of(task - job.view.first).tolist():
            job.pending[child] -= 1
            if not job.pending[child] and job.view.status[child] < RUNNING:
                self.push(job.view.first + child)

    def push(self, task: int) -> None:
        """Put a task among those that may start."""
        job = self.jobs[self._job_of[task]]
        bisect.insort(self.ready, (float(job.key[task - job.view.first]), task))

    def drop_ended(self) -> None:
        """Forget jobs of which every task has ended."""
        over = [n for n, job in self.jobs.items() if (job.view.status == ENDED).all()]
        for number in over:
            del self.jobs[number]
        if over:
            self._stack = None

    def rebuild_ready(self) -> None:
        """Set the order of ready tasks anew, after keys have changed."""
        ready: list[tuple[float, int]] = []
        for job in self.jobs.values():
            local = np.flatnonzero((job.pending == 0) & (job.view.status < RUNNING))
            tasks = (local + job.view.first).tolist()
            ready += zip(job.key[local].tolist(), tasks, strict=True)
        self.ready = sorted(ready)

    def correct(self, ratios: RuntimeRatios, now_s: float, caution: Caution) -> None:
        """Bring durations, windows and the order of ready tasks to what is known now."""
        self.learn(ratios, now_s)
        for job in self.jobs.values():
            job.set_windows(now_s, caution)
        self.rebuild_ready()

    def learn(self, ratios: RuntimeRatios, now_s: float) -> None:
        """Correct durations, and when running tasks are expected to end."""
        for job in self.jobs.values():
            job.learn(ratios)
        for task, column in self.running.items():
            job = self.job_of(task)
            local = task - job.view.first
            if job.view.status[local] == RUNNING:
                job.expect_end(local, column, now_s)

    def stacked(self) -> dict[str, Any]:
        """Return the columns of all open jobs' tasks, one job after another."""
        jobs = list(self.jobs.values())
        if self._stack is None:
            self._stack = _static(jobs)
        out = dict(self._stack)
        out["dur"] = np.concatenate([job.played for job in jobs])
        out["cost"] = np.concatenate([job.cost for job in jobs])
        for name in ("key", "due", "limit"):
            out[name] = _joined([getattr(job, name) for job in jobs])
        status = _joined([job.view.status for job in jobs])
        out["state"] = np.where(status == ENDED, 2, status == RUNNING).astype(np.int64)
        out["pending"] = _joined([job.pending for job in jobs]).astype(np.int64)
        out["end"] = _joined([job.end_estimate_s for job in jobs])
        for name in ("deadline_s", "doubt_s", "worth_usd"):
            out[name] = np.array([getattr(job, name) for job in jobs], dtype=np.float64)
        return out


def _joined(parts: list[Any]) -> Any:
    return np.concatenate(parts) if parts else np.zeros(0)


def _static(jobs: list[JobWork]) -> dict[str, Any]:
    """Return the columns that stay as they are while a job is open."""
    sizes = [job.n for job in jobs]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    flows = [job.problem.workflow for job in jobs]
    counts = [np.diff(w.child_ptr) for w in flows]
    ptr = np.concatenate([[0], np.cumsum(_joined(counts))]).astype(np.int64)
    children = [w.children + at for w, at in zip(flows, first[:-1], strict=True)]
    tasks: list[IntArray] = [np.arange(job.n) + job.view.first for job in jobs]
    return {
        "need": np.concatenate([job.need for job in jobs]),
        "child_ptr": ptr,
        "children": _joined(children).astype(np.int64),
        "job": np.repeat(np.arange(len(jobs)), sizes),
        "task": _joined(tasks).astype(np.int64),
        "first": first,
    }
