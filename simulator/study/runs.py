"""The runs of an experiment, side by side: who ran, on what, and what came out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

SETTINGS = ("workflow", "scenario", "catalog", "deadline", "budget", "billing", "chance")
"""What a run was asked to do, apart from who did it and with which luck."""

LUCK = ("seed", "replication")
"""What tells apart the runs of one planner in one setting."""

FIGURES = (
    "cost_usd",
    "planned_cost_usd",
    "makespan_s",
    "planned_makespan_s",
    "lower_bound_usd",
    "gap",
    "utilisation",
    "leases",
    "tasks",
    "lost_leases",
    "tardiness_s",
    "misses",
    "turnaround_s",
    "regret",
)
"""Figures of a run; NaN where one does not apply."""

DONE, FAILED, INFEASIBLE = "done", "failed", "infeasible"
"""How a run ended: with a result, with an error, or with no plan that keeps to its limits."""

ALIASES = {
    "missed_share": "misses",
    "turnaround_mean_s": "turnaround_s",
    "tardiness_mean_s": "tardiness_s",
    "launches": "leases",
    "bound_usd": "lower_bound_usd",
}
"""Columns of the table of a stream's runs (:mod:`simulator.streaming`), as they are called here."""

_TEXTS = ("workflow", "scenario", "catalog", "billing", "chance", "planner", "policy", "error")


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """Runs of an experiment, ready to be compared.

    Parameters
    ----------
    runs
        One row a run, ordered by setting, then entrant, then luck, with all columns of
        :data:`FIGURES`, :data:`SETTINGS` and :data:`LUCK`, ``status``, ``error``, ``completed``
        (it has a result and was not given up), ``met`` (1, 0, or NaN where nothing says so) and
        ``entrant``, the planner or policy.
    settings
        Columns of :data:`SETTINGS` in which the runs differ.
    entrants
        What is compared: planners or policies, in the order in which they first appear.
    """

    runs: pd.DataFrame
    settings: tuple[str, ...]
    entrants: tuple[str, ...]

    @classmethod
    def of(cls, runs: pd.DataFrame, settings: Sequence[str] = ()) -> Study:
        """Return the study of a frame of runs, one row a run.

        Parameters
        ----------
        runs
            As :func:`read_runs` returns them, or the runs of policies on a stream, as
            :meth:`simulator.streaming.StreamReport.to_frame` does; columns that are missing count
            as not applicable.
        settings
            Further columns that tell settings apart, besides :data:`SETTINGS`.

        Raises
        ------
        InputError
            No run, no column ``planner`` or ``policy``, a column of ``settings`` that is not
            there, or two runs of one entrant with the same setting and the same luck.
        """
        frame = _labelled(runs, settings)
        known = (*SETTINGS, *settings)
        entrants = tuple(dict.fromkeys(frame["entrant"]))
        place = {name: number for number, name in enumerate(entrants)}
        order = ["_scale", *(c for c in known if c != "deadline"), "_entrant", *LUCK]
        frame = frame.assign(_scale=_scale(frame), _entrant=frame["entrant"].map(place))
        # Deadlines and budgets are ordered by size within a workflow, not by their labels.
        order.insert(0, order.pop(order.index("workflow")))
        frame = frame.sort_values(order, kind="stable", ignore_index=True)
        frame = frame.drop(columns=["_scale", "_entrant"])
        twins = frame.duplicated([*known, "entrant", *LUCK])
        if twins.any():
            row = frame[twins].iloc[0]
            told = ", ".join(f"{c} {row[c]!r}" for c in ("entrant", *known, *LUCK) if row[c] != "")
            raise InputError(
                f"runs: two of them have the same setting, entrant and luck ({told}); if another "
                "column tells them apart, name it in settings"
            )
        varying = tuple(c for c in known if len(frame[c].unique()) > 1)
        return cls(runs=frame, settings=varying, entrants=entrants)

    def table(
        self, figure: str = "cost_usd", *, each_run: bool = False, least_met: float = 0.0
    ) -> pd.DataFrame:
        """Return one row a setting and one column an entrant: the mean of a figure over the luck.

        A run without a result counts as infinite, one that was given up too, and so does the mean
        over runs of which one has no result; NaN says that the entrant was not run there.

        Parameters
        ----------
        figure
            A column of :attr:`runs`.
        each_run
            Return a row for each setting and luck instead, for comparisons in one setting.
        least_met
            A mean counts as infinite where less than this share of the runs met the deadline,
            0 to 1.
        """
        if figure not in self.runs.columns:
            raise InputError(
                f"figure: expected a column such as {', '.join(FIGURES[:3])}, got {figure!r}"
            )
        runs = self.runs
        value = runs[figure].where(runs["completed"], math.inf)
        index = [*self.settings, *(LUCK if each_run else ())] or ["workflow"]
        cells = runs[[*index, "entrant"]].assign(value=value, met=_met(runs))
        found = cells.groupby([*index, "entrant"], sort=False, dropna=False).mean()
        found.loc[found["met"] < least_met, "value"] = math.inf
        wide = found["value"].unstack("entrant", sort=False)  # noqa: PD010
        return wide.reindex(columns=list(self.entrants))

    @property
    def streams(self) -> bool:
        """Whether policies ran streams of workflows."""
        return bool(self.runs["policy"].ne("").any())


