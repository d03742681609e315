"""The fleet model: a fluid relaxation over time buckets whose optimum bounds every plan's cost.

Sets: groups g of tasks (windows.py), instance types k, buckets b of length d_b over [0, H], where
H = deadline - boot and time 0 is when a lease requested at submission is ready.

Variables
    x[g,k,b]  share of group g's work done on type k in bucket b, only inside g's window
    n[k,b]    leases of type k that are ready, averaged over bucket b
    u[k,b]    rise of n from bucket b - 1 to b; every lease of a plan rises once
    U[k]      leases of type k
    C[k]      lease-seconds of type k that are charged
    undone[g] share of group g's work that is not done, at a penalty

Minimise sum_k price_k C[k] subject to

    (1) all work is done:             sum_{k,b} x[g,k,b] + undone[g] = 1                for g
    (2) vCPUs, memory, GPUs suffice:  sum_g work_gk x[g,k,b] <= V_k d_b n[k,b]          for k, b
    (3) a task is in one place:       sum_k work_gk x[g,k,b] <= |g| c_g overlap_gb      for g, b
    (4) rises are counted:            n[k,b] - n[k,b-1] <= u[k,b]                       for k, b
    (5) every lease pays its boot:    C[k] >= boot U[k] + sum_b d_b n[k,b];  U[k] >= sum_b u[k,b]
    (6) and at least the minimum:     C[k] >= billed(boot) U[k]
    (7) a part of a lease is a lease: sum_b x[g,k,b] <= U[k]                 where |g| c_g <= V_k
    (8) leases are so many:           least <= sum_k U[k] <= most                (branching)
    (9) a dear type is needed:        sum_k U[k] >= 1 over types of price p* or more, see bound.py
    (10) machine, size and packing cuts, see cuts.py
    (11) quotas hold on average:      sum_k weight_kq n[k,b] <= limit_q                 for q, b

Why it bounds every plan: take any plan, let x, n be its averages over buckets and u[k,b] the sum
over its leases of each lease's own rise; then (1)-(7) hold, and C[k] is at most what is charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.lp.model import LinearModel
from autoscale.lp.work import FORGIVEN

if TYPE_CHECKING:
    from autoscale.lp.model import Box
    from autoscale.lp.types import BoundTypes
    from autoscale.lp.windows import Groups, Windows
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem


@dataclass(frozen=True, slots=True)
class Limits:
    """How many leases there are: of all types together, and of each type."""

    total: tuple[float, float]
    least: FloatArray
    most: FloatArray

    @classmethod
    def none(cls, n_types: int) -> Limits:
        """Return limits that allow everything."""
        return cls((0.0, np.inf), np.zeros(n_types), np.full(n_types, np.inf))

    def only(self, kinds: IntArray) -> Limits:
        """Return the limits of some of the types."""
        return Limits(self.total, self.least[kinds], self.most[kinds])

    def split(self, kind: int | None, value: float) -> tuple[Limits, Limits]:
        """Return the limits below and above a fractional number of leases (None: of all)."""
        below, above = float(np.floor(value)), float(np.ceil(value))
        if kind is None:
            low = Limits((self.total[0], below), self.least, self.most)
            return low, Limits((above, self.total[1]), self.least, self.most)
        fewer, more = self.most.copy(), self.least.copy()
        fewer[kind], more[kind] = below, above
        return Limits(self.total, self.least, fewer), Limits(self.total, more, self.most)


@dataclass(frozen=True, slots=True)
class FleetModel:
    """The model with what is needed to read its solution and to add cuts.

    Parameters
    ----------
    model
        The arrays.
    types
        The types k.
    groups, edges
        Groups and bucket edges, seconds after boot.
    group, kind, bucket, x
        For each x variable: its g, k, b and index.
    n, u
        Indices of n and u, shape (types, buckets).
    opened
        Indices of U, shape (types,).
    unit_usd
        USD that one unit of the model's objective stands for.
    place_cells
        ``g * buckets + b`` of each row of block (3).
    forgiven
        Factor on durations that checkers forgive.
    """

    model: LinearModel
    types: BoundTypes
    groups: Groups
    edges: FloatArray
    group: IntArray
    kind: IntArray
    bucket: IntArray
    x: IntArray
    n: IntArray
    u: IntArray
    opened: IntArray
    unit_usd: float
    place_cells: IntArray
    forgiven: float


def build_fleet_model(
    problem: Problem,
    types: BoundTypes,
    groups: Groups,
    edges: FloatArray,
    *,
    limits: Limits | None = None,
    penalty_usd: float,
    dear_usd_per_s: float = 0.0,
) -> FleetModel:
    """Return the model.

    Parameters
    ----------
    problem, types, groups, edges
        What is relaxed.
    limits
        On the number of leases.
    penalty_usd
        Price of leaving a group's work undone, which keeps the model feasible while types are
        still missing; a finite one can only weaken the bound.
    dear_usd_per_s
        At least one lease is of a type of this price or more.
    """
    model = LinearModel()
    lengths = np.diff(edges)
    n_types, n_buckets = len(types), lengths.size
    overlap = groups.overlap(edges)
    group, kind, bucket = _cells(groups, overlap)
    most = _most_leases(groups)
    x = model.add_variables("x", group.size, high=1.0)
    n = model.add_variables("n", n_types * n_buckets, high=np.repeat(most, n_buckets))
    u = model.add_variables("u", n_types * n_buckets, high=np.repeat(most, n_buckets))
    limits = limits or Limits.none(n_types)
    most = np.maximum(most, limits.least)
    opened = model.add_variables("U", n_types, low=limits.least, high=np.minimum(most, limits.most))
    billed_boot = problem.billing.billed_s(problem.boot_s)
    longest = max(problem.boot_s + float(edges[-1]), billed_boot)
    # Money in minutes of the cheapest type keeps the solver's tolerances meaningful.
    unit = float(types.price_per_s.min()) * 60
    charged = model.add_variables("C", n_types, cost=types.price_per_s / unit, high=most * longest)
    n, u = n.reshape(n_types, n_buckets), u.reshape(n_types, n_buckets)
    used, row = np.unique(group * n_buckets + bucket, return_inverse=True)
    fleet = FleetModel(
        model, types, groups, edges, group, kind, bucket, x, n, u, opened, unit, used, FORGIVEN
    )
    undone = model.add_variables("undone", len(groups), high=1.0, cost=penalty_usd / unit)
    everyone = np.arange(len(groups))
    model.add_rows(
        "work",
        np.concatenate([group, everyone]),
        np.concatenate([x, undone]),
        1.0,
        low=np.ones(len(groups)),
        high=1.0,
    )
    _capacity_rows(fleet, problem, lengths)
    room = (groups.count * groups.vcpus)[used // n_buckets] * overlap.ravel()[used]
    model.add_rows("place", row, x, groups.vcpu_s[group, kind], high=room)
    _lease_rows(fleet, problem, lengths, charged, billed_boot)
    _whole_rows(fleet, problem)
    _quota_rows(fleet, problem)
    dear = opened[types.price_per_s >= dear_usd_per_s]
    if dear_usd_per_s > 0 and dear.size:
        model.add_rows("dear", np.zeros(dear.size, int), dear, 1.0, low=[1.0])
    model.add_rows(
        "leases", np.zeros(n_types, int), opened, 1.0, low=limits.total[0], high=limits.total[1]
    )
    return fleet


def narrow_fleet(box: Box, fleet: FleetModel, windows: Windows, limits: Limits) -> None:
    """Narrow the work's place in time and the numbers of leases, of the model's types, to a part.

    Parameters
    ----------
    box
        The model's, to be changed.
    fleet
        The model.
    windows
        Of each task, within those that the model was made for.
    limits
        On the model's types, within the model's own.
    """
    model, before = fleet.model, fleet.groups
    groups = before.narrowed(windows)
    overlap = groups.overlap(fleet.edges)
    # Tasks that take no time may have a window without length: their work is left where it was.
    moved: Any = overlap.any(axis=1)
    length = (groups.end_s - groups.start_s)[fleet.group]
    too_long = groups.shortest_s[fleet.group, fleet.kind] > length * (1 + 1e-9) + 1e-9
    outside = overlap[fleet.group, fleet.bucket] <= 0
    closed = moved[fleet.group] & (outside | too_long)
    box.high[fleet.x[closed]] = 0.0
    of_row, n_buckets = fleet.place_cells, fleet.edges.size - 1
    room = (groups.count * groups.vcpus)[of_row // n_buckets] * overlap.ravel()[of_row]
    sides = box.row_high[model.rows["place"]]
    box.row_high[model.rows["place"]] = np.where(moved[of_row // n_buckets], room, sides)
    box.low[fleet.opened] = np.maximum(box.low[fleet.opened], limits.least)
    box.high[fleet.opened] = np.minimum(box.high[fleet.opened], limits.most)
    box.row_low[model.rows["leases"]], box.row_high[model.rows["leases"]] = limits.total


def _cells(groups: Groups, overlap: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return the (g, k, b) for which a variable is needed."""
    inside = overlap > 0
    # A window without length (tasks that take no time) still needs one bucket to be in.
    empty = ~inside.any(axis=1)
    inside[empty, 0] = True
    open_types = np.isfinite(groups.vcpu_s)
    group, kind, bucket = np.nonzero(open_types[:, :, None] & inside[:, None, :])
    return group, kind, bucket


