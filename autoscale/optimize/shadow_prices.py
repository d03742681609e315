"""What the linear relaxation says about a plan's limits: more time, and types that just missed.

The fleet LP (``autoscale.lp.fleet``) bounds the cost of every plan. Its value at a later deadline
says what more time is worth to the relaxation. Its duals say what each piece of work is worth
there; an instance type enters its optimum only at a price at which some lease earns its cost from
those pieces. Both speak of the relaxation: of a plan they say what it cannot gain more than.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from autoscale.lp.backend import SolveStatus, solve_model
from autoscale.lp.bound import CostBound, settings_for
from autoscale.lp.chains import precedence_prices
from autoscale.lp.fleet import build_fleet_model
from autoscale.lp.model import LinearModel
from autoscale.lp.order import stage_prices
from autoscale.plan.check import quota_peaks
from autoscale.units import HOUR_S

if TYPE_CHECKING:
    from autoscale.lp.bound import Bound
    from autoscale.lp.fleet import FleetModel
    from autoscale.lp.windows import Groups
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.catalog import Catalog
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

RUNNER_UPS = 10
"""Runner-up types that are listed at most."""

MORE_TIME = 0.1
"""Part of the deadline by which it is loosened, besides by an hour."""

COUPLING = ("work", "place", "leases", "quota")
"""Rows of the fleet model in which types meet; all others are of one type, with sides of 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreTime:
    """What a later deadline is worth.

    Parameters
    ----------
    extra_s
        Seconds by which the deadline is later.
    bound_usd
        Lower bound on the cost of any plan for that deadline, USD.
    saves_usd
        By how much the relaxation is cheaper for it, USD, >= 0.
    saves_at_most_usd
        No plan for that deadline is cheaper than the present one by more, USD.
    """

    extra_s: float
    bound_usd: float
    saves_usd: float
    saves_at_most_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """A type that the plan does not lease.

    Parameters
    ----------
    instance_type
        Its key in the catalogue.
    price_usd_per_hour
        Its price.
    enters_at_usd_per_hour
        At a higher price than this no lease of it enters the relaxation's optimum.
    in_relaxation
        Whether the relaxation leases it already; the plan does not.
    """

    instance_type: str
    price_usd_per_hour: float
    enters_at_usd_per_hour: float
    in_relaxation: bool

    @property
    def fall(self) -> float:
        """By what part its price has to fall at least, 0 to 1."""
        return 1.0 - self.enters_at_usd_per_hour / self.price_usd_per_hour


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """How far a quota limits the plan.

    Parameters
    ----------
    quota
        The quota as text, e.g. ``c7*:vcpus=64``.
    limit, peak
        The limit, and the most that the plan has leased at once.
    worth_usd
        By how much the relaxation falls with one more unit, USD (the rate at the limit), >= 0.
    """

    quota: str
    limit: int
    peak: int
    worth_usd: float

    @property
    def binding(self) -> bool:
        """Whether the plan leases all that it may, or the relaxation would gain from more."""
        return self.peak >= self.limit or self.worth_usd > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrices:
    """What the relaxation says; see :func:`shadow_prices`.

    Parameters
    ----------
    deadline_s
        The deadline that it is solved for.
    bound_usd
        Its bound there.
    more_time
        Later deadlines.
    runner_ups
        Types that the plan does not lease, the nearest first.
    quotas
        One entry a quota of the problem.
    offered
        Types on offer.
    not_dominated
        Those of them that no other type makes superfluous; only these can be runner-ups.
    """

    deadline_s: float
    bound_usd: float
    more_time: tuple[MoreTime, ...]
    runner_ups: tuple[RunnerUp, ...]
    quotas: tuple[QuotaUse, ...]
    offered: int
    not_dominated: int


