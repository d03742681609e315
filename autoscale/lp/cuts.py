"""Packing cuts: how many machines a set of tasks needs that must all run within one interval.

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


def add_packing_cuts(fleet: FleetModel, problem: Problem, x: FloatArray, most: int) -> int:
    """Add the packing cuts that the solution ``x`` violates most; return how many.

    Parameters
    ----------
    fleet
        The model, to which rows are added.
    problem
        For the types' vCPUs.
    x
        Values of all variables.
    most
        Rows to add at most.
    """
    found = _violated(fleet, problem, x)
    found.sort(key=lambda cut: (-cut[0], cut[1:]))
    for number, (_, first, last, kind, p) in enumerate(found[:most]):
        weight = _weights(fleet, first, last, p)[:, kind]
        chosen = np.flatnonzero((fleet.kind == kind) & (weight[fleet.group] > 0))
        risen = fleet.u[kind, first + 1 : last + 1]
        columns = np.concatenate([fleet.x[chosen], [fleet.n[kind, first]], risen])
        vcpus = float(problem.catalog.vcpus[fleet.types.index[kind]])
        values = np.concatenate([weight[fleet.group[chosen]], np.full(1 + risen.size, -vcpus)])
        fleet.model.add_rows(
            f"packing {fleet.model.n_rows}+{number}",
            np.zeros(columns.size, dtype=np.int64),
            columns,
            values,
            high=0.0,
        )
    return min(most, len(found))


def _violated(
    fleet: FleetModel, problem: Problem, x: FloatArray
) -> list[tuple[float, int, int, int, int]]:
    """Return violated cuts as (violation, first bucket, last bucket, type, p), best p each."""
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
            int(first),
            int(last),
            int(k),
            int(rounding[first, last, k]),
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
