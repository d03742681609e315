"""Measurements of clouds as frames that :mod:`simulator.fitting` takes.

Readers of the published formats of Spare Cores (starts of machines), FlowBench and C3O (repeated
executions), Lotaru (the same tasks on several machines) and of traces of spot machines; and of
plain CSV files, :func:`read_measurements`.
"""

from __future__ import annotations

import io
import itertools
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.formats.files import read_bytes

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import FloatArray

LEAST_RUNTIME_S = 5.0
"""Shorter runtimes are mostly the rounding of their clock."""


def read_measurements(path: str | Path) -> pd.DataFrame:
    """Return a CSV file of measurements, gzipped or not.

    Raises
    ------
    InputError
        The file cannot be read or has no rows.
    """
    import pandas as pd

    data = read_bytes(path)
    try:
        frame = pd.read_csv(io.BytesIO(data))
    except ValueError as error:  # also text that is not UTF-8
        raise InputError(f"{path}: not a CSV file: {error}") from None
    if frame.empty:
        raise InputError(f"{path}: expected rows of measurements, got none")
    return frame


def read_spare_cores(path: str | Path) -> pd.DataFrame:
    """Return one row a machine start: ``vendor``, ``family``, ``instance_type``, ``boot_s``.

    ``boot_s`` is the time from the request to the first line of the user's script, blank where it
    was never reached. A negative time is a wrong clock and is left out.
    """
    frame = read_measurements(path)
    frame = frame.rename(columns={"userdata_start_s": "boot_s"})
    frame = frame[~(frame["boot_s"] <= 0)]
    kinds = zip(frame["vendor"], frame["instance_type"], strict=True)
    families = [_family(vendor, kind) for vendor, kind in kinds]
    return frame.assign(family=families)[["vendor", "family", "instance_type", "boot_s"]]


def _family(vendor: str, name: str) -> str:
    """Return the family in an instance type's name: m5, n2, or Azure's letters."""
    if vendor == "azure":
        plain = name.removeprefix("Standard_")
        return "".join(itertools.takewhile(str.isalpha, plain))
    return name.removeprefix("ecs.").split("-")[0].split(".")[0]


def read_flowbench(folder: str | Path) -> pd.DataFrame:
    """Return one row an execution of a computing job: ``task``, ``runtime_s``, ``run``.

    The runtime is the program's CPU time, which has tenths of seconds; wall times have whole ones
    and whole polls.

    Parameters
    ----------
    folder
        Of FlowBench's CSV files of one workflow, all of undisturbed runs.
    """
    import pandas as pd

    parts = []
    for path in sorted(Path(folder).glob("*.csv*")):
        frame = read_measurements(path)
        frame = frame.rename(
            columns={
                frame.columns[0]: "task",
                "kickstart_executables_cpu_time": "runtime_s",
            }
        )
        frame = frame[frame["type"] == "compute"]
        parts.append(frame[["task", "runtime_s"]].assign(run=path.name.split(".")[0]))
    if not parts:
        raise InputError(f"{folder}: expected CSV files of runs, found none")
    return _long_enough(pd.concat(parts, ignore_index=True))


def read_c3o(path: str | Path) -> pd.DataFrame:
    """Return one row an execution of a Spark job: ``task`` (its configuration), ``runtime_s``."""
    import pandas as pd

    frame = pd.read_csv(path, sep="\t")
    settings = frame.drop(columns="gross_runtime").astype(str).agg(" ".join, axis=1)
    return pd.DataFrame({"task": settings, "runtime_s": frame["gross_runtime"]})


def read_lotaru(first: str | Path, second: str | Path) -> pd.DataFrame:
    """Return one row a task that ran on both machines: ``category``, ``estimate_s``, ``runtime_s``.

    The estimate is the runtime on the first machine times one factor for all tasks, the geometric
    mean of the ratios: what a planner believes that has one speed a machine.
    """
    import pandas as pd

    key = ["Label", "Workflow", "Task", "WorkflowInputSize", "TaskInputSize"]
    known, truth = (read_measurements(p).groupby(key)["Realtime"].mean() for p in (first, second))
    table = pd.DataFrame({"known": known / 1000, "truth": truth / 1000}).dropna()
    table = table[(table >= LEAST_RUNTIME_S).all(axis=1)]
    ratio = float(np.exp((np.log(table["truth"]) - np.log(table["known"])).mean()))
    return pd.DataFrame(
        {
            "category": table.index.get_level_values("Task"),
            "estimate_s": table["known"].to_numpy() * ratio,
            "runtime_s": table["truth"].to_numpy(),
        }
    )


def spot_lives(time_s: FloatArray, running: FloatArray, end_s: float) -> pd.DataFrame:
    """Return one row a machine of a trace of how many ran: ``life_s``, ``interrupted``, ``event``.

    Which of several machines was lost is not recorded; it is taken to be the oldest. Their hours
    and losses do not depend on that, the shape of their lives does.

    Parameters
    ----------
    time_s, running
        From each time on, so many machines ran.
    end_s
        When the observation ended; machines that still ran were not interrupted.
    """
    import pandas as pd

    born: deque[float] = deque()
    rows: list[tuple[float, int, int]] = []
    for event, (at, count) in enumerate(zip(time_s.tolist(), running.tolist(), strict=True)):
        while len(born) < count:
            born.append(at)
        while len(born) > count:
            rows.append((at - born.popleft(), 1, event))
    rows += [(end_s - at, 0, -1) for at in born if end_s > at]
    return pd.DataFrame(rows, columns=["life_s", "interrupted", "event"])


def read_bamboo(path: str | Path) -> pd.DataFrame:
    """Return the lives in a file of ``milliseconds,add|remove,machine`` rows."""
    import pandas as pd

    frame = pd.read_csv(path, header=None, names=["ms", "what", "machine"])
    born: dict[str, float] = {}
    rows: list[tuple[float, int, int]] = []
    for ms, what, machine in frame.itertuples(index=False):
        if what == "add":
            born[machine] = ms
        elif machine in born:
            rows.append(((ms - born.pop(machine)) / 1000, 1, int(ms)))
    end = frame["ms"].max()
    rows += [((end - ms) / 1000, 0, -1) for ms in born.values() if end > ms]
    return pd.DataFrame(rows, columns=["life_s", "interrupted", "event"])


def _long_enough(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out tasks whose typical runtime is too short to be compared."""
    typical = frame.groupby("task")["runtime_s"].transform("median")
    return frame[typical >= LEAST_RUNTIME_S].reset_index(drop=True)
