"""What every entrant did in every setting: the figures behind the tables and pictures."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.statistics import share, spread
from simulator.study.profiles import ratios
from simulator.study.ranking import rank
from simulator.study.runs import DONE, INFEASIBLE

if TYPE_CHECKING:
    import pandas as pd

    from simulator.study.runs import Study

MEANS = (
    "makespan_s", "utilisation", "gap", "leases", "lost_leases", "tardiness_s", "misses",
    "turnaround_s", "regret",
)  # fmt: skip
"""Figures whose means are told beside the cost's."""


def cells(study: Study, *, level: float = 0.95) -> pd.DataFrame:
    """Return one row for each setting and entrant: what its runs say together.

    Parameters
    ----------
    study
        The runs.
    level
        Of confidence, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        ``panel`` (the setting but for its deadline, as a text), the settings, ``deadline_at`` (the
        factor or the seconds; NaN without a deadline), ``entrant``; ``runs``, ``completed``,
        ``infeasible``, ``failed`` (given up or ended by an error); ``cost_usd`` with ``cost_low``
        and ``cost_high``, ``makespan_s`` and other means over the runs that were completed;
        ``met`` with ``met_low`` and ``met_high`` (Clopper-Pearson) over all; ``lower_bound_usd``.
    """
    return _cells(study, level).copy()


@lru_cache(maxsize=1)  # every figure of a study asks for them
def _cells(study: Study, level: float) -> pd.DataFrame:
    import pandas as pd

    by = ["panel", *(study.settings or ("workflow",)), "entrant"]
    runs = study.runs.assign(panel=panels(study))
    rows = [
        {**dict(zip(by, key, strict=True)), **_cell(group, level)}
        for key, group in runs.groupby(by, sort=False, dropna=False)
    ]
    return pd.DataFrame(rows)


def standings(study: Study, *, level: float = 0.95) -> pd.DataFrame:
    """Return one row an entrant, the best first: how it did over all settings.

    Returns
    -------
    pandas.DataFrame
        ``entrant``, ``mean_rank`` (by mean cost; NaN with one entrant alone), ``cheapest_in`` and
        ``no_result`` (shares of settings), ``median_ratio`` (of mean cost to the setting's
        cheapest), ``runs``, ``completed``, and ``met`` (share of runs; NaN without deadlines).
    """
    import pandas as pd

    costs = study.table().dropna()
    names, mean_rank = study.entrants, dict.fromkeys(study.entrants, math.nan)
    if len(costs) and len(names) > 1:
        found = rank(costs, level=level)
        names, mean_rank = found.entrants, dict(zip(found.entrants, found.mean_rank, strict=True))
    ratio = ratios(costs) if len(costs) else costs
    by = study.runs.groupby("entrant")
    runs, completed, met = by.size(), by["completed"].sum(), by["met"].mean()
    rows = [
        {
            "entrant": name, "mean_rank": mean_rank[name],
            "cheapest_in": float((ratio[name] == 1).mean()),
            "median_ratio": float(ratio[name].median()),
            "no_result": float(np.isinf(costs[name]).mean()),
            "runs": int(runs[name]), "completed": int(completed[name]), "met": float(met[name]),
        }
        for name in names
    ]  # fmt: skip
    return pd.DataFrame(rows)


def panels(study: Study) -> list[str]:
    """Return for every run the text that names its setting but for the deadline."""
    told = [c for c in study.settings if c != "deadline"]
    if not told:
        return [_only(study)] * len(study.runs)
    columns = [study.runs[c].astype(str) for c in told]
    return [", ".join(v for v in row if v) for row in zip(*columns, strict=True)]


def _only(study: Study) -> str:
    first = study.runs.iloc[0]
    return str(first["scenario"] or first["workflow"] or "all runs")


