"""The planning problem: a workflow, what is on offer, the rules, and the goal."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.model import graph
from autoscale.model.arrays import FloatArray, Int32Array, frozen
from autoscale.model.billing import Billing

if TYPE_CHECKING:
    from autoscale.model.catalog import Catalog
    from autoscale.model.workflow import Workflow


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Everything a scheduler needs to know; immutable.

    Parameters
    ----------
    workflow
        The tasks.
    catalog
        The instance types that may be leased.
    deadline_s
        Every task ends by then, in seconds from submission, or None.
    budget_usd
        The plan costs at most this, or None.
    boot_s
        Seconds from the request of a lease until it can run tasks, >= 0.
    billing
        How a lease is charged.
    transfers
        Whether files are fetched from and stored to the object store.
    storage_bandwidth
        Bytes per second that the object store grants an instance; infinite by default.
    durations_s
        Durations given outright, shape (tasks, types), in place of the formula; for published
        examples that state a matrix. Infinite where a task cannot run on a type.

    Raises
    ------
    InputError
        A figure out of range, or a task that fits no type.
    """

    workflow: Workflow
    catalog: Catalog
    deadline_s: float | None = None
    budget_usd: float | None = None
    boot_s: float = 90.0
    billing: Billing = field(default_factory=Billing)
    transfers: bool = True
    storage_bandwidth: float = math.inf
    durations_s: FloatArray | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.boot_s < math.inf:
            raise InputError(f"boot: expected seconds >= 0, got {self.boot_s!r}")
        if not self.storage_bandwidth > 0:
            raise InputError(
                f"storage bandwidth: expected bytes/s > 0, got {self.storage_bandwidth!r}"
            )
        _check_goal(self.deadline_s, self.budget_usd)
        shape = (len(self.workflow), len(self.catalog))
        if self.durations_s is not None and self.durations_s.shape != shape:
            raise InputError(
                f"durations: expected shape (tasks, types) = {shape}, got {self.durations_s.shape}"
            )
        unfit = ~np.isfinite(self.duration_s).any(axis=1)
        if unfit.any():
            raise InputError(self._unfit_message(int(np.argmax(unfit))))

    def replace(self, **changes: Any) -> Problem:
        """Return a copy with some parts changed."""
        if not changes.keys() <= {"deadline_s", "budget_usd"}:
            return replace(self, **changes)
        # Nothing that is derived depends on the goal, so the copy shares it: many deadlines are
        # tried of one large workflow.
        other = copy.copy(self)
        other.__dict__.update(changes)
        _check_goal(other.deadline_s, other.budget_usd)
        return other

    @cached_property
    def _classes(self) -> tuple[Int32Array, Any]:
        """Class of each task, and one member task of each class."""
        if self.durations_s is not None:
            everyone = np.arange(len(self.workflow))
            return frozen(everyone, np.int32), everyone
        w = self.workflow
        rows = np.stack(
            [w.runtime_s, self._moved_bytes, w.vcpus, w.memory_bytes, w.gpus], axis=1
        ).astype(np.float64)
        keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * 5))).ravel()
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        # Number classes by their first member, so that the numbering follows the tasks' order.
        by_first = np.argsort(first, kind="stable")
        rank = np.empty_like(by_first)
        rank[by_first] = np.arange(by_first.size)
        return frozen(rank[inverse], np.int32), first[by_first]

    @cached_property
    def _moved_bytes(self) -> FloatArray:
        if not self.transfers:
            return np.zeros(len(self.workflow))
        return self.workflow.in_bytes + self.workflow.out_bytes

    @property
    def task_class(self) -> Int32Array:
        """Class of each task, shape (tasks,): tasks of a class are alike on every type."""
        return self._classes[0]

    @property
    def class_member(self) -> Any:
        """One task of each class, shape (classes,)."""
        return self._classes[1]

    @cached_property
    def duration_s(self) -> FloatArray:
        """Seconds that a class's task holds a type, shape (classes, types); inf where unfit.

        ``in_bytes / b + runtime / speed + out_bytes / b`` with the fair share of the link
        ``b = min(network, storage bandwidth) * vcpus / V``.
        """
        if self.durations_s is not None:
            return frozen(np.where(self.fits, self.durations_s, np.inf), np.float64)
        w, member = self.workflow, self.class_member
        speed = np.array([t.speed for t in self.catalog])
        link = np.array([t.bandwidth_bytes_per_s for t in self.catalog])
        seconds_per_byte = self.catalog.vcpus / np.minimum(link, self.storage_bandwidth)
        moved = (self._moved_bytes / w.vcpus)[member]
        out = w.runtime_s[member, None] / speed + moved[:, None] * seconds_per_byte
        out[~self.fits] = np.inf
        return frozen(out, np.float64)

    @cached_property
    def fits(self) -> Any:
        """Whether a class's task fits a type, boolean, shape (classes, types)."""
        w, member, types = self.workflow, self.class_member, self.catalog
        return (
            (w.vcpus[member, None] <= types.vcpus)
            & (w.memory_bytes[member, None] <= types.memory_bytes)
            & (w.gpus[member, None] <= types.gpus)
        )

    @cached_property
    def fastest_s(self) -> FloatArray:
        """Each task's duration on the type where it is shortest, shape (tasks,)."""
        out: FloatArray = self.duration_s.min(axis=1)[self.task_class]
        return out

    @cached_property
    def least_makespan_s(self) -> float:
        """A lower bound on the makespan of any plan: boot plus the fastest critical path."""
        return self.boot_s + graph.critical_path_s(self.workflow, self.fastest_s)

    def durations_on(self, type_index: Any) -> FloatArray:
        """Return each task's duration on one type (or on its own type, given an array)."""
        out: FloatArray = self.duration_s[self.task_class, type_index]
        return out

    def _unfit_message(self, class_index: int) -> str:
        w = self.workflow
        task = w.task(int(self.class_member[class_index]))
        most = {
            "vCPUs": self.catalog.vcpus.max(),
            "GiB of memory": self.catalog.memory_bytes.max() / 2**30,
            "GPUs": self.catalog.gpus.max(),
        }
        needs = (task.vcpus, task.memory_bytes / 2**30, task.gpus)
        asked = ", ".join(f"{need:g} {what}" for need, what in zip(needs, most, strict=True))
        offered = ", ".join(f"{has:g} {what}" for what, has in most.items())
        return (
            f"workflow {w.name!r}: task {task.id!r} fits no instance type of "
            f"{self.catalog.name}: it needs {asked}; the most that any type has is {offered} "
            "(not all of it in one type, perhaps)"
        )


def _check_goal(deadline_s: float | None, budget_usd: float | None) -> None:
    for label, limit in (("deadline", deadline_s), ("budget", budget_usd)):
        if limit is not None and not 0 < limit < math.inf:
            raise InputError(f"{label}: expected a finite number > 0, got {limit!r}")
