"""Where a plan's money goes: work, transfers, boot, idle time, rounding.

Every charged vCPU-second of a lease of V vCPUs is in exactly one category, at 1 / V of the lease's
price:

- boot: from the request until tasks can run;
- compute and transfers: held by a task, split as its duration splits into running and moving files;
- idle: after boot and held by no task, also where memory or GPUs are full and vCPUs are left over;
- rounding: charged after the release, to fill a quantum or the minimum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autoscale.model.arrays import FloatArray
    from autoscale.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What is paid for each purpose, USD.

    Parameters
    ----------
    compute_usd, transfers_usd
        For vCPUs that tasks hold while they compute, and while they fetch and store files.
    boot_usd
        For leases that boot.
    idle_usd
        For vCPUs of booted leases that no task holds.
    rounding_usd
        For time charged after the release.
    """

    compute_usd: float
    transfers_usd: float
    boot_usd: float
    idle_usd: float
    rounding_usd: float

    @property
    def total_usd(self) -> float:
        """The sum of all categories."""
        return math.fsum(self.by_category().values())

    def by_category(self) -> dict[str, float]:
        """Return USD by the name of the category."""
        return {name.removesuffix("_usd"): getattr(self, name) for name in _FIELDS}

    @classmethod
    def summed(cls, parts: Iterable[Money]) -> Money:
        """Return the sum of several."""
        several = list(parts)
        return cls(**{name: math.fsum(getattr(m, name) for m in several) for name in _FIELDS})


_FIELDS = tuple(f.name for f in fields(Money))

CATEGORIES = tuple(name.removesuffix("_usd") for name in _FIELDS)
"""Names of the categories, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeMoney:
    """Where the money of one instance type goes.

    Parameters
    ----------
    instance_type
        Its key in the catalogue.
    leases
        Leases of it.
    money
        What they cost.
    """

    instance_type: str
    leases: int
    money: Money


def money_by_type(plan: Plan) -> tuple[TypeMoney, ...]:
    """Return where the plan's money goes, by type, the dearest first.

    All categories of all types are >= 0 and add up to the plan's cost.

    Examples
    --------
    >>> import autoscale as az
    >>> problem = az.make_problem(az.read_workflow("example:sipht"), types="m7i.large")
    >>> plan = az.solve(problem, planner="cheapest")
    >>> [(t.instance_type, t.leases) for t in money_by_type(plan)]
    [('m7i.large', 1)]
    """
    per_lease = _per_lease_usd(plan)
    rows = []
    for kind in np.unique(plan.lease_type).tolist():
        own = plan.lease_type == kind
        money = Money(**{name: math.fsum(per_lease[name][own]) for name in _FIELDS})
        name = plan.problem.catalog.names[kind]
        rows.append(TypeMoney(instance_type=name, leases=int(own.sum()), money=money))
    return tuple(sorted(rows, key=lambda row: -row.money.total_usd))


def _per_lease_usd(plan: Plan) -> dict[str, FloatArray]:
    """Return USD of each lease by category."""
    problem = plan.problem
    length = plan.lease_end_s - plan.lease_start_s
    billed = problem.billing.billed_array_s(length)
    # What billing lets pass as noise is not charged, hence not held.
    held = np.minimum(length, billed)
    boot = np.minimum(problem.boot_s, held)
    work = np.minimum(plan.busy_vcpu_s / problem.catalog.vcpus[plan.lease_type], held - boot)
    transfers = work * _transfer_share(plan)
    seconds = {
        "compute_usd": work - transfers,
        "transfers_usd": transfers,
        "boot_usd": boot,
        "idle_usd": held - boot - work,
        "rounding_usd": billed - held,
    }
    rate = problem.catalog.price_per_s[plan.lease_type]
    return {name: value * rate for name, value in seconds.items()}


def _transfer_share(plan: Plan) -> FloatArray:
    """Return the part of each lease's held vCPU-seconds in which files are moved."""
    problem, w = plan.problem, plan.problem.workflow
    share = np.zeros(len(w))
    if problem.transfers and problem.durations_s is None:
        kind = plan.lease_type[plan.task_lease]
        duration = problem.duration_s[problem.task_class, kind]
        computing = w.runtime_s / np.array([t.speed for t in problem.catalog])[kind]
        share = np.clip(1.0 - computing / np.maximum(duration, 1e-300), 0.0, 1.0)
        share[duration <= 0.0] = 0.0
    moving = (plan.task_end_s - plan.task_start_s) * w.vcpus * share
    per_lease = np.bincount(plan.task_lease, weights=moving, minlength=plan.n_leases)
    return np.clip(per_lease / np.maximum(plan.busy_vcpu_s, 1e-300), 0.0, 1.0)
