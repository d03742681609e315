"""Traces of a spot market: when machines can be had, and what they cost.

A trace is a step function: each value holds from its time until the next. A run starts somewhere
in the trace and goes on from its beginning after its end.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autoscale.errors import InputError
from autoscale.formats.files import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from autoscale.model.arrays import BoolArray, FloatArray

TIMES = ("time_s", "unix_time", "time_utc", "timestamp")
PRICES = ("price_usd_per_hour", "spot_usd_per_hour", "spot_usd_h", "spotprice")
COUNTS = ("available", "count")

Kind = Literal["available", "price"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """A step function over time.

    Parameters
    ----------
    kind
        ``"available"``: how many machines can be had; ``"price"``: USD per hour.
    time_s
        When each step begins, seconds, strictly increasing from 0; at least one.
    value
        The values, >= 0.
    length_s
        When the trace ends and begins again, seconds, after the last step's beginning.
    name
        What messages call it.
    """

    kind: Kind
    time_s: FloatArray
    value: FloatArray
    length_s: float
    name: str = "trace"

    def __post_init__(self) -> None:
        time_s, value = (np.asarray(x, dtype=np.float64) for x in (self.time_s, self.value))
        if time_s.size == 0 or time_s.shape != value.shape:
            raise InputError(
                f"{self.name}: expected as many times as values, at least one, got "
                f"{time_s.size} and {value.size}"
            )
        for what, column, bad in (
            ("time", time_s, ~np.isfinite(time_s)),
            ("value", value, ~(np.isfinite(value) & (value >= 0))),
        ):
            if bad.any():
                i = int(np.argmax(bad))
                raise InputError(
                    f"{self.name}: {what} number {i}: expected a finite number >= 0, got "
                    f"{column[i]!r}; the trace has a hole"
                )
        if time_s[0] != 0 or (np.diff(time_s) <= 0).any() or not time_s[-1] < self.length_s:
            raise InputError(
                f"{self.name}: times must increase strictly from 0 and end before {self.length_s!r}"
            )
        object.__setattr__(self, "time_s", time_s)
        object.__setattr__(self, "value", value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """A trace that governs the spot leases of some instance types.

    Parameters
    ----------
    trace
        The trace.
    types
        Pattern of names of instance types, for example ``m5.*``.
    at_least
        With a trace of availability: spot machines live while it is at least this, >= 1.
    bid_usd_per_hour
        With a trace of prices: spot machines live while the price is at most this, > 0; they pay
        the price of the trace, averaged over the lease.
    start_s
        Where in the trace a run starts, seconds, >= 0; None draws it anew for every run.
    """

    trace: Trace
    types: str = "*"
    at_least: int = 1
    bid_usd_per_hour: float = math.inf
    start_s: float | None = None

    def __post_init__(self) -> None:
        if not self.at_least >= 1:
            raise InputError(f"market: at_least must be >= 1, got {self.at_least!r}")
        if not self.bid_usd_per_hour > 0:
            raise InputError(f"market: bid_usd_per_hour must be > 0, got {self.bid_usd_per_hour!r}")
        if self.start_s is not None and not 0 <= self.start_s < math.inf:
            raise InputError(f"market: start_s must be a finite time >= 0, got {self.start_s!r}")
        if self.trace.kind == "price" and math.isinf(self.bid_usd_per_hour):
            raise InputError(f"market: a trace of prices ({self.trace.name}) needs a bid")

    @property
    def open(self) -> BoolArray:
        """Whether machines live, for each step of the trace."""
        trace = self.trace
        limit = self.bid_usd_per_hour if trace.kind == "price" else self.at_least
        return trace.value <= limit if trace.kind == "price" else trace.value >= limit


def read_trace(path: str | Path) -> Trace:
    """Return the trace in a file.

    Understood are CSV files with a header that names a time (``time_s``, ``unix_time``,
    ``time_utc``, ``timestamp``) and a price (``price_usd_per_hour``, ``spot_usd_per_hour``,
    ``spot_usd_h``, ``spotprice``) or a count (``available``, ``count``), and JSON of the form
    ``{"metadata": {"gap_seconds": 300}, "data": [4, 4, 3, ...]}``; gzipped or not.

    Raises
    ------
    InputError
        Unreadable, other columns, times that go back, or a hole: a blank or negative value.
    """
    where = str(path)
    data = read_bytes(path)
    if data.lstrip().startswith(b"{"):
        return _from_json(data, where)
    return _from_csv(data, where)


def _from_json(data: bytes, where: str) -> Trace:
    try:
        document = json.loads(data)
        gap_s, counts = float(document["metadata"]["gap_seconds"]), document["data"]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f'{where}: expected JSON of the form {{"metadata": {{"gap_seconds": 300}}, '
            '"data": [4, 4, ...]}'
        ) from None
    if not 0 < gap_s < math.inf or not isinstance(counts, list):
        raise InputError(f"{where}: gap_seconds must be > 0 and data a list, got {gap_s!r}")
    values = [_number(v, f"{where}: data number {i}") for i, v in enumerate(counts)]
    return Trace(
        kind="available",
        time_s=gap_s * np.arange(len(values), dtype=np.float64),
        value=np.array(values),
        length_s=gap_s * max(1, len(values)),
        name=where,
    )


def _from_csv(data: bytes, where: str) -> Trace:
    rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig", errors="replace")))
    named = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    time_column = next((named[c] for c in TIMES if c in named), None)
    value_column = next((named[c] for c in (*PRICES, *COUNTS) if c in named), None)
    if time_column is None or value_column is None:
        raise InputError(
            f"{where}: expected a column of times ({', '.join(TIMES)}) and one of prices "
            f"({', '.join(PRICES)}) or counts ({', '.join(COUNTS)}), got {list(named)}"
        )
    times, values = [], []
    for number, row in enumerate(rows, start=2):
        place = f"{where}: row {number}, column"
        times.append(_moment(row[time_column], f"{place} {time_column!r}"))
        values.append(_number(row[value_column], f"{place} {value_column!r}"))
    return _stepped(
        "price" if value_column.strip().lower() in PRICES else "available", times, values, where
    )


def _stepped(kind: Kind, times: list[float], values: list[float], where: str) -> Trace:
    """Return the trace of points in either order of time; of equal times the last counts."""
    if len(times) < 2:
        raise InputError(f"{where}: expected at least two rows, got {len(times)}")
    t, v = np.array(times), np.array(values)
    if t[0] > t[-1]:
        t, v = t[::-1], v[::-1]
    if (np.diff(t) < 0).any():
        i = int(np.argmax(np.diff(t) < 0))
        raise InputError(f"{where}: times go back after {t[i]:.12g} s; sort the rows by time")
    last = np.append(np.diff(t) > 0, True)
    t, v = t[last] - t[0], v[last]
    if t.size < 2:
        raise InputError(f"{where}: all rows have the same time")
    # The last value only says where the trace ends: how long it holds is not known.
    return Trace(kind=kind, time_s=t[:-1], value=v[:-1], length_s=float(t[-1]), name=where)


def _number(given: Any, where: str) -> float:
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(given, bool) or not 0 <= value < math.inf:
        raise InputError(
            f"{where}: expected a number >= 0, got {given!r}; the trace has a hole: fill it or cut "
            "the trace there"
        )
    return value


def _moment(given: Any, where: str) -> float:
    """Return seconds from a number or an ISO date (UTC where it names no zone)."""
    text = str(given or "").strip()
    try:
        value = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise InputError(
                f"{where}: expected seconds or an ISO time, got {given!r}; the trace has a hole"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        value = moment.timestamp()
    if not math.isfinite(value):
        raise InputError(f"{where}: expected a finite time, got {given!r}")
    return value