def _cell(group: pd.DataFrame, level: float) -> dict[str, Any]:
    done = group[group["completed"]]
    cost = spread(done["cost_usd"].to_numpy(np.float64), level)
    infeasible = int((group["status"] == INFEASIBLE).sum())
    met: dict[str, float] = {"met": math.nan, "met_low": math.nan, "met_high": math.nan}
    known = group["met"].dropna()
    if known.size:
        found = share(int(known.sum()), int(known.size), level)
        met = {"met": found.value, "met_low": found.low, "met_high": found.high}
    factor = float(group["deadline_factor"].iloc[0])
    return {
        "deadline_at": factor if factor == factor else float(group["deadline_s"].iloc[0]),
        "runs": len(group),
        "completed": len(done),
        "infeasible": infeasible,
        "failed": len(group) - len(done) - infeasible,
        "cost_usd": cost.mean,
        "cost_low": cost.low,
        "cost_high": cost.high,
        **{name: float(done[name].mean()) for name in MEANS},
        **met,
        "lower_bound_usd": float(group["lower_bound_usd"].max()),
    }


def shares_met(study: Study, *, level: float = 0.95) -> pd.DataFrame:
    """Return how often each entrant met each deadline, over all other settings.

    Returns
    -------
    pandas.DataFrame
        ``deadline``, ``entrant``, ``hits``, ``runs``, ``met``, ``low``, ``high``; no row where
        nothing says whether a deadline was met.
    """
    import pandas as pd

    rows = []
    known = study.runs[study.runs["met"].notna() & study.runs["deadline"].ne("")]
    for (deadline, entrant), group in known.groupby(["deadline", "entrant"], sort=False):
        found = share(int(group["met"].sum()), len(group), level)
        rows.append(
            {
                "deadline": deadline, "entrant": entrant, "hits": found.hits, "runs": found.runs,
                "met": found.value, "low": found.low, "high": found.high,
            }
        )  # fmt: skip
    columns = ["deadline", "entrant", "hits", "runs", "met", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def relative_figures(study: Study) -> dict[str, pd.Series[float]]:
    """Return figures of the runs that can be compared over settings, by what they are.

    Ratios to the setting's own scale, one value a run; NaN where a run was not completed. Figures
    that no run has are left out.
    """
    runs = study.runs
    done = runs["completed"]
    best = _best_mean(study)
    found = {
        "cost / cheapest entrant's mean": runs["cost_usd"] / best,
        "cost / certified bound": runs["cost_usd"] / runs["lower_bound_usd"],
        "makespan / deadline": runs["makespan_s"] / runs["deadline_s"],
        "cost / planned cost": runs["cost_usd"] / runs["planned_cost_usd"],
        "makespan / planned makespan": runs["makespan_s"] / runs["planned_makespan_s"],
        "utilisation": runs["utilisation"],
        "share of jobs that missed": runs["misses"],
        "turnaround, seconds": runs["turnaround_s"],
        "regret": runs["regret"],
    }
    known = {name: column.where(done & np.isfinite(column)) for name, column in found.items()}
    return {name: column for name, column in known.items() if column.notna().any()}


def _best_mean(study: Study) -> pd.Series[float]:
    """Return for every run the least mean cost of an entrant in its setting."""
    runs = study.runs
    by = list(study.settings or ("workflow",))
    cost = runs["cost_usd"].where(runs["completed"])
    means = cost.groupby([runs[c] for c in [*by, "entrant"]], dropna=False).transform("mean")
    return means.groupby([runs[c] for c in by], dropna=False).transform("min")


def efficient(makespan: list[float], cost: list[float]) -> list[int]:
    """Return the points that no other point beats in both figures, by makespan.

    Examples
    --------
    >>> efficient([10.0, 20.0, 30.0, 15.0], [5.0, 4.0, 4.5, 6.0])
    [0, 1]
    """
    front: list[int] = []
    for i in sorted(range(len(cost)), key=lambda i: (makespan[i], cost[i], i)):
        if math.isfinite(makespan[i]) and cost[i] < (cost[front[-1]] if front else math.inf):
            front.append(i)
    return front


def not_completed(study: Study, most: int = 500) -> pd.DataFrame:
    """Return the first runs that have no result or were given up, with their reasons."""
    lost = study.runs[~study.runs["completed"]].head(most)
    columns = [*study.settings, "entrant", "seed", "replication", "status", "error"]
    status = lost["status"].where(lost["status"] != DONE, "given up")
    return lost.assign(status=status)[columns]
