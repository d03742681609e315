"""Types and windows of a job's tasks, from what is left of it and of the time.

Mao and Humphrey, SC'11, steps 1 and 2: chains whose tasks like the same type are bundled; every
bundle starts on its most cost-efficient type; types are upgraded until the critical path ends by
the deadline; the time is shared out along chains in proportion to durations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from autoscale.model.arrays import csr
from autoscale.policies.protocol import RUNNING

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, Int32Array, IntArray
    from autoscale.policies.work import OpenJob

Rule: TypeAlias = Literal["scs", "gain", "soonest"]
RULES = get_args(Rule)
"""In the order of the kernels' numbers."""

EXACT = 500
"""Bundles above which upgrades are made several at a time, by their own seconds saved."""

MOST = 2000
"""Upgrades of a plan within a budget."""


class Dates:
    """Types and windows of one job's bundles; :meth:`assign` finds them anew.

    Parameters
    ----------
    job
        The job.
    bundles
        Whether chains are bundled; if not, every task is a bundle of its own.
    rule
        ``"scs"``: upgrades of the critical path, windows of paths. ``"gain"``: upgrades anywhere
        by their own value, windows from the earliest start to the latest finish; as nothing is
        shared, a task pays for its whole machine. ``"soonest"``: upgrades while a budget by the
        hour pays for them, windows without any room.

    Attributes
    ----------
    bundle
        Of each task, shape (tasks,).
    kind
        Type of each bundle.
    begin_s, due_s
        Its window, on the clock of the cluster.
    task_due_s
        When each task was to end by the last windows before it started, shape (tasks,).
    makespan_s
        When all of it ends, if nothing but precedence binds.
    usd_per_hour
        What is left costs, spread over that time, an hour at least.
    work_s
        What is left of it to start, seconds on its type.
    share
        Largest part of a machine that one of its tasks holds, shape (bundles, types).
    """

    def __init__(self, job: OpenJob, *, bundles: bool = True, rule: Rule = "scs") -> None:
        from autoscale.policies.subdeadlines import kernels

        self.job, self._rule, problem = job, rule, job.problem
        w, n = problem.workflow, len(job)
        self._usd = job.usd(shared=rule != "gain")
        liked = np.argmin(self._usd, axis=1)[problem.task_class]
        if bundles:
            self.bundle, size = kernels.bundle_of(w.parent_ptr, w.parents, w.child_ptr, liked)
        else:
            self.bundle, size = np.arange(n, dtype=np.int32), n
        self._graph = self._contracted(size)
        self.share = np.zeros((size, len(problem.catalog)))
        np.maximum.at(self.share, self.bundle, job.shares[problem.task_class])
        self.kind: Int32Array = np.zeros(size, dtype=np.int32)
        self.begin_s: FloatArray = np.zeros(size)
        self.due_s: FloatArray = np.zeros(size)
        self.work_s: FloatArray = np.zeros(size)
        self.rest_s: FloatArray = np.zeros((size, len(problem.catalog)))
        self.some: IntArray = np.ones(size, dtype=np.bool_)
        self.task_due_s: FloatArray = np.full(n, np.inf)
        self.makespan_s = self.usd_per_hour = 0.0

    def _contracted(self, size: int) -> tuple[IntArray, Int32Array, IntArray, Int32Array]:
        """Return the graph of bundles: parents and children, each as pointers and members."""
        w = self.job.problem.workflow
        child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
        above, below = self.bundle[w.parents], self.bundle[child]
        kept = above != below
        above, below = above[kept], below[kept]
        return (*csr(below, above, size), *csr(above, below, size))

    def assign(
        self,
        now_s: float,
        entry_s: float,
        kind_of: list[int],
        *,
        usd_per_hour: float = 0.0,
        slack: float = 0.0,
    ) -> None:
        """Assign types and windows to what has not started.

        Parameters
        ----------
        now_s, entry_s
            The time, and from when on anything can start.
        kind_of
            Type of each lease, by its number.
        usd_per_hour
            What the plan may cost an hour, for the rule ``"soonest"``.
        slack
            Part of the time to the deadline that types are to leave unused, from 0 to 1.
        """
        from autoscale.policies.subdeadlines import kernels

        job, size = self.job, self.some.size
        status = job.view.status
        end_s = np.full(len(job), now_s)
        for i in (status == RUNNING).nonzero()[0].tolist():
            end_s[i] = job.expected_end_s(i, kind_of[job.view.lease[i]], now_s)
        limit = job.due_s - slack * max(0.0, job.due_s - now_s) if slack else job.due_s
        self.kind, self.some = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.bool_)
        self.rest_s = np.empty(self.share.shape)
        self.work_s, self.begin_s, self.due_s = np.empty((3, size))
        self.makespan_s, self.usd_per_hour = kernels.assign(
            RULES.index(self._rule), *self._graph, self.bundle, job.problem.task_class,
            job.table_s, self._usd, status, end_s, now_s, entry_s, job.due_s, limit,
            usd_per_hour, MOST, EXACT, self.kind, self.rest_s, self.some, self.work_s,
            self.begin_s, self.due_s, self.task_due_s,
        )  # fmt: skip

    @property
    def started(self) -> bool:
        """Whether any task of the job has started."""
        status = self.job.view.status
        return bool((status >= RUNNING).any())