def shadow_prices(
    plan: Plan, *, offer: Catalog | None = None, time_limit_s: float = 60.0
) -> ShadowPrices | None:
    """Return what the relaxation says about the plan, or None when it has no time for that.

    Parameters
    ----------
    plan
        The plan. Without a deadline, its makespan is taken for one.
    offer
        Further types that may be leased; where a type is in the plan's own catalogue too, its
        figures there count. A plan read from a file knows only the types that it leases.
    time_limit_s
        Seconds after which no further linear program is begun.
    """
    limit = time.perf_counter() + time_limit_s
    problem = _with_offer(plan, offer)
    deadline = problem.deadline_s or 0.0
    used = np.unique(plan.lease_type).astype(np.int64)
    search = _search(problem, used, limit)
    root = search.root()
    if root.best.fleet is None or time.perf_counter() > limit:
        return None
    more_time = []
    for extra in (MORE_TIME * deadline, HOUR_S):
        later = problem.replace(deadline_s=deadline + extra)
        bound = _search(later, search.relaxer.types.index[search.relaxer.active], limit).root()
        if time.perf_counter() > limit:
            break
        # The optimum never rises with the deadline; the bound may, by its other buckets.
        usd = min(bound.usd, root.usd)
        saves = MoreTime(
            extra_s=extra,
            bound_usd=usd,
            saves_usd=root.usd - usd,
            saves_at_most_usd=max(0.0, plan.cost_usd - bound.usd),
        )
        more_time.append(saves)
    dual = _duals(root.best.fleet)
    return ShadowPrices(
        deadline_s=deadline,
        bound_usd=root.usd,
        more_time=tuple(more_time),
        runner_ups=_runner_ups(search, root, root.best.fleet, dual, used, limit),
        quotas=_quota_uses(plan, root.best.fleet, dual),
        offered=len(problem.catalog),
        not_dominated=len(search.relaxer.types),
    )


def _with_offer(plan: Plan, offer: Catalog | None) -> Problem:
    """Return the plan's problem with a deadline that the plan meets, and all types on offer."""
    problem = plan.problem
    deadline = max(problem.deadline_s or 0.0, plan.makespan_s, problem.least_makespan_s)
    catalog = problem.catalog
    if offer is not None and problem.durations_s is None:
        known = {(t.provider, t.region, t.key) for t in catalog}
        added = tuple(t for t in offer if (t.provider, t.region, t.key) not in known)
        catalog = replace(catalog, types=catalog.types + added)
    return problem.replace(catalog=catalog, deadline_s=deadline, budget_usd=None)


def _search(problem: Problem, types: IntArray, limit: float) -> CostBound:
    # It is not told what the plan costs: with that, it would bound better plans only.
    settings = settings_for(problem, quick=True)  # it is solved several times
    return CostBound(problem, settings=settings, used_types=types, clock_limit_s=limit)


def _duals(fleet: FleetModel) -> tuple[FloatArray, FloatArray] | None:
    """Return multipliers of the rows and values of the variables, or None without an optimum."""
    solved = solve_model(fleet.model)
    if solved.status is not SolveStatus.OPTIMAL or solved.row_dual is None or solved.x is None:
        return None
    return solved.row_dual, solved.x


def _quota_uses(
    plan: Plan, fleet: FleetModel, dual: tuple[FloatArray, FloatArray] | None
) -> tuple[QuotaUse, ...]:
    problem = plan.problem
    worth = np.zeros(len(problem.quotas))
    if dual is not None and problem.quotas:
        taken = dual[0][fleet.model.rows["quota"]].reshape(len(problem.quotas), -1)
        worth = np.maximum(-taken.sum(axis=1) * fleet.unit_usd, 0.0)
    peak = quota_peaks(plan)
    return tuple(
        QuotaUse(quota=str(q), limit=q.limit, peak=int(most), worth_usd=round(float(usd), 9))
        for q, most, usd in zip(problem.quotas, peak, worth, strict=True)
    )


def _runner_ups(
    search: CostBound,
    root: Bound,
    fleet: FleetModel,
    dual: tuple[FloatArray, FloatArray] | None,
    used: IntArray,
    limit: float,
) -> tuple[RunnerUp, ...]:
    """Return the types that the plan does not lease, those whose price has to fall least first."""
    if dual is None:
        return ()
    problem, types = search.relaxer.problem, search.relaxer.types
    assert root.best.pricing is not None
    groups = root.best.pricing.everyone
    leased = fleet.types.index[dual[1][fleet.opened] > 1e-6]
    found = []
    for k in np.flatnonzero(~np.isin(types.index, used)).tolist():
        if time.perf_counter() > limit:
            break
        t = problem.catalog[int(types.index[k])]
        inside = bool(np.isin(types.index[k], leased))
        price = t.price_usd_per_hour
        worth = price if inside else _worth_usd_per_hour(search, fleet, groups, dual[0], k)
        if worth > 0:
            found.append(
                RunnerUp(
                    instance_type=t.key,
                    price_usd_per_hour=price,
                    enters_at_usd_per_hour=min(worth, price),
                    in_relaxation=inside,
                )
            )
    found.sort(key=lambda r: (r.fall, not r.in_relaxation, r.instance_type))
    return tuple(found[:RUNNER_UPS])


