"""What differs between two plans of one workflow: money, time, leases, tasks, and the rules."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.plan.money import CATEGORIES, Money, money_by_type
from autoscale.units import TIME_TOL_S, format_duration, format_money

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import BoolArray, IntArray
    from autoscale.model.catalog import InstanceType
    from autoscale.plan.plan import Plan

LARGEST = 5
"""Moved tasks that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure in both plans; None where a plan has none.

    Parameters
    ----------
    name
        Which figure, with its unit.
    a, b
        Its values.
    """

    name: str
    a: float | None
    b: float | None

    @property
    def change(self) -> float | None:
        """``b - a``, or None."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A rule or limit that the plans do not share, in words."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedTask:
    """A task that starts at another time: seconds and types in both plans."""

    task: str
    start_a_s: float
    start_b_s: float
    type_a: str
    type_b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDiff:
    """The differences from plan a to plan b; see :func:`diff_plans`.

    Parameters
    ----------
    workflow, tasks
        Name and size of the workflow.
    figures
        Cost, makespan, number of leases, and utilisation.
    money
        USD of each category.
    leases
        Leases of each type that either plan uses.
    other_type, other_lease, other_time
        Tasks that run on another type, with other lease-mates, at another time.
    largest
        Tasks whose start moved most.
    settings
        Limits, prices and rules that differ.
    """

    workflow: str
    tasks: int
    figures: tuple[Figure, ...]
    money: tuple[Figure, ...]
    leases: tuple[Figure, ...]
    other_type: int
    other_lease: int
    other_time: int
    largest: tuple[MovedTask, ...]
    settings: tuple[Setting, ...]

    @property
    def same(self) -> bool:
        """Whether the plans are the same but for the numbering of leases."""
        changed = any(f.change for f in (*self.figures, *self.money, *self.leases))
        moved = self.other_type or self.other_lease or self.other_time
        return not (changed or moved or self.settings)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a figure: what it is about, its name, both values, the change."""
        import pandas as pd

        rows = [
            {"about": about, "figure": f.name, "a": f.a, "b": f.b, "change": f.change}
            for about in ("figures", "money", "leases")
            for f in getattr(self, about)
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        cost, makespan = self.figures[:2]
        money = " -> ".join(format_money(x or 0.0) for x in (cost.a, cost.b))
        time = " -> ".join(format_duration(x or 0.0) for x in (makespan.a, makespan.b))
        return (
            f"PlanDiff({self.workflow!r}: {money}, {time}, "
            f"{self.other_lease:,} of {self.tasks:,} tasks on another lease)"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format=lambda x: f"{x:,.4g}")
        return f"<p><b>{self!r}</b></p>{table}"


def diff_plans(a: Plan, b: Plan) -> PlanDiff:
    """Return what differs from plan ``a`` to plan ``b``.

    Parameters
    ----------
    a, b
        Two plans of the same workflow.

    Raises
    ------
    InputError
        The plans are of different workflows.

    Examples
    --------
    >>> import autoscale as az
    >>> problem = az.make_problem(az.read_workflow("example:sipht"), types="m7i.large")
    >>> plan = az.solve(problem, planner="cheapest")
    >>> diff_plans(plan, plan).same
    True
    """
    _refuse_other_workflow(a, b)
    kind_a, kind_b = _type_of_tasks(a), _type_of_tasks(b)
    partner = _partners(a, b)
    moved = np.abs(a.task_start_s - b.task_start_s)
    shifted = (moved > TIME_TOL_S) | (np.abs(a.task_end_s - b.task_end_s) > TIME_TOL_S)
    order = np.argsort(-moved, kind="stable")[:LARGEST]
    ids = a.problem.workflow.ids
    return PlanDiff(
        workflow=a.problem.workflow.name,
        tasks=len(a.problem.workflow),
        figures=_figures(a, b),
        money=_money(a, b),
        leases=_leases(a, b),
        other_type=int((kind_a != kind_b).sum()),
        other_lease=int((partner[a.task_lease] != b.task_lease).sum()),
        other_time=int(shifted.sum()),
        largest=tuple(
            MovedTask(
                task=str(ids[i]),
                start_a_s=float(a.task_start_s[i]),
                start_b_s=float(b.task_start_s[i]),
                type_a=str(kind_a[i]),
                type_b=str(kind_b[i]),
            )
            for i in order.tolist()
            if moved[i] > TIME_TOL_S
        ),
        settings=(*_settings(a, b), *_prices(a, b)),
    )


def _refuse_other_workflow(a: Plan, b: Plan) -> None:
    one, other = a.problem.workflow, b.problem.workflow
    if one is other:
        return
    why = ""
    if len(one) != len(other):
        why = f"{one.name!r} has {len(one):,} tasks, {other.name!r} has {len(other):,}"
    else:
        differing = _differing_tasks(a, b)
        if differing.any():
            i = int(np.argmax(differing))
            why = f"task {i} is {str(one.ids[i])!r} in {one.name!r}, and "
            same_id = one.ids[i] == other.ids[i]
            why += "another one" if same_id else repr(str(other.ids[i]))
            why += f" in {other.name!r}"
            if same_id:
                why = (
                    f"task {str(one.ids[i])!r} has other parents or needs in {one.name!r} than in "
                    f"{other.name!r}"
                )
    if why:
        raise InputError(f"the plans are of different workflows: {why}; compare plans of one")


def _differing_tasks(a: Plan, b: Plan) -> BoolArray:
    """Return which tasks differ in id, runtime, needs or parents, boolean, shape (tasks,)."""
    one, other = a.problem.workflow, b.problem.workflow
    columns = ("runtime_s", "vcpus", "memory_bytes", "gpus", "in_bytes", "out_bytes")
    differing: Any = one.ids != other.ids
    for name in columns:
        differing = differing | (getattr(one, name) != getattr(other, name))
    degrees = np.diff(one.parent_ptr) != np.diff(other.parent_ptr)
    if not degrees.any():
        child = np.repeat(np.arange(len(one)), np.diff(one.parent_ptr))
        degrees[child[one.parents != other.parents]] = True
    return np.asarray(differing | degrees, dtype=np.bool_)


def _type_of_tasks(plan: Plan) -> Any:
    return np.array(plan.problem.catalog.names)[plan.lease_type[plan.task_lease]]


def _partners(a: Plan, b: Plan) -> IntArray:
    """Return the lease of ``b`` that each lease of ``a`` corresponds to, or -1.

    Leases have no names: those of one type that share most tasks are paired, the closest pair
    first. Ties are broken alike from either side, so that the differences are symmetric.
    """
    partner = np.full(a.n_leases, -1, dtype=np.int64)
    same_type = _type_of_tasks(a) == _type_of_tasks(b)
    pairs = np.column_stack([a.task_lease, b.task_lease])[same_type]
    if not pairs.size:
        return partner
    pairs, count = np.unique(pairs.astype(np.int64), axis=0, return_counts=True)
    taken = np.zeros(b.n_leases, dtype=np.bool_)
    for x in np.lexsort((pairs.max(axis=1), pairs.min(axis=1), -count)).tolist():
        lease, other = pairs[x].tolist()
        if partner[lease] < 0 and not taken[other]:
            partner[lease], taken[other] = other, True
    return partner


def _figures(a: Plan, b: Plan) -> tuple[Figure, ...]:
    return (
        Figure(name="cost_usd", a=a.cost_usd, b=b.cost_usd),
        Figure(name="makespan_s", a=a.makespan_s, b=b.makespan_s),
        Figure(name="leases", a=a.n_leases, b=b.n_leases),
        Figure(name="utilisation", a=a.utilisation, b=b.utilisation),
        Figure(name="gap", a=_finite(a.gap), b=_finite(b.gap)),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _money(a: Plan, b: Plan) -> tuple[Figure, ...]:
    one, other = (Money.summed(t.money for t in money_by_type(p)).by_category() for p in (a, b))
    return tuple(Figure(name=name, a=one[name], b=other[name]) for name in CATEGORIES)


def _leases(a: Plan, b: Plan) -> tuple[Figure, ...]:
    one, other = (Counter(np.array(p.problem.catalog.names)[p.lease_type].tolist()) for p in (a, b))
    return tuple(Figure(name=name, a=one[name], b=other[name]) for name in sorted({*one, *other}))


def _settings(a: Plan, b: Plan) -> list[Setting]:
    one, other = _described(a), _described(b)
    return [
        Setting(name=name, a=one[name], b=other[name]) for name in one if one[name] != other[name]
    ]


def _described(plan: Plan) -> dict[str, str]:
    """Return the limits and rules of a plan in words."""
    p = plan.problem
    used = [p.catalog[k] for k in sorted(set(plan.lease_type.tolist()))]
    bandwidth = p.storage_bandwidth
    return {
        "deadline": "none" if p.deadline_s is None else format_duration(p.deadline_s),
        "budget": "none" if p.budget_usd is None else format_money(p.budget_usd),
        "provider": ", ".join(sorted({t.provider for t in used})),
        "region": ", ".join(sorted({t.region for t in used})),
        "purchase": ", ".join(sorted({t.purchase for t in used})),
        "boot": f"{p.boot_s:g} s",
        "billing": f"quantum {p.billing.quantum_s:g} s, minimum {p.billing.minimum_s:g} s",
        "transfers": "counted" if p.transfers else "not counted",
        "storage bandwidth": f"{bandwidth:.6g} B/s" if math.isfinite(bandwidth) else "unlimited",
        "quotas": ", ".join(map(str, p.quotas)) or "none",
        "allowed types": " ".join(map(str, p.allowed)) or "any",
    }


def _prices(a: Plan, b: Plan) -> list[Setting]:
    """Return the instance types whose figures are not the same in both catalogues."""
    one = {t.key: t for t in a.problem.catalog}
    other = {t.key: t for t in b.problem.catalog}
    out = []
    for key in sorted(one.keys() & other.keys()):
        before, after = _offered(one[key]), _offered(other[key])
        if before != after:
            out.append(Setting(name=f"type {key}", a=before, b=after))
    return out


def _offered(t: InstanceType) -> str:
    """Return the figures of a type that plans rely on."""
    link = "no limit" if t.network_gbps is None else f"{t.network_gbps:g} Gbit/s"
    return (
        f"${t.price_usd_per_hour:.6g}/h, {t.vcpus} vCPU, {t.memory_gib:g} GiB, {t.gpus} GPU, "
        f"speed {t.speed:.6g}, {link}"
    )
