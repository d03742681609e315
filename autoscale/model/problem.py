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
from autoscale.model.arrays import (
    BoolArray,
    FloatArray,
    Int32Array,
    IntArray,
    frozen,
    number_rows,
)
from autoscale.model.billing import Billing
from autoscale.model.limits import AllowedTypes, Quota, allowed_table

if TYPE_CHECKING:
    from autoscale.model.catalog import Catalog
    from autoscale.model.workflow import Workflow

BLOCK = 1 << 15
"""Classes whose durations on every type are looked at together, where all would take too much."""

TASKS = frozenset({"_classes", "_moved_bytes", "moved_per_vcpu"})
"""Cached parts that depend on the workflow alone."""

FORGIVEN_SHARE = 1 - 4e-6
"""Quotas are bounded with work made this much less: checkers forgive that."""


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
    quotas
        Each holds at every moment.
    allowed
        Types that tasks of some categories are confined to.
    usable
        Whether each type may be leased at all, shape (types,); all of them by default.

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
    quotas: tuple[Quota, ...] = ()
    allowed: tuple[AllowedTypes, ...] = ()
    usable: BoolArray | None = None

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
        self._refuse_unfit()

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

    def with_types(self, index: IntArray) -> Problem:
        """Return the same problem with some of the catalogue's types, in the order given."""
        catalog = replace(self.catalog, types=tuple(self.catalog.types[int(k)] for k in index))
        given = self.durations_s
        fewer = replace(
            self,
            catalog=catalog,
            durations_s=None if given is None else given[:, index],
            usable=None if self.usable is None else self.usable[index],
        )
        if not self.allowed:  # a rule may tell fewer classes apart on fewer types
            _share(self, fewer)
        return fewer

    def with_usable(self, usable: BoolArray) -> Problem:
        """Return the same problem where only some types may be leased; their numbers stay."""
        fewer = replace(self, usable=usable)
        _share(self, fewer)
        return fewer

    @cached_property
    def _classes(self) -> tuple[Int32Array, Any]:
        """Class of each task, and one member task of each class."""
        if self.durations_s is not None:
            everyone = np.arange(len(self.workflow))
            return frozen(everyone, np.int32), everyone
        w = self.workflow
        columns = (w.runtime_s, self._moved_bytes, w.vcpus, w.memory_bytes, w.gpus)
        number, first = number_rows((*columns, *self._rule_column))
        return frozen(number, np.int32), first

    @cached_property
    def moved_per_vcpu(self) -> FloatArray:
        """Bytes that each task moves per vCPU it holds, shape (tasks,); 0 without transfers."""
        return self._moved_bytes / self.workflow.vcpus

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
        return frozen(self.durations_of(self.class_member), np.float64)

    def durations_of(self, tasks: Any) -> FloatArray:
        """Return how long some tasks hold each type, shape (given tasks, types); inf where unfit.

        For looking at a large workflow piece by piece: with hundreds of types, the durations of a
        million tasks take gigabytes.
        """
        fits = self.fits_of(tasks)
        if self.durations_s is not None:
            return np.where(fits, self.durations_s[tasks], np.inf)
        w = self.workflow
        out: FloatArray = w.runtime_s[tasks, None] / self.speed
        out += self.moved_per_vcpu[tasks, None] * self.seconds_per_byte
        out[~fits] = np.inf
        return out

    def fits_of(self, tasks: Any) -> Any:
        """Return whether some tasks fit each type, boolean, shape (given tasks, types)."""
        w, types = self.workflow, self.catalog
        fits = (
            (w.vcpus[tasks, None] <= types.vcpus)
            & (w.memory_bytes[tasks, None] <= types.memory_bytes)
            & (w.gpus[tasks, None] <= types.gpus)
        )
        if self.quotas or self.usable is not None:
            fits &= self.leasable
        if self.allowed:
            fits &= self._allowed[w.category[tasks]]
        return fits

    @cached_property
    def _allowed(self) -> BoolArray:
        """Whether each category may use each type, shape (categories, types)."""
        return allowed_table(self.workflow, self.catalog, self.allowed)

    @property
    def _rule_column(self) -> tuple[IntArray, ...]:
        """A column that tells apart tasks which may use different types; none where all may."""
        if not self.allowed:
            return ()
        rule = np.unique(self._allowed, axis=0, return_inverse=True)[1]
        return (rule.reshape(-1)[self.workflow.category],)

    @cached_property
    def quota_weights(self) -> IntArray:
        """What one lease of each type counts in each quota, shape (types, quotas)."""
        rows = [quota.weights(self.catalog) for quota in self.quotas]
        columns = np.stack(rows, axis=1) if rows else np.zeros((len(self.catalog), 0))
        return frozen(columns, np.int64)

    @cached_property
    def quota_limits(self) -> IntArray:
        """Limit of each quota, shape (quotas,)."""
        return frozen(np.array([quota.limit for quota in self.quotas]), np.int64)

    @property
    def leasable(self) -> BoolArray:
        """Whether even one lease of each type is possible, shape (types,)."""
        room = np.asarray((self.quota_weights <= self.quota_limits).all(axis=1))
        return room if self.usable is None else room & self.usable

    @cached_property
    def speed(self) -> FloatArray:
        """Speed of a core of each type, shape (types,)."""
        return np.array([t.speed for t in self.catalog], dtype=np.float64)

    @cached_property
    def seconds_per_byte(self) -> FloatArray:
        """Seconds a byte per vCPU held: the reciprocal of a vCPU's share of the link."""
        link = np.array([t.bandwidth_bytes_per_s for t in self.catalog])
        out: FloatArray = self.catalog.vcpus / np.minimum(link, self.storage_bandwidth)
        return out

    @cached_property
    def fits(self) -> Any:
        """Whether a class's task fits a type, boolean, shape (classes, types)."""
        return self.fits_of(self.class_member)

    @cached_property
    def fastest_s(self) -> FloatArray:
        """Each task's duration on the type where it is shortest, shape (tasks,)."""
        if self.durations_s is not None or self.quotas or self.allowed:
            from_table: FloatArray = self.duration_s.min(axis=1)[self.task_class]
            return from_table
        from autoscale.model import kernels

        w, types, kinds = self.workflow, self.catalog, self.leasable
        out: FloatArray = kernels.shortest(
            w.runtime_s,
            self.moved_per_vcpu,
            *(w.vcpus, w.memory_bytes, w.gpus),
            *(types.vcpus[kinds], types.memory_bytes[kinds], types.gpus[kinds]),
            self.speed[kinds],
            self.seconds_per_byte[kinds],
        )
        return out

    @cached_property
    def least_makespan_s(self) -> float:
        """A lower bound on the makespan of any plan: critical path and quotas, and boot."""
        path_s = graph.critical_path_s(self.workflow, self.fastest_s)
        return self.boot_s + max([path_s, *self.quota_work_s])

    @cached_property
    def quota_work_s(self) -> tuple[float, ...]:
        """For each quota, the seconds that the work takes within it at least, boot aside.

        Whatever a task holds of one resource (vCPUs, memory or GPUs) is part of a lease that
        counts; summed over tasks, each on the type where that is least, it fits in
        ``limit * (makespan - boot)``.
        """
        w, member, catalog = self.workflow, self.class_member, self.catalog
        if not self.quotas:
            return ()
        count = np.bincount(self.task_class, minlength=len(member))
        held = np.where(self.fits, self.duration_s, 0.0)
        most = np.zeros(len(self.quotas))
        for need, has in (
            (w.vcpus, catalog.vcpus),
            (w.memory_bytes, catalog.memory_bytes),
            (w.gpus, catalog.gpus),
        ):
            part = held / np.maximum(has, 1) * need[member, None].astype(np.float64)
            for number, weight in enumerate(self.quota_weights.T):
                counted = np.where(self.fits, part * weight, np.inf).min(axis=1)
                work = FORGIVEN_SHARE * float(count @ counted) / self.quota_limits[number]
                most[number] = max(most[number], work)
        return tuple(most.tolist())

    def durations_on(self, type_index: Any) -> FloatArray:
        """Return each task's duration on one type (or on its own type, given an array)."""
        if self.durations_s is not None:
            out: FloatArray = self.duration_s[self.task_class, type_index]
            return out
        w, types, kind = self.workflow, self.catalog, np.asarray(type_index)
        out = w.runtime_s / self.speed[kind]
        out += self.moved_per_vcpu * self.seconds_per_byte[kind]
        fits = w.vcpus <= types.vcpus[kind]
        fits &= w.memory_bytes <= types.memory_bytes[kind]
        fits &= w.gpus <= types.gpus[kind]
        if self.quotas or self.usable is not None:
            fits &= self.leasable[kind]
        if self.allowed:
            fits &= self._allowed[w.category, kind]
        out[~fits] = np.inf
        return out

    def can_do_with(self, usable: BoolArray) -> bool:
        """Return whether every task fits one of some types, a mask of shape (types,)."""
        return bool(self._fitting(usable)[0].all())

    def _fitting(self, usable: BoolArray | None = None) -> tuple[Any, Any]:
        """Return whether tasks fit a type, and a task for each that is told apart there."""
        if self.durations_s is not None:
            fits, first = np.isfinite(self.duration_s), self.class_member
            return (fits if usable is None else fits[:, usable]).any(axis=1), first
        w = self.workflow
        # Few tasks differ in what they hold, however many differ in how long.
        _, first = number_rows((w.vcpus, w.memory_bytes, w.gpus, *self._rule_column))
        blocks = (first[low : low + BLOCK] for low in range(0, len(first), BLOCK))
        kinds = slice(None) if usable is None else usable
        return np.concatenate([self.fits_of(b)[:, kinds].any(axis=1) for b in blocks]), first

    def _refuse_unfit(self) -> None:
        fitting, first = self._fitting()
        if not fitting.all():
            raise InputError(self._unfit_message(int(first[np.argmin(fitting)])))

    def _unfit_message(self, index: int) -> str:
        w = self.workflow
        task = w.task(index)
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
            f"(not all of it in one type, perhaps){self._limits_on(task.category)}"
        )

    def _limits_on(self, category: str) -> str:
        """Return which limits leave out types for a category, for a message."""
        rules = [f"allow {rule}" for rule in self.allowed if rule.category == category]
        too_much = np.asarray(self.quota_weights > self.quota_limits).any(axis=0)
        rules += [f"quota {self.quotas[int(q)]}" for q in np.flatnonzero(too_much)]
        return f"; {' and '.join(rules)} leave out types" if rules else ""


def _check_goal(deadline_s: float | None, budget_usd: float | None) -> None:
    for label, limit in (("deadline", deadline_s), ("budget", budget_usd)):
        if limit is not None and not 0 < limit < math.inf:
            raise InputError(f"{label}: expected a finite number > 0, got {limit!r}")


def _share(known: Problem, other: Problem) -> None:
    """Give another problem of the same tasks what is known of them."""
    vars(other).update({name: value for name, value in vars(known).items() if name in TASKS})