def _most_leases(groups: Groups) -> FloatArray:
    """Return how many leases of each type could ever be useful: one a task."""
    fits = np.isfinite(groups.vcpu_s)
    most: FloatArray = np.maximum(1.0, (groups.count[:, None] * fits).sum(axis=0))
    return most


def _capacity_rows(fleet: FleetModel, problem: Problem, lengths: FloatArray) -> None:
    model, groups, catalog = fleet.model, fleet.groups, problem.catalog
    types = fleet.types.index
    n_types, n_buckets = fleet.n.shape
    row = fleet.kind * n_buckets + fleet.bucket
    own = np.arange(n_types * n_buckets)
    for name, work, has in (
        ("vcpus", groups.vcpu_s, catalog.vcpus),
        ("memory", groups.memory_s, catalog.memory_bytes),
        ("gpus", groups.gpu_s, catalog.gpus.astype(np.float64)),
    ):
        capacity = has[types].astype(np.float64)
        used = work[fleet.group, fleet.kind]
        if name != "vcpus" and not _can_bind(groups, work, capacity, catalog.vcpus[types]):
            continue
        scale = np.maximum(capacity, 1.0)
        room = np.repeat(capacity / scale, n_buckets) * np.tile(lengths, n_types)
        model.add_rows(
            name,
            np.concatenate([row, own]),
            np.concatenate([fleet.x, fleet.n.ravel()]),
            np.concatenate([used / scale[fleet.kind], -room]),
            high=np.zeros(n_types * n_buckets),
        )