def _worth_usd_per_hour(
    search: CostBound, fleet: FleetModel, groups: Groups, dual: FloatArray, k: int
) -> float:
    """Return the most that a lease of one type earns per charged hour, at the duals given.

    The pricing problem of column generation: over all leases of the type (the rows of its fleet
    model but those in which types meet), maximise what the work done is worth (rows 1) less what
    its places cost (rows 3, duals <= 0), for charged time of one horizon. All machine cuts are
    rows here: without them a small share of a huge machine would serve a few small tasks.
    """
    if not np.isfinite(groups.vcpu_s[:, k]).any():
        return 0.0  # it does nothing in time
    kinds = np.array([k])
    single = search.relaxer.types.only(kinds)
    own = build_fleet_model(
        search.relaxer.problem,
        single,
        groups.only(kinds),
        fleet.edges,
        penalty_usd=search.relaxer.penalty_usd,
    )
    rows = fleet.model.rows
    place = np.zeros((len(groups), fleet.edges.size - 1))
    place.ravel()[fleet.place_cells] = dual[rows["place"]]
    work = groups.vcpu_s[own.group, k]
    second = precedence_prices(fleet, search.relaxer.problem, search.relaxer.chains, dual)
    earned = dual[rows["work"]][own.group] + place[own.group, own.bucket] * work
    earned += second[own.group] * groups.shortest_s[own.group, k]
    in_stage = stage_prices(fleet, search.relaxer.order, dual)
    earned += in_stage[own.group] * groups.task_s[own.group, k]
    revenue = np.zeros(own.model.n_variables)
    # Work that takes no time is no reason for a machine: whoever is there takes it.
    revenue[own.x] = np.where(work > 1e-9, earned, 0.0)
    revenue[own.opened] = float(dual[rows["leases"]].sum())
    if "dear" in rows and search.relaxer.types.price_per_s[k] >= search.relaxer.dear_usd_per_s:
        revenue[own.opened] += float(dual[rows["dear"]].sum())
    if "quota" in rows:
        taken = dual[rows["quota"]].reshape(len(search.relaxer.problem.quotas), -1)
        revenue[own.n[0]] = search.relaxer.problem.quota_weights[single.index[0]] @ taken
    longest = search.relaxer.problem.boot_s + float(fleet.edges[-1])
    priced = _of_one_type(own, revenue, longest)
    _add_machine_rows(priced, own, int(search.relaxer.problem.catalog.vcpus[single.index[0]]))
    solved = solve_model(priced)
    if solved.status is not SolveStatus.OPTIMAL:
        return 0.0
    return max(0.0, -solved.objective) * fleet.unit_usd / longest * HOUR_S


def _of_one_type(own: FleetModel, revenue: FloatArray, charged_s: float) -> LinearModel:
    """Return the model of leases of one type that are charged at most so many seconds."""
    model = own.model
    kept = np.ones(model.n_rows, dtype=np.bool_)
    for name in set(COUPLING) & model.rows.keys():
        kept[model.rows[name]] = False
    matrix = model.matrix().tocsr()[np.flatnonzero(kept)].tocoo()
    low, high = model.sides
    most = np.full(model.n_variables, np.inf)
    most[model.variables["C"]] = charged_s
    priced = LinearModel()
    priced.add_variables("all", model.n_variables, cost=-revenue, high=most)
    priced.add_rows("own", matrix.row, matrix.col, matrix.data, low=low[kept], high=high[kept])
    return priced


def _add_machine_rows(priced: LinearModel, own: FleetModel, vcpus: int) -> None:
    """Add: a group that fills less than a machine is served only while one is up (lp/cuts.py)."""
    held = (own.groups.count * own.groups.vcpus)[own.group]
    small = np.flatnonzero(held < vcpus)
    if not small.size:
        return
    row = np.arange(small.size)
    up = held[small] * np.diff(own.edges)[own.bucket[small]]
    priced.add_rows(
        "machine",
        np.concatenate([row, row]),
        np.concatenate([own.x[small], own.n[0, own.bucket[small]]]),
        np.concatenate([own.groups.vcpu_s[own.group[small], 0], -up]),
        high=np.zeros(small.size),
    )