def _met(runs: pd.DataFrame) -> pd.Series[float]:
    """Return whether each run met its deadline: 1 or 0; a run without a result did not."""
    met = runs["met"].astype("float64")
    return met.where(met.notna(), runs["completed"].astype("float64"))


def _labelled(runs: pd.DataFrame, settings: Sequence[str]) -> pd.DataFrame:
    """Return a copy with every column that is relied on, keys as texts."""
    import pandas as pd

    if runs.empty:
        raise InputError("runs: expected at least one run, found none")
    for name in settings:
        if name not in runs.columns:
            raise InputError(f"settings: expected a column of the runs, got {name!r}")
    if not {"planner", "policy"} & set(runs.columns):
        raise InputError(
            f"runs: expected a column 'planner' or 'policy', found {', '.join(runs.columns)}"
        )
    runs = runs.rename(columns={k: v for k, v in ALIASES.items() if v not in runs.columns})
    if "stopped" in runs.columns and "status" not in runs.columns:
        stopped = pd.Series(_texts(runs["stopped"]), index=runs.index)
        runs = runs.assign(status=stopped.map(lambda why: FAILED if why else DONE), error=stopped)
    missing = (*FIGURES, "met", "deadline_s", "deadline_factor", "budget_usd", *LUCK)
    frame = runs.assign(**{c: math.nan for c in missing if c not in runs.columns})
    for name in _TEXTS:
        frame[name] = _texts(frame[name]) if name in frame.columns else ""
    frame["entrant"] = frame["policy"].where(frame["policy"] != "", frame["planner"])
    if "status" not in frame.columns:
        frame["status"] = DONE
    for name in FIGURES:
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("float64")
    frame["met"] = frame["met"].astype("float64")
    frame["completed"] = (frame["status"] == DONE) & ~np.isinf(frame["makespan_s"])
    frame[list(LUCK)] = frame[list(LUCK)].fillna(0)
    frame["deadline"] = [
        _deadline(factor, seconds)
        for factor, seconds in zip(frame["deadline_factor"], frame["deadline_s"], strict=True)
    ]
    frame["budget"] = ["" if usd != usd else format_money(usd) for usd in frame["budget_usd"]]
    return frame


def _texts(column: pd.Series[str]) -> list[str]:
    return ["" if value is None or value != value else str(value) for value in column]


def _deadline(factor: float, seconds: float) -> str:
    """Return the label of a deadline; as a multiple where it was asked for so."""
    if factor == factor:
        return f"x{factor:g}"
    return "" if seconds != seconds else format_duration(seconds)


def _scale(frame: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return what deadlines are ordered by."""
    factor = frame["deadline_factor"].to_numpy(np.float64)
    return np.where(np.isnan(factor), frame["deadline_s"].to_numpy(np.float64), factor)
