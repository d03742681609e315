"""The result table: one row a run, from what the store has recorded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.formats.files import atomic_write
from autoscale.units import COST_TOL_USD, TIME_TOL_S
from simulator.experiments.cases import StreamCase
from simulator.experiments.columns import COLUMNS, DESIGN, LOST
from simulator.experiments.store import FIGURES, PlanRecord, Store, positions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from simulator.experiments.cases import Case, Cases, Cell

TABLE, PLANS = "runs", "plans"
"""Stems of the files in the result folder."""

_TEXTS = {name for name, kind in COLUMNS.items() if kind == "str"}


def result_frame(cases: Cases, store: Store) -> pd.DataFrame:
    """Return one row a run, in the experiment's order; runs that are not recorded are left out.

    Columns are those of :data:`simulator.experiments.columns.COLUMNS`.
    """
    import pandas as pd

    bounds = largest_bounds(cases, store)
    plans, ids = store.plans(), store.cell_ids()
    blocks = []
    for cell in cases.cells:
        if isinstance(cell.case, StreamCase):
            blocks.append(_stream_block(cell, cell.case, store, ids))
        elif cell.case.key in plans:
            bound = bounds.get(cell.case.problem_key, {})
            blocks.append(_block(cell, cell.case, plans[cell.case.key], bound, store, ids))
    frame = {}
    for name, kind in COLUMNS.items():
        dtype = object if name in _TEXTS else np.dtype(kind)
        column = np.concatenate([b[name] for b in blocks]) if blocks else np.empty(0, dtype)
        frame[name] = pd.Series(column, dtype="str") if name in _TEXTS else column.astype(dtype)
    return _with_regret(pd.DataFrame(frame))


def _with_regret(frame: pd.DataFrame) -> pd.DataFrame:
    """Fill in what each policy's run of a stream cost beyond the cheapest with the same luck."""
    same = ["scenario", "chance", "seed", "replication"]
    streams = frame["scenario"] != ""
    if streams.any():
        least = frame[streams].groupby(same)["cost_usd"].transform("min")
        frame.loc[streams, "regret"] = frame.loc[streams, "cost_usd"] / least - 1
    return frame


def plans_frame(cases: Cases, store: Store) -> pd.DataFrame:
    """Return one row a plan: what was planned, how it went, and how long it took.

    Wall times differ from one execution to the next, which is why they are not in the runs' table.
    """
    import pandas as pd

    plans = store.plans()
    return pd.DataFrame(
        [
            {
                **design(case),
                "status": record.status,
                "error": record.error,
                "cost_usd": record.cost_usd,
                "makespan_s": record.makespan_s,
                "objective": record.objective or "",
                "lower_bound": record.lower_bound,
                "plan_seconds": record.seconds,
            }
            for case in cases.plans
            if (record := plans.get(case.key)) is not None
        ]
    )


def largest_bounds(cases: Cases, store: Store) -> dict[str, dict[str, float]]:
    """Return the largest bound on each objective that any planner certified, by problem."""
    plans = store.plans()
    found: dict[str, dict[str, float]] = {}
    for case in cases.plans:
        record = plans.get(case.key)
        if record is None or record.objective is None or record.lower_bound is None:
            continue
        bounds = found.setdefault(case.problem_key, {})
        bounds[record.objective] = max(bounds.get(record.objective, 0.0), record.lower_bound)
    return found


def design(case: Case) -> dict[str, Any]:
    """Return what a case is, by the columns of the table."""
    problem, factor = case.problem, case.goal.deadline_factor
    return {
        "workflow": case.workflow,
        "catalog": case.catalog,
        "deadline_factor": _or_nan(factor),
        "deadline_s": _or_nan(problem.deadline_s),
        "budget_usd": _or_nan(problem.budget_usd),
        "billing": case.billing,
        "planner": case.planner,
    }


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _stream_block(
    cell: Cell, case: StreamCase, store: Store, ids: dict[str, int]
) -> dict[str, Any]:
    """Return the columns of a stream's rows."""
    at, status, error, figures = _played(cell, store, ids[cell.key])
    by_name = {name: figures[:, number] for number, name in enumerate(FIGURES)}
    blank = {name: "" if name in _TEXTS else math.nan for name in DESIGN}
    same = {
        **blank,
        "billing": "",
        "scenario": case.scenario,
        "policy": case.policy,
        "chance": cell.chance,
        "feasible": True,
        "planned_cost_usd": math.nan,
        "planned_makespan_s": math.nan,
        "lower_bound_usd": math.nan,
        "lower_bound_s": math.nan,
        "gap": math.nan,
        "regret": math.nan,
    }
    columns = _constant(same, at.size) | _counted(cell, at, status, error) | _machines(by_name)
    columns |= {name: by_name[name] for name in ("tasks", "misses", "turnaround_s", "tardiness_s")}
    columns["met"] = (status == "done") & ~(by_name["misses"] > 0)
    return columns


def _constant(same: dict[str, Any], n: int) -> dict[str, Any]:
    """Return columns of one value each."""
    return {
        name: np.full(n, value, dtype=object if name in _TEXTS else None)
        for name, value in same.items()
    }


