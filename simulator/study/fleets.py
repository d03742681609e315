"""Fleets over time: what the plans of an experiment lease, where its folder has them."""

from __future__ import annotations

import gzip
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.study.reading import read_store
from simulator.study.runs import Study

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.formats.files import PathLike
    from autoscale.model.arrays import FloatArray

PLANS = "plans.parquet"
"""The file of a result folder that has one row a plan."""

MOST_PLANS = 400
"""Fleets of at most so many plans are shown."""

MOST_POINTS = 600
"""A fleet that changes more often is shown at so many moments."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedFleet:
    """vCPUs that a plan leases, as a step function.

    Parameters
    ----------
    panel
        The setting but for its deadline.
    deadline, entrant
        For what and by whom it was planned.
    time_s, vcpus
        ``vcpus[i]`` are leased from ``time_s[i]`` on; seconds since the submission.
    leases
        How many machines.
    deadline_s
        NaN without a deadline.
    """

    panel: str
    deadline: str
    entrant: str
    time_s: FloatArray
    vcpus: FloatArray
    leases: int
    deadline_s: float


def read_fleets(path: PathLike) -> list[PlannedFleet]:
    """Return the fleets of the plans in an experiment's result folder.

    A plan's row in the table of plans and its document are recognised by cost and makespan, which
    both state to the last bit.

    Returns
    -------
    list of PlannedFleet
        In the order of the table; empty where the folder has no plans, or not in this form.
    """
    import pandas as pd

    folder = Path(path)
    if not (folder / PLANS).is_file():
        return []
    try:
        rows = pd.read_parquet(folder / PLANS)
        rows = rows[rows["status"] == "done"].head(MOST_PLANS)
        study = Study.of(rows.assign(seed=0, replication=0))
        documents = _documents(folder)
    except (ImportError, KeyError, sqlite3.Error, OSError, ValueError):
        return []
    found = (_fleet(row, documents) for _, row in _labelled(study).iterrows())
    return [fleet for fleet in found if fleet is not None]


def _labelled(study: Study) -> pd.DataFrame:
    from simulator.study.cells import panels

    return study.runs.assign(panel=panels(study))


def _documents(folder: Path) -> dict[tuple[float, float], bytes]:
    """Return the plans' documents by cost and makespan."""
    found = read_store(
        folder, "SELECT cost_usd, makespan_s, document FROM plans WHERE document IS NOT NULL"
    )
    return {(float(cost), float(end)): bytes(text) for cost, end, text in found}


def _fleet(row: Any, documents: dict[tuple[float, float], bytes]) -> PlannedFleet | None:
    document = documents.get((float(row["cost_usd"]), float(row["makespan_s"])))
    if document is None:
        return None
    plan = json.loads(gzip.decompress(document))
    leases, types = plan["leases"], plan["instance_types"]
    vcpus = np.array([types[name]["vcpus"] for name in leases["instance_type"]], np.float64)
    start, end = np.array(leases["start"], np.float64), np.array(leases["end"], np.float64)
    time_s, level = steps(start, end, vcpus)
    return PlannedFleet(
        panel=str(row["panel"]), deadline=str(row["deadline"]), entrant=str(row["entrant"]),
        time_s=time_s, vcpus=level, leases=vcpus.size, deadline_s=float(row["deadline_s"]),
    )  # fmt: skip


def steps(
    start_s: FloatArray, end_s: FloatArray, amount: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return when the sum of what is held changes, and what it is from then on.

    Examples
    --------
    >>> import numpy as np
    >>> t, level = steps(np.array([0.0, 5.0]), np.array([9.0, 9.0]), np.array([2.0, 4.0]))
    >>> t.tolist(), level.tolist()
    ([0.0, 5.0, 9.0], [2.0, 6.0, 0.0])
    """
    time_s, place = np.unique(np.concatenate([start_s, end_s]), return_inverse=True)
    change = np.bincount(place, weights=np.concatenate([amount, -amount]), minlength=time_s.size)
    level: FloatArray = np.cumsum(change).astype(np.float64)
    if time_s.size > MOST_POINTS:
        shown_s = np.linspace(time_s[0], time_s[-1], MOST_POINTS)
        level = level[np.searchsorted(time_s, shown_s, side="right") - 1]
        time_s = shown_s
    return np.asarray(time_s, np.float64), level
