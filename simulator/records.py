"""What a simulated run leaves behind: flat records, one row a task and one a lease.

Records are facts, as columns; everything else (cost, makespan, utilisation, differences from the
plan) is computed from them afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.model.arrays import frozen
from autoscale.units import TIME_TOL_S, format_duration, format_money

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import FloatArray, Int32Array, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan
    from simulator.events import EventRecords


def waits_s(
    planned_s: FloatArray,
    start_s: FloatArray,
    *,
    parents: FloatArray,
    boot: FloatArray,
    order: FloatArray,
) -> dict[str, FloatArray]:
    """Split how late each task started by what it waited for; all arrays have shape (tasks,).

    Parameters
    ----------
    planned_s, start_s
        When the task should have started and when it did, seconds.
    parents, boot, order
        When its parents had ended, its lease was ready, and the task before it on its lease had
        started, seconds. Each reason is charged only with what those before it left; the room on
        the lease is charged with the rest, so that the four sum to ``start_s - planned_s``.

    Returns
    -------
    dict
        The columns ``wait_parents_s``, ``wait_boot_s``, ``wait_order_s``, ``wait_capacity_s``.
    """
    waits: dict[str, FloatArray] = {}
    since = planned_s
    reasons = {"parents": parents, "boot": boot, "order": order, "capacity": start_s}
    for reason, until in reasons.items():
        later = np.maximum(since, until)
        waits[f"wait_{reason}_s"] = later - since
        since = later
    return waits


def _freeze(records: TaskRecords | LeaseRecords) -> None:
    """Make the columns read-only views; whoever made them keeps what they had."""
    for name in records.__dataclass_fields__:
        column = getattr(records, name)
        object.__setattr__(records, name, frozen(column, column.dtype))


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskRecords:
    """One row a task, in the workflow's order; seconds, shape (tasks,).

    Parameters
    ----------
    lease
        Number of the lease that ran it: of the plan, or of the policy by order of request.
    machine
        Which row of the lease records ran it (the last attempt); -1 if it never started.
    attempts
        How often it was started.
    ready_s
        When its last parent ended; 0 without parents.
    first_start_s
        When it started first.
    start_s, end_s
        From when to when its successful attempt ran; NaN in a run that was given up before.
    fetch_s, compute_s, store_s
        How long that attempt fetched its inputs, computed and stored its outputs, in this order.
    wait_parents_s, wait_boot_s, wait_order_s, wait_capacity_s
        Seconds by which it started first later than planned, by what it waited for: its parents,
        its lease's boot, an earlier task of the plan on its lease, room on its lease. Without a
        plan, it is planned to start when its parents have ended, and all waiting is for room.
    """

    lease: Int32Array
    machine: Int32Array
    attempts: Int32Array
    ready_s: FloatArray
    first_start_s: FloatArray
    start_s: FloatArray
    fetch_s: FloatArray
    compute_s: FloatArray
    store_s: FloatArray
    end_s: FloatArray
    wait_parents_s: FloatArray
    wait_boot_s: FloatArray
    wait_order_s: FloatArray
    wait_capacity_s: FloatArray

    def __post_init__(self) -> None:
        _freeze(self)

    @property
    def late_s(self) -> FloatArray:
        """Seconds by which each task started later than planned, shape (tasks,)."""
        return self.wait_parents_s + self.wait_boot_s + self.wait_order_s + self.wait_capacity_s

    @property
    def rerun_s(self) -> FloatArray:
        """Seconds from the first start to the start of the attempt that succeeded."""
        return self.start_s - self.first_start_s


@dataclass(frozen=True, kw_only=True, eq=False)
class LeaseRecords:
    """One row a machine, in the order of the plan's leases; shape (machines,).

    A lease has one machine unless machines fail or are interrupted; those that follow come after
    it.

    Parameters
    ----------
    type
        Index into the catalogue.
    lease, attempt
        The lease of the plan that it served, and how many machines had served it before.
    requested_s, ready_s, released_s
        When it was requested (with a spot market: granted), had booted, and ended, seconds;
        ``ready_s`` is NaN where it never did.
    outcome
        How it ended, index into :data:`simulator.machine.OUTCOMES`.
    billed_s, cost_usd
        Seconds charged, and what they cost in USD.
    tasks
        How many tasks ended well on it.
    busy_vcpu_s
        vCPU-seconds held by tasks, failed attempts included.
    """

    type: Int32Array
    lease: Int32Array
    attempt: Int32Array
    requested_s: FloatArray
    ready_s: FloatArray
    released_s: FloatArray
    outcome: Int32Array
    billed_s: FloatArray
    cost_usd: FloatArray
    tasks: IntArray
    busy_vcpu_s: FloatArray

    def __post_init__(self) -> None:
        _freeze(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulationResult:
    """What happened in one simulated run.

    Parameters
    ----------
    problem
        What was planned and played.
    tasks, leases
        The records.
    events
        Everything that happened, if that was asked for.
    reason
        Why the run was given up; None for a run that was completed.
    """

    problem: Problem
    tasks: TaskRecords
    leases: LeaseRecords
    events: EventRecords | None = None
    reason: str | None = None

    @property
    def n_leases(self) -> int:
        """Number of machines: leases of the plan, and those that took over from failed ones."""
        return int(self.leases.type.size)

    @property
    def makespan_s(self) -> float:
        """When the last task ended, seconds; infinite for a run that was given up.

        Tasks of jobs that a policy dropped never end and do not count.
        """
        if self.reason is not None:
            return math.inf
        return float(np.fmax.reduce(self.tasks.end_s, initial=0.0))

    @property
    def cost_usd(self) -> float:
        """What all machines were charged, USD."""
        return math.fsum(self.leases.cost_usd)

    @property
    def leased_vcpu_s(self) -> FloatArray:
        """vCPU-seconds of each lease from request to release, shape (leases,)."""
        held_s = self.leases.released_s - self.leases.requested_s
        return held_s * self.problem.catalog.vcpus[self.leases.type]

    @property
    def utilisation(self) -> float:
        """Busy over leased vCPU-seconds."""
        leased = float(self.leased_vcpu_s.sum())
        return float(self.leases.busy_vcpu_s.sum()) / leased if leased else 0.0

    def differences(self, plan: Plan) -> dict[str, float]:
        """Return the largest absolute difference from the plan, column by column.

        Times are in seconds, costs in USD; lease times are those of request and release.

        Raises
        ------
        InputError
            When the plan has other numbers of tasks or leases.
        """
        shape = (self.tasks.start_s.size, self.n_leases)
        if (plan.task_start_s.size, plan.n_leases) != shape:
            raise InputError(
                f"differences: expected the plan that was simulated, with {shape[0]} tasks on "
                f"{shape[1]} leases, got one with {plan.task_start_s.size} on {plan.n_leases}"
            )
        pairs = {
            "task_start_s": (self.tasks.start_s, plan.task_start_s),
            "task_end_s": (self.tasks.end_s, plan.task_end_s),
            "lease_start_s": (self.leases.requested_s, plan.lease_start_s),
            "lease_end_s": (self.leases.released_s, plan.lease_end_s),
            "lease_cost_usd": (self.leases.cost_usd, plan.lease_cost_usd),
        }
        found = {name: float(np.abs(a - b).max(initial=0.0)) for name, (a, b) in pairs.items()}
        found["makespan_s"] = abs(self.makespan_s - plan.makespan_s)
        found["cost_usd"] = abs(self.cost_usd - plan.cost_usd)
        return found

    def reproduces(self, plan: Plan, tol: float = 1e-6) -> bool:
        """Return whether every time (s) and cost (USD) is the plan's, to within ``tol``."""
        return all(difference <= tol for difference in self.differences(plan).values())

    def as_plan(self) -> Plan:
        """Return what happened as if it had been planned so: machines are leases.

        Of several attempts of a task the one that succeeded counts.

        Raises
        ------
        InputError
            For a run that was given up.
        """
        from autoscale.plan.plan import Plan

        if self.reason is not None:
            raise InputError(f"a run that was given up is no plan: {self.reason}")
        return Plan(
            problem=self.problem,
            lease_type=self.leases.type,
            lease_start_s=self.leases.requested_s,
            lease_end_s=self.leases.released_s,
            task_lease=self.tasks.machine,
            task_start_s=self.tasks.start_s,
            task_end_s=self.tasks.end_s,
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a task: where it ran, when, and what it waited for."""
        import pandas as pd

        columns = {name: getattr(self.tasks, name) for name in TaskRecords.__dataclass_fields__}
        frame = pd.DataFrame(columns)
        names = np.array(self.problem.catalog.names)
        frame.insert(0, "task", self.problem.workflow.ids.tolist())
        kinds = names[self.leases.type[self.tasks.machine]]
        frame.insert(2, "instance_type", np.where(self.tasks.machine >= 0, kinds, ""))
        return frame

    def leases_frame(self) -> pd.DataFrame:
        """Return one row a machine: type, lease, times, ending, cost, utilisation."""
        import pandas as pd

        from simulator.machine import OUTCOMES

        columns = {name: getattr(self.leases, name) for name in LeaseRecords.__dataclass_fields__}
        frame = pd.DataFrame(columns)
        names = np.array(self.problem.catalog.names)
        frame.insert(0, "instance_type", names[frame.pop("type")])
        frame["outcome"] = np.array(OUTCOMES)[self.leases.outcome]
        frame["utilisation"] = self.leases.busy_vcpu_s / np.maximum(self.leased_vcpu_s, 1e-12)
        return frame.rename_axis("machine")

    def __repr__(self) -> str:
        if self.reason is not None:
            return f"SimulationResult({self.problem.workflow.name!r}: given up: {self.reason})"
        late_s = self.tasks.late_s
        n_late = int((late_s > TIME_TOL_S).sum())
        lateness = (
            f"{n_late:,} tasks late by up to {format_duration(float(late_s.max()))}"
            if n_late
            else "every task on time"
        )
        return (
            f"SimulationResult({self.problem.workflow.name!r}: {format_money(self.cost_usd)}, "
            f"{format_duration(self.makespan_s)}, {self.n_leases} leases, "
            f"{self.utilisation:.0%} utilised, {lateness})"
        )

    def _repr_html_(self) -> str:
        frame = self.leases_frame()
        frame["hours"] = (frame["released_s"] - frame["requested_s"]) / 3600
        frame["leases"] = 1
        columns = ["leases", "tasks", "hours", "cost_usd"]
        table = frame.groupby("instance_type")[columns].sum()
        table = table.sort_values(["cost_usd", "leases"], ascending=False, kind="stable")
        html = table.to_html(float_format=lambda x: f"{x:,.3f}")
        return f"<p><b>{self!r}</b></p>{html}"