def _can_bind(groups: Groups, work: FloatArray, has: FloatArray, vcpus: IntArray) -> bool:
    """Return whether any group uses a larger part of the resource than of the vCPUs."""
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(np.isfinite(work) & (work > 0), work / has, 0.0)
        of_vcpus = np.where(np.isfinite(work), groups.vcpu_s / vcpus, np.inf)
    return bool((part > of_vcpus * (1 + 1e-9)).any())


def _quota_rows(fleet: FleetModel, problem: Problem) -> None:
    """Add (11); rows are numbered quota by quota."""
    n_buckets = fleet.n.shape[1]
    n_quotas = len(problem.quotas)
    if n_quotas == 0:
        return
    weight = problem.quota_weights[fleet.types.index]
    quota, kind = np.nonzero(weight.T)
    row = (quota[:, None] * n_buckets + np.arange(n_buckets)).ravel()
    fleet.model.add_rows(
        "quota",
        row,
        fleet.n[kind].ravel(),
        np.repeat(weight[kind, quota].astype(np.float64), n_buckets),
        high=np.repeat(problem.quota_limits.astype(np.float64), n_buckets),
    )


def _whole_rows(fleet: FleetModel, problem: Problem) -> None:
    """Add (7): a share of a group's work on a type takes at least that share of one lease."""
    groups, n_types = fleet.groups, fleet.n.shape[0]
    vcpus = problem.catalog.vcpus[fleet.types.index]
    small = (groups.count * groups.vcpus)[:, None] <= vcpus
    chosen = np.flatnonzero(small[fleet.group, fleet.kind])
    pair, row = np.unique(fleet.group[chosen] * n_types + fleet.kind[chosen], return_inverse=True)
    if pair.size == 0:
        return
    own = np.arange(pair.size)
    fleet.model.add_rows(
        "whole",
        np.concatenate([row, own]),
        np.concatenate([fleet.x[chosen], fleet.opened[pair % n_types]]),
        np.concatenate([np.ones(chosen.size), -np.ones(pair.size)]),
        high=np.zeros(pair.size),
    )


def _lease_rows(
    fleet: FleetModel,
    problem: Problem,
    lengths: FloatArray,
    charged: IntArray,
    billed_boot: float,
) -> None:
    model, n, u = fleet.model, fleet.n, fleet.u
    n_types, n_buckets = n.shape
    own = np.arange(n_types * n_buckets).reshape(n_types, n_buckets)
    model.add_rows(
        "rise",
        np.concatenate([own.ravel(), own[:, 1:].ravel(), own.ravel()]),
        np.concatenate([n.ravel(), n[:, :-1].ravel(), u.ravel()]),
        np.concatenate([np.ones(own.size), -np.ones(own[:, 1:].size), -np.ones(own.size)]),
        high=np.zeros(own.size),
    )
    kinds = np.arange(n_types)
    each = np.repeat(kinds, n_buckets)
    zero = np.zeros(n_types)
    model.add_rows(
        "opened",
        np.concatenate([kinds, each]),
        np.concatenate([fleet.opened, u.ravel()]),
        np.concatenate([np.ones(n_types), -np.ones(u.size)]),
        low=zero,
    )
    model.add_rows(
        "charged",
        np.concatenate([kinds, kinds, each]),
        np.concatenate([charged, fleet.opened, n.ravel()]),
        np.concatenate(
            [np.ones(n_types), np.full(n_types, -problem.boot_s), -np.tile(lengths, n_types)]
        ),
        low=zero,
    )
    model.add_rows(
        "minimum",
        np.concatenate([kinds, kinds]),
        np.concatenate([charged, fleet.opened]),
        np.concatenate([np.ones(n_types), np.full(n_types, -billed_boot)]),
        low=zero,
    )
