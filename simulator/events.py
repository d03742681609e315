"""The log of a run: one flat row an event, and the same as a Chrome or Perfetto trace."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from autoscale.model.arrays import FloatArray, Int32Array
    from autoscale.model.problem import Problem
    from simulator.records import SimulationResult

KINDS = (
    "requested",
    "granted",
    "ready",
    "boot failed",
    "notice",
    "instance failed",
    "interrupted",
    "released",
    "started",
    "fetched",
    "computed",
    "failed",
    "lost",
    "ended",
)
"""What can happen; the first eight happen to machines, the others to tasks on machines."""

(
    REQUESTED,
    GRANTED,
    READY,
    BOOT_FAILED,
    NOTICE,
    INSTANCE_FAILED,
    INTERRUPTED,
    RELEASED,
    STARTED,
    FETCHED,
    COMPUTED,
    FAILED,
    LOST,
    ENDED,
) = range(len(KINDS))


class EventLog:
    """Rows of time, kind, machine and task (-1: none), packed as they come."""

    __slots__ = ("kinds", "machines", "tasks", "times_s")

    def __init__(self) -> None:
        self.times_s = array("d")
        self.kinds = array("b")
        self.machines = array("i")
        self.tasks = array("i")

    def add(self, time_s: float, kind: int, machine: int, task: int = -1) -> None:
        """Append one event."""
        self.times_s.append(time_s)
        self.kinds.append(kind)
        self.machines.append(machine)
        self.tasks.append(task)

    def records(self) -> EventRecords:
        """Return the rows as columns that share the log's memory."""
        return EventRecords(
            time_s=np.frombuffer(self.times_s, dtype=np.float64),
            kind=np.frombuffer(self.kinds, dtype=np.int8),
            machine=np.frombuffer(self.machines, dtype=np.int32),
            task=np.frombuffer(self.tasks, dtype=np.int32),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class EventRecords:
    """One row an event, in the order in which they happened.

    Parameters
    ----------
    time_s
        When, seconds.
    kind
        Index into :data:`KINDS`.
    machine, task
        Which row of the lease and task records; -1 for none.
    """

    time_s: FloatArray
    kind: Any
    machine: Int32Array
    task: Int32Array

    def __len__(self) -> int:
        return int(self.time_s.size)

    def renumbered(self, row_of: Int32Array) -> EventRecords:
        """Return the same events with machine ``m`` called ``row_of[m]``."""
        return EventRecords(
            time_s=self.time_s, kind=self.kind, machine=row_of[self.machine], task=self.task
        )

    def to_frame(self, problem: Problem) -> pd.DataFrame:
        """Return one row an event, kinds and tasks by name."""
        import pandas as pd

        ids = np.append(problem.workflow.ids, [""])
        return pd.DataFrame(
            {
                "time_s": self.time_s,
                "event": pd.Categorical.from_codes(self.kind.astype(np.int64), pd.Index(KINDS)),
                "machine": self.machine,
                "task": ids[self.task].tolist(),
            }
        )


def chrome_trace(result: SimulationResult) -> Iterator[dict[str, Any]]:
    """Yield a run's spans in the Trace Event Format, which Perfetto and Chrome open.

    A process is a machine; its first thread is its life (boot, then ready), the others are the
    lanes of the tasks' attempts. Times are in microseconds.
    """
    events = result.events
    if events is None:
        return
    leases, names = result.leases, result.problem.catalog.names
    for row in range(result.n_leases):
        label = f"{names[leases.type[row]]} lease {leases.lease[row]}"
        if leases.attempt[row]:
            label += f" machine {leases.attempt[row] + 1}"
        yield {"ph": "M", "name": "process_name", "pid": row, "args": {"name": label}}
        start, end = float(leases.requested_s[row]), float(leases.released_s[row])
        ready = float(leases.ready_s[row])
        booted = min(ready, end) if ready == ready else end
        yield _span("boot", row, 0, start, booted)
        if booted < end:
            yield _span("ready", row, 0, booted, end)
    w = result.problem.workflow
    for task, machine, start, end, kind, lane in attempts_of(events).tolist():
        label, outcome = w.categories[w.category[int(task)]], KINDS[int(kind)]
        span = _span(label, int(machine), int(lane) + 1, start, end)
        yield span | {"args": {"task": str(w.ids[int(task)]), "outcome": outcome}}


def _span(name: str, pid: int, tid: int, start_s: float, end_s: float) -> dict[str, Any]:
    dur = (end_s - start_s) * 1e6
    return {"ph": "X", "name": name, "pid": pid, "tid": tid, "ts": start_s * 1e6, "dur": dur}


def attempts_of(events: EventRecords) -> FloatArray:
    """Return one row an attempt, in the order of their ends.

    Returns
    -------
    attempts
        Columns task, machine, start, end, kind of its end, and the lowest lane of its machine
        that was free when it started.
    """
    begun: dict[int, tuple[float, int]] = {}
    lanes: dict[int, set[int]] = {}
    found: list[tuple[float, ...]] = []
    columns = (events.time_s, events.kind, events.machine, events.task)
    for time_s, kind, machine, task in zip(*(c.tolist() for c in columns), strict=True):
        taken = lanes.setdefault(machine, set())
        if kind == STARTED:
            lane = next(x for x in range(len(taken) + 1) if x not in taken)
            taken.add(lane)
            begun[task] = (time_s, lane)
        elif kind in (ENDED, FAILED, LOST):
            start_s, lane = begun.pop(task)
            taken.discard(lane)
            found.append((task, machine, start_s, time_s, kind, lane))
    return np.array(found, dtype=np.float64).reshape(-1, 6)