def _counted(cell: Cell, at: Any, status: Any, error: Any) -> dict[str, Any]:
    """Return the columns that say which runs these are, and how they ended."""
    seeds = np.array(cell.seeds, dtype=np.int64)
    return {
        "run": cell.first + at,
        "seed": seeds[at // cell.replications],
        "replication": at % cell.replications,
        "status": status,
        "error": error,
    }


def _machines(by_name: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that plans and streams have from their machines and tasks."""
    leased = by_name["leased_vcpu_s"]
    return {
        "cost_usd": by_name["cost_usd"],
        "makespan_s": by_name["makespan_s"],
        "utilisation": by_name["busy_vcpu_s"] / np.where(leased > 0, leased, np.nan),
        "leases": by_name["machines"],
        "lost_leases": by_name["lost_machines"],
        **{name: by_name[name] for name in LOST},
    }


def _block(
    cell: Cell, case: Case, plan: PlanRecord, bounds: dict[str, float], store: Store,
    ids: dict[str, int],
) -> dict[str, Any]:  # fmt: skip
    """Return the columns of a cell's rows."""
    recorded = plan.status == "done"
    if recorded:
        at, status, error, figures = _played(cell, store, ids[cell.key])
    else:
        at = np.arange(len(cell))
        status = np.full(len(cell), plan.status, dtype=object)
        error = np.full(len(cell), plan.error, dtype=object)
        figures = np.full((len(cell), len(FIGURES)), np.nan)
    same = {
        **design(case),
        "scenario": "",
        "policy": "",
        "chance": cell.chance,
        "feasible": recorded,
        "tasks": float(len(case.problem.workflow)),
        "planned_cost_usd": _or_nan(plan.cost_usd),
        "planned_makespan_s": _or_nan(plan.makespan_s),
        "lower_bound_usd": bounds.get("cost", math.nan),
        "lower_bound_s": bounds.get("makespan", math.nan),
        "gap": _gap(plan, bounds),
        **dict.fromkeys(("misses", "turnaround_s", "regret"), math.nan),
    }
    columns = _constant(same, at.size) | _counted(cell, at, status, error)
    return columns | _figures(case, figures, status)


def _played(cell: Cell, store: Store, number: int) -> tuple[Any, Any, Any, Any]:
    """Return places, statuses, errors and figures of a cell's recorded runs, in order."""
    places = [np.empty(0, np.int64)]
    texts_of = [np.empty((0, 2), dtype=object)]
    figures_of = [np.empty((0, len(FIGURES)))]
    for rows in store.rows(number):
        places.append(positions([row[:2] for row in rows], cell.seeds, cell.replications))
        texts_of.append(np.array([row[2:4] for row in rows], dtype=object))
        figures_of.append(np.array([row[4:] for row in rows], dtype=np.float64))
    place, texts, figures = (np.concatenate(parts) for parts in (places, texts_of, figures_of))
    order = np.argsort(place, kind="stable")
    order = order[np.searchsorted(place[order], 0) :]
    return place[order], texts[order, 0], texts[order, 1], figures[order]


def _gap(plan: PlanRecord, bounds: dict[str, float]) -> float:
    bound = bounds.get(plan.objective or "", 0.0)
    value = plan.makespan_s if plan.objective == "makespan" else plan.cost_usd
    return max(0.0, value / bound - 1) if value is not None and bound > 0 else math.nan


def _figures(case: Case, figures: Any, status: Any) -> dict[str, Any]:
    """Return the columns that follow from the figures of runs."""
    by_name = {name: figures[:, number] for number, name in enumerate(FIGURES)}
    makespan_s, cost_usd = by_name["makespan_s"], by_name["cost_usd"]
    met = (status == "done") & np.isfinite(makespan_s)
    tardiness_s = np.full(makespan_s.size, np.nan)
    if case.problem.deadline_s is not None:
        late_s = makespan_s - case.problem.deadline_s
        met &= late_s <= TIME_TOL_S
        tardiness_s = np.where(late_s <= TIME_TOL_S, 0.0, late_s)
    if case.problem.budget_usd is not None:
        met &= cost_usd <= case.problem.budget_usd + COST_TOL_USD
    return {"met": met, "tardiness_s": tardiness_s, **_machines(by_name)}


def have_parquet() -> bool:
    """Return whether Parquet files can be written."""
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


def write_tables(cases: Cases, store: Store, folder: Path) -> Iterator[Path]:
    """Write the table of runs and that of plans, as Parquet or else as CSV; yield their paths."""
    kind = ".parquet" if have_parquet() else ".csv"
    for stem, frame in ((TABLE, result_frame), (PLANS, plans_frame)):
        path = folder / f"{stem}{kind}"
        write_frame(frame(cases, store), path)
        yield path


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, whole or not at all; the same rows give the same bytes.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    with atomic_write(path) as out:
        if path.suffix == ".csv":
            out.write(frame.to_csv(index=False, lineterminator="\n").encode())
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Without pandas' own notes, and with missing figures as nulls, for all kinds of readers.
        table = pa.table({name: pa.array(frame[name], from_pandas=True) for name in frame.columns})
        pq.write_table(table, out, compression="zstd")
