"""A plan: which machines to lease, when, and which task runs where and when.

Costs, makespan and utilisation are computed from the columns, never stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from autoscale.model.arrays import FloatArray, Int32Array
    from autoscale.model.catalog import InstanceType
    from autoscale.model.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A lower bound on what ANY plan for the problem costs (USD) or takes (s).

    Parameters
    ----------
    objective
        What is bounded.
    lower_bound
        The bound, USD or seconds.
    method
        How it was derived.
    """

    objective: Literal["cost", "makespan"]
    lower_bound: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a plan comes from."""

    planner: str = ""
    seed: int = 0
    solver: str = ""
    planning_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Lease:
    """A view of one rented machine, from request to release."""

    index: int
    type: InstanceType
    start_s: float
    end_s: float
    cost_usd: float
    tasks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Leases and assignments as columns.

    Parameters
    ----------
    problem
        What the plan is for.
    lease_type
        Index into the problem's catalogue, shape (leases,).
    lease_start_s, lease_end_s
        Request and release, seconds, shape (leases,).
    task_lease
        Each task's lease, shape (tasks,), in the workflow's order.
    task_start_s, task_end_s
        When each task runs, seconds, shape (tasks,).
    certificate
        A lower bound on what any plan costs or takes, or None.
    provenance
        Who made the plan.
    """

    problem: Problem
    lease_type: Int32Array
    lease_start_s: FloatArray
    lease_end_s: FloatArray
    task_lease: Int32Array
    task_start_s: FloatArray
    task_end_s: FloatArray
    certificate: Certificate | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def n_leases(self) -> int:
        """Number of leases."""
        return int(self.lease_type.size)

    @cached_property
    def lease_cost_usd(self) -> FloatArray:
        """What each lease is charged, USD, shape (leases,)."""
        billed = self.problem.billing.billed_array_s(self.lease_end_s - self.lease_start_s)
        hourly = np.array([t.price_usd_per_hour for t in self.problem.catalog])
        return hourly[self.lease_type] / 3600 * billed

    @cached_property
    def cost_usd(self) -> float:
        """What the plan costs, USD."""
        return math.fsum(self.lease_cost_usd)

    @cached_property
    def makespan_s(self) -> float:
        """When the last task ends, seconds."""
        return float(self.task_end_s.max(initial=0.0))

    @property
    def slack_s(self) -> float:
        """Deadline minus makespan, seconds; infinite without a deadline."""
        deadline = self.problem.deadline_s
        return math.inf if deadline is None else deadline - self.makespan_s

    @cached_property
    def busy_vcpu_s(self) -> FloatArray:
        """vCPU-seconds held by tasks on each lease, shape (leases,)."""
        held = (self.task_end_s - self.task_start_s) * self.problem.workflow.vcpus
        out: FloatArray = np.bincount(
            self.task_lease, weights=held, minlength=self.n_leases
        ).astype(np.float64)
        return out

    @cached_property
    def leased_vcpu_s(self) -> FloatArray:
        """vCPU-seconds of each lease from request to release, shape (leases,)."""
        vcpus = self.problem.catalog.vcpus[self.lease_type]
        return (self.lease_end_s - self.lease_start_s) * vcpus

    @property
    def utilisation(self) -> float:
        """Busy over leased vCPU-seconds."""
        leased = float(self.leased_vcpu_s.sum())
        return float(self.busy_vcpu_s.sum()) / leased if leased else 0.0

    @property
    def objective(self) -> float:
        """The value that the certificate bounds: cost in USD or makespan in seconds."""
        bounds_makespan = self.certificate is not None and self.certificate.objective == "makespan"
        return self.makespan_s if bounds_makespan else self.cost_usd

    @property
    def gap(self) -> float:
        """``(objective - lower bound) / lower bound``; infinite while no bound is known."""
        if self.certificate is None or not self.certificate.lower_bound > 0:
            return math.inf
        return max(0.0, self.objective / self.certificate.lower_bound - 1)

    def lease(self, index: int) -> Lease:
        """Return a view of one lease."""
        index = range(self.n_leases)[index]
        return Lease(
            index=index,
            type=self.problem.catalog[int(self.lease_type[index])],
            start_s=float(self.lease_start_s[index]),
            end_s=float(self.lease_end_s[index]),
            cost_usd=float(self.lease_cost_usd[index]),
            tasks=tuple(self.problem.workflow.ids[self.task_lease == index].tolist()),
        )

    def replace(self, **changes: Any) -> Plan:
        """Return a copy with some parts changed."""
        return replace(self, **changes)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a task: where and when it runs."""
        import pandas as pd

        names = np.array(self.problem.catalog.names)
        return pd.DataFrame(
            {
                "task": self.problem.workflow.ids.tolist(),
                "lease": self.task_lease,
                "instance_type": names[self.lease_type[self.task_lease]],
                "start_s": self.task_start_s,
                "end_s": self.task_end_s,
            }
        )

    def leases_frame(self) -> pd.DataFrame:
        """Return one row a lease: type, times, cost, utilisation."""
        import pandas as pd

        names = np.array(self.problem.catalog.names)
        return pd.DataFrame(
            {
                "instance_type": names[self.lease_type],
                "start_s": self.lease_start_s,
                "end_s": self.lease_end_s,
                "cost_usd": self.lease_cost_usd,
                "tasks": np.bincount(self.task_lease, minlength=self.n_leases),
                "utilisation": self.busy_vcpu_s / np.maximum(self.leased_vcpu_s, 1e-12),
            }
        ).rename_axis("lease")

    def summary_frame(self) -> pd.DataFrame:
        """Return one row an instance type: leases, hours, cost, utilisation."""
        frame = self.leases_frame()
        frame["hours"] = (frame["end_s"] - frame["start_s"]) / 3600
        frame["busy"] = self.busy_vcpu_s
        frame["leased"] = self.leased_vcpu_s
        frame["leases"] = 1
        columns = ["leases", "tasks", "hours", "cost_usd", "busy", "leased"]
        table = frame.groupby("instance_type")[columns].sum()
        table["utilisation"] = table.pop("busy") / table.pop("leased")
        return table.sort_values(["cost_usd", "leases"], ascending=False, kind="stable")

    def plot_gantt(self, ax: Axes | None = None) -> Axes:
        """Draw the leases with boot, busy and idle time; see ``autoscale.plotting.gantt``."""
        from importlib import import_module

        # Plotting is a layer above; it is reached by name so that imports keep pointing down.
        drawn: Axes = import_module("autoscale.plotting.gantt").plot_gantt(self, ax)
        return drawn

    def __repr__(self) -> str:
        bound = f", gap {self.gap:.1%}" if math.isfinite(self.gap) else ""
        return (
            f"Plan({self.problem.workflow.name!r}: {format_money(self.cost_usd)}{bound}, "
            f"{format_duration(self.makespan_s)}, {self.n_leases} leases, "
            f"{self.utilisation:.0%} utilised)"
        )

    def _repr_html_(self) -> str:
        table = self.summary_frame().to_html(float_format=lambda x: f"{x:,.3f}")
        return f"<p><b>{self!r}</b></p>{table}"
