"""Cuts: what a fluid does and whole tasks on whole machines cannot; machine, size, packing cuts.

Packing cuts say how many machines a set of tasks needs that must all run within one interval.

Tasks whose windows lie within an interval of length L share the machines that are up in it, one
after another. For any dual feasible function f (a function with sum f(d_i / L) <= 1 whenever the
d_i fit into L one after another), the tasks that run on type k need

    sum_i c_i f(d_ik / L)  <=  V_k x (leases of type k that are up at some moment of the interval)
                           <=  V_k x (n[k, first bucket] + sum of u[k, b] over the later buckets).

The last step needs every counted lease to fill some bucket of the interval, so only tasks of at
least twice the longest bucket are counted. Used are the classic functions u^(p) that round
(p + 1) d / L down (Fekete and Schepers, Math. Programming 91, 2001): where two tasks of one stage
do not fit one after another, u^(1) asks for a machine each, which no fluid model sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autoscale.lp.fleet import FleetModel
    from autoscale.model.arrays import FloatArray
    from autoscale.model.problem import Problem

ROUNDINGS = (1, 2, 3, 4, 6)
"""The p of the functions u^(p) that are tried."""

VIOLATION = 1e-3
"""Machines by which a cut must be violated to be worth a row."""


def dual_feasible(part: FloatArray, p: int) -> FloatArray:
    """Return ``u^(p)`` of durations given as parts of the interval, rounded down safely.

    Examples
    --------
    >>> dual_feasible(np.array([0.2, 0.4, 0.6]), 1).tolist()
    [0.0, 0.0, 1.0]
    """
    return np.minimum(np.floor((p + 1) * part * (1 - 1e-9)) / p, 1.0)


@dataclass(frozen=True, slots=True, order=True)
class PackingCut:
    """A packing cut: interval of buckets, type (catalogue index), and p of the rounding."""

    first: int
    last: int
    type_index: int
    p: int


def packing_cuts(fleet: FleetModel, problem: Problem, x: FloatArray, most: int) -> list[PackingCut]:
    """Return the packing cuts that the solution ``x`` violates most, at most so many."""
    found = _violated(fleet, problem, x)
    found.sort(key=lambda scored: (-scored[0], scored[1]))
    return [cut for _, cut in found[:most]]


def add_packing_cuts(fleet: FleetModel, problem: Problem, cuts: list[PackingCut]) -> None:
    """Add packing cuts to the model as rows."""
    for cut in cuts:
        kind = int(np.flatnonzero(fleet.types.index == cut.type_index)[0])
        weight = _weights(fleet, cut.first, cut.last, cut.p)[:, kind]
        chosen = np.flatnonzero((fleet.kind == kind) & (weight[fleet.group] > 0))
        risen = fleet.u[kind, cut.first + 1 : cut.last + 1]
        columns = np.concatenate([fleet.x[chosen], [fleet.n[kind, cut.first]], risen])
        vcpus = float(problem.catalog.vcpus[cut.type_index])
        values = np.concatenate([weight[fleet.group[chosen]], np.full(1 + risen.size, -vcpus)])
        fleet.model.add_rows(
            f"packing {fleet.model.n_rows}", np.zeros(columns.size, int), columns, values, high=0.0
        )


def add_machine_cuts(fleet: FleetModel, problem: Problem, x: FloatArray, most: int) -> int:
    """Add the most violated of ``work_gk x[g,k,b] <= |g| c_g d_b n[k,b]``; return how many.

    However small its share of a machine, a group can be served only while a machine is up; the
    rows matter where a whole group takes less than one machine of the type.
    """
    groups = fleet.groups
    held = (groups.count * groups.vcpus)[fleet.group]
    lengths = np.diff(fleet.edges)[fleet.bucket]
    work = groups.vcpu_s[fleet.group, fleet.kind]
    level = fleet.n[fleet.kind, fleet.bucket]
    short = work * x[fleet.x] / np.maximum(held * lengths, 1e-300) - x[level]
    small = held < problem.catalog.vcpus[fleet.types.index][fleet.kind]
    short = np.where(small & (held * lengths > 0), short, 0.0)
    chosen = np.argsort(-short, kind="stable")[:most]
    chosen = chosen[short[chosen] > VIOLATION]
    if chosen.size:
        row = np.arange(chosen.size)
        fleet.model.add_rows(
            f"machine {fleet.model.n_rows}",
            np.concatenate([row, row]),
            np.concatenate([fleet.x[chosen], level[chosen]]),
            np.concatenate([work[chosen], -(held * lengths)[chosen]]),
            high=np.zeros(chosen.size),
        )
    return int(chosen.size)


def add_size_cuts(fleet: FleetModel, problem: Problem, x: FloatArray, most: int) -> int:
    """Add the most violated size cuts; return how many.

    At every moment the tasks on a lease fit into it, so that for any dual feasible function f
    ``sum f(what a task holds / what the lease has) <= 1``, of vCPUs, memory or GPUs. Over a bucket

        sum_g task_seconds_gk f(size_gk) x[g,k,b]  <=  d_b n[k,b],

    where the fluid rows (2) only have f(s) = s: two tasks of two thirds of a machine each do not
    share it.
    """
    lengths = np.diff(fleet.edges)
    held = fleet.groups.task_s[fleet.group, fleet.kind] * x[fleet.x]
    found = []
    sizes = _sizes(fleet, problem)
    for resource, size in enumerate(sizes):
        for p in ROUNDINGS:
            weight = dual_feasible(size, p)[fleet.group, fleet.kind]
            over = np.zeros(fleet.n.shape)
            np.add.at(over, (fleet.kind, fleet.bucket), weight * held)
            over = over / lengths - x[fleet.n]
            kind, bucket = np.nonzero(over > VIOLATION)
            found += [
                (-float(over[k, b]), int(k), int(b), resource, p)
                for k, b in zip(kind, bucket, strict=True)
            ]
    found.sort()
    for _, k, b, resource, p in found[:most]:
        weight = dual_feasible(sizes[resource][:, k], p)
        here = (fleet.kind == k) & (fleet.bucket == b) & (weight[fleet.group] > 0)
        chosen = np.flatnonzero(here)
        taken = weight[fleet.group[chosen]] * fleet.groups.task_s[fleet.group[chosen], k]
        fleet.model.add_rows(
            f"size {fleet.model.n_rows}",
            np.zeros(chosen.size + 1, int),
            np.append(fleet.x[chosen], fleet.n[k, b]),
            np.append(taken, -lengths[b]),
            high=0.0,
        )
    return min(len(found), most)


def _sizes(fleet: FleetModel, problem: Problem) -> list[FloatArray]:
    """Return what a member of each group holds at least, as a part of what each type has."""
    groups, catalog, kinds = fleet.groups, problem.catalog, fleet.types.index
    pairs: tuple[tuple[Any, Any], ...] = (
        (groups.vcpus, catalog.vcpus),
        (groups.memory_bytes, catalog.memory_bytes),
        (groups.gpus, catalog.gpus),
    )
    return [need[:, None] / np.maximum(has[kinds], 1) for need, has in pairs]


def _violated(fleet: FleetModel, problem: Problem, x: FloatArray) -> list[tuple[float, PackingCut]]:
    """Return violated cuts with their violation, the best p each."""
    from autoscale.lp import kernels

    groups = fleet.groups
    share = np.zeros((len(groups), fleet.n.shape[0]))
    np.add.at(share, (fleet.group, fleet.kind), x[fleet.x])
    violation, rounding = kernels.most_violated(
        groups.start_s,
        groups.end_s,
        groups.count * groups.vcpus * groups.evenness,
        groups.shortest_s,
        share,
        x[fleet.n],
        np.cumsum(x[fleet.u], axis=1),
        problem.catalog.vcpus[fleet.types.index].astype(np.float64),
        fleet.edges,
        np.array(ROUNDINGS),
        VIOLATION,
    )
    return [
        (
            float(violation[first, last, k]),
            PackingCut(
                int(first), int(last), int(fleet.types.index[k]), int(rounding[first, last, k])
            ),
        )
        for first, last, k in zip(*np.nonzero(rounding), strict=True)
    ]


def _inside(fleet: FleetModel, first: int, last: int) -> Any:
    groups, edges = fleet.groups, fleet.edges
    return (groups.start_s >= edges[first] - 1e-9) & (groups.end_s <= edges[last + 1] + 1e-9)


def _weights(fleet: FleetModel, first: int, last: int, p: int) -> FloatArray:
    """Return the machines that each whole group asks for on each type, (groups, types)."""
    groups, edges = fleet.groups, fleet.edges
    length = edges[last + 1] - edges[first]
    longest_bucket = np.diff(edges)[first : last + 1].max()
    inside = _inside(fleet, first, last)
    duration = groups.shortest_s
    counted = inside[:, None] & np.isfinite(duration) & (duration >= 2 * longest_bucket)
    part = np.where(counted, duration, 0.0) / length
    asked = dual_feasible(np.minimum(part, 1.0), p)
    per_task = groups.count * groups.vcpus * groups.evenness
    out: FloatArray = per_task[:, None] * asked
    return out
