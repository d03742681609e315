"""Load vectors: how many machines of each type the windows of tasks ask for over time.

Mao and Humphrey, SC'11, step 3: on its type a task of duration ``t`` in a window ``[T0, T1]`` asks
for ``t / (T1 - T0)`` machines throughout it; a task that runs asks for the one it is on. Where
machines have several vCPUs, a task asks for its share of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray

EPS = 1e-9
"""A load of so many machines more than a whole number asks for no further one."""


@dataclass(slots=True, kw_only=True, eq=False)
class Loads:
    """What asks for machines: one row a bundle of tasks, or a running task.

    Parameters
    ----------
    kind
        Type, changed in place by consolidation.
    rate
        Machines of that type, likewise.
    begin_s, due_s
        From when until when.
    owner
        (job number, bundle) for what may be moved to other types, (-1, -1) for what runs.
    other
        Rates on every type, infinite where it does not end in its window, shape (rows, types);
        rows of what runs are infinite.
    """

    kind: Any
    rate: FloatArray
    begin_s: FloatArray
    due_s: FloatArray
    owner: Any
    other: FloatArray

    def only(self, rows: Any) -> Loads:
        """Return some rows, given whether each is kept."""
        return Loads(**{name: getattr(self, name)[rows] for name in Loads.__dataclass_fields__})


def rates(work_s: FloatArray, share: FloatArray, window_s: FloatArray) -> FloatArray:
    """Return how many machines tasks ask for, at most the part of one that each holds.

    Parameters
    ----------
    work_s, share
        Duration and part of a machine that is held; any shapes that fit together.
    window_s
        Length of the window.

    Examples
    --------
    Ten minutes of work in a window of thirty take a third of a machine:

    >>> round(float(rates(np.array(600.0), np.array(1.0), np.array(1800.0))), 4)
    0.3333
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(window_s > 0, work_s / window_s, np.where(work_s > 0, 1.0, 0.0))
    out: FloatArray = np.minimum(part, 1.0) * share
    return out


def peaks(loads: Loads, n_types: int, now_s: float, until_s: float) -> FloatArray:
    """Return the largest load of each type from now until a time, shape (types,)."""
    out = np.zeros(n_types)
    relevant = (loads.begin_s < until_s) & (loads.due_s > now_s) & (loads.rate > 0)
    if not relevant.any():
        return out
    kind, rate = loads.kind[relevant], loads.rate[relevant]
    begin = np.maximum(loads.begin_s[relevant], now_s)
    times = np.concatenate([begin, loads.due_s[relevant]])
    change = np.concatenate([rate, -rate])
    kinds = np.concatenate([kind, kind])
    # What ends at a time frees its machine for what begins then.
    order = np.lexsort((change, times, kinds))
    level = np.cumsum(change[order])
    by_kind = kinds[order]
    first = np.flatnonzero(np.diff(by_kind, prepend=-1))
    before = np.concatenate([[0.0], level])[first]
    most = np.maximum.reduceat(level, first) - before
    inside = by_kind[first]
    out[inside] = np.maximum(most, 0.0)
    return out


def machines(load: FloatArray) -> Any:
    """Return the whole machines that loads ask for."""
    return np.ceil(load - EPS).astype(np.int64)


def consolidate(
    loads: Loads, held: list[int], price: FloatArray, now_s: float, until_s: float
) -> Any:
    """Move what asks for part of a machine to other types where a machine is saved.

    Of each type that would have to grow, the least urgent tasks behind the fraction of its load are
    moved if all can go, each in its window, to spare machines of other types, or together to a type
    that then grows for less than is saved. The move that saves most an hour is made, until none
    saves anything.

    Parameters
    ----------
    loads
        Changed in place.
    held
        Leases of each type that are held.
    price
        Of each type, USD per hour.
    now_s, until_s
        The time in which loads count.

    Returns
    -------
    Any
        Machines of each type that are asked for after it, shape (types,).
    """
    n_types = len(held)
    have = np.asarray(held)
    load = peaks(loads, n_types, now_s, until_s)
    stuck: set[int] = set()
    while True:
        best: tuple[float, int, Any, Any] | None = None
        for kind in np.flatnonzero(machines(load) > have).tolist():
            if kind in stuck:
                continue
            rows = _behind_fraction(loads, kind, load, now_s, until_s)
            found = _best_move(loads, rows, kind, load, have, price)
            if found is not None and (best is None or found[0] > best[0] + EPS):
                best = (found[0], kind, rows, found[1])
        if best is None:
            return machines(load)
        _, kind, rows, to = best
        kept = loads.kind[rows], loads.rate[rows]
        loads.kind[rows], loads.rate[rows] = to, loads.other[rows, to]
        after = peaks(loads, n_types, now_s, until_s)
        if _usd(after, have, price) < _usd(load, have, price) - EPS:
            load = after
        else:
            # Peaks at other times than assumed: the machine would not have been saved.
            loads.kind[rows], loads.rate[rows] = kept
            stuck.add(kind)


def _usd(load: FloatArray, have: Any, price: FloatArray) -> float:
    return float(np.maximum(machines(load), have) @ price)


def _behind_fraction(
    loads: Loads, kind: int, load: FloatArray, now_s: float, until_s: float
) -> Any:
    """Return the least urgent rows whose rates make up the fraction of a type's load; or none."""
    here = (loads.kind == kind) & (loads.owner[:, 0] >= 0) & (loads.rate > 0)
    here &= (loads.begin_s < until_s) & (loads.due_s > now_s)
    rows = np.flatnonzero(here)
    rows = rows[np.argsort(-loads.due_s[rows], kind="stable")]
    fraction = load[kind] - (math.ceil(load[kind] - EPS) - 1)
    total = np.cumsum(loads.rate[rows])
    enough = int(np.searchsorted(total, fraction - EPS)) + 1
    return rows[:enough] if enough <= rows.size else rows[:0]


def _best_move(
    loads: Loads, rows: Any, kind: int, load: FloatArray, have: Any, price: FloatArray
) -> tuple[float, Any] | None:
    """Return what moving rows elsewhere saves an hour at best, and where each goes; None: nothing.

    Into spare machines first, because that costs nothing; else all to one type that grows for less.
    """
    if not rows.size:
        return None
    counted = np.maximum(machines(load), have)
    spare = np.maximum(counted - load, 0.0)
    spare[kind] = -1.0
    to = _into_spare(loads.other[rows], spare, price)
    if to is not None:
        return float(price[kind]), to
    rate = loads.other[rows].sum(axis=0)
    grown = np.maximum(np.ceil(load + rate - EPS) - counted, 0.0)
    saved = price[kind] - np.where(np.isfinite(grown), grown, np.inf) * price
    saved[kind] = -np.inf
    best = int(np.argmax(saved))
    return (float(saved[best]), np.full(rows.size, best)) if saved[best] > EPS else None


def _into_spare(other: FloatArray, spare: FloatArray, price: FloatArray) -> Any:
    """Return a type with a spare machine for each row, the least worth first; None: no room."""
    spare = spare.copy()
    to = np.empty(len(other), dtype=np.int64)
    for row, rate in enumerate(other):
        worth = np.where(rate <= spare + EPS, rate * price, np.inf)
        if not np.isfinite(worth).any():
            return None
        to[row] = int(np.argmin(worth))
        spare[to[row]] -= rate[to[row]]
    return to
