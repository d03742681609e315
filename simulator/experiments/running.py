"""Running an experiment: plan what is to be planned, play what is to be played, record it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from simulator.experiments.amount import seconds_of_plan, seconds_of_run
from simulator.experiments.cases import Cases, Cell, StreamCase, resolve
from simulator.experiments.engines import Failed, Pool, drive, make_pool
from simulator.experiments.runs import (
    Batch,
    PlanJob,
    failed_rows,
    make_plan,
    play_all,
    stored_plan,
)
from simulator.experiments.store import PlanRecord, Rows, Store, positions
from simulator.experiments.table import plans_frame, result_frame, write_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from autoscale.formats.files import PathLike
    from autoscale.model.arrays import IntArray
    from autoscale.plan.plan import Plan
    from simulator.experiments.cases import Case
    from simulator.experiments.spec import Experiment

JOB_S = 0.5
"""Seconds of playing that are handed to a worker at a time, and recorded together."""

SHOWN = 5
"""Errors that a result lists."""

LEAST_JOB_S = 0.02
"""Seconds of playing below which handing it over would cost more than a tenth of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an experiment is.

    Parameters
    ----------
    stage
        What is going on.
    done, total
        Plans or runs, those of earlier sessions included.
    found
        How many of them earlier sessions had recorded.
    failed
        How many failed, or are infeasible, in this session.
    ahead
        Share of this session's work in the stage that is still ahead, as estimated, 0 to 1.
    """

    stage: Literal["plans", "runs"]
    done: int
    total: int
    found: int
    failed: int
    ahead: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ExperimentResult:
    """What a session made of an experiment.

    Parameters
    ----------
    cases
        What was asked for.
    folder
        Where the results are.
    recorded
        Runs with a result, those of earlier sessions and of cases without a plan included.
    failed
        Of these, how many failed.
    infeasible
        Of these, how many had no plan for the goal.
    errors
        The commonest errors of failed runs and infeasible cases, with how many runs have each.
    tables
        Files that the tables were written to.
    interrupted
        Whether Ctrl-C ended the session.
    seconds
        Wall time of the session.
    """

    cases: Cases
    folder: Path
    recorded: int
    failed: int
    infeasible: int
    errors: dict[str, int]
    tables: tuple[Path, ...]
    interrupted: bool
    seconds: float

    def to_frame(self) -> pd.DataFrame:
        """Return one row a run; see :mod:`simulator.experiments.columns`."""
        with Store(self.folder, resume=True) as store:
            return result_frame(self.cases, store)

    def plans_frame(self) -> pd.DataFrame:
        """Return one row a plan, with wall times."""
        with Store(self.folder, resume=True) as store:
            return plans_frame(self.cases, store)


def run_experiment(
    experiment: Experiment | Cases,
    folder: PathLike,
    *,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ExperimentResult:
    """Run an experiment and record every run as it ends.

    Each case is planned once; the plan is stored, and all its runs play the stored plan. A run is
    determined by its plan, chance, seed and replication alone, so that the table of results is
    the same whatever engine ran it, with however many workers, and however often it was
    interrupted. Plans are as reproducible as their planner: ``lp`` and others that stop by the
    clock may find another plan when they are asked again, which a stored one never is.

    Parameters
    ----------
    experiment
        What to run, or what :func:`~simulator.experiments.cases.resolve` made of it.
    folder
        Where results are recorded; made if it does not exist.
    engine
        ``local``: processes of this machine; ``dask``: a Dask cluster.
    workers
        How many processes; as many as the machine has cores if None. One works in this process.
    address
        Of the scheduler of a Dask cluster; None starts one on this machine.
    resume
        Go on where an earlier session of the same experiment ended: nothing is run twice. The
        experiment may have grown since.
    on_progress
        Called whenever something has been recorded.

    Returns
    -------
    ExperimentResult
        Also after Ctrl-C, with ``interrupted`` set.

    Raises
    ------
    InputError
        A wrong entry of the experiment, or a folder that cannot be used.
    StoreError
        The disk is full or fails; what was recorded is safe.
    EngineError
        The cluster is gone; what was recorded is safe.
    """
    began = time.perf_counter()
    cases = experiment if isinstance(experiment, Cases) else resolve(experiment)
    with Store(Path(folder), resume=resume) as store:
        pool = make_pool(engine, workers, address)
        interrupted = True
        try:
            keys = [cell.key for cell in cases.cells]
            store.begin(cases.name, keys, engine, pool.workers, cases.source)
            session = _Session(cases, store, pool, on_progress)
            session.plan()
            session.play()
            interrupted = False
        except KeyboardInterrupt:
            pass
        finally:
            pool.close(now=interrupted)
        tables = tuple(write_tables(cases, store, store.folder))
        return _result(cases, store, tables, interrupted, time.perf_counter() - began)


def _result(
    cases: Cases, store: Store, tables: tuple[Path, ...], interrupted: bool, seconds: float
) -> ExperimentResult:
    plans = store.plans()
    without = {"failed": 0, "infeasible": 0}
    errors = Counter(store.errors())
    for cell in cases.cells:
        record = plans.get(cell.case.key)  # streams have none
        if record is not None and record.status in without:
            without[record.status] += len(cell)
            errors[record.error] += len(cell)
    return ExperimentResult(
        cases=cases,
        folder=store.folder,
        recorded=sum(store.counts().values()) + sum(without.values()),
        failed=store.failures() + without["failed"],
        infeasible=without["infeasible"],
        errors=dict(errors.most_common(SHOWN)),
        tables=tables,
        interrupted=interrupted,
        seconds=seconds,
    )


class _Session:
    """One session of an experiment.

    Parameters
    ----------
    cases, store, pool
        What to run, where to record it, who does it.
    tell
        Called whenever something has been recorded.
    """

    def __init__(
        self, cases: Cases, store: Store, pool: Pool, tell: Callable[[Progress], None]
    ) -> None:
        self.cases, self.store, self.pool, self.tell = cases, store, pool, tell
        self._ids = store.cell_ids()
        self._seconds: dict[str, float] = {}  # of one run, by cell, as measured
        self._last_plan: tuple[str, Plan] | None = None

    # -- plans ------------------------------------------------------------------------------

    def plan(self) -> None:
        """Plan every case that has no plan yet."""
        known = self.store.plans()
        open_cases = [case for case in self.cases.plans if case.key not in known]
        jobs = (PlanJob(key=c.key, problem=c.problem, setting=c.setting) for c in open_cases)
        found = done = len(self.cases.plans) - len(open_cases)
        failed = 0
        seconds = {case.key: seconds_of_plan(case) for case in open_cases}
        all_s = left_s = sum(seconds.values())
        self._tell("plans", done, len(self.cases.plans), found, failed, 1.0)
        for job, made in drive(self.pool, make_plan, jobs, lambda job: (job,)):
            record = made
            if isinstance(record, Failed):
                record = PlanRecord(status="failed", error=record.error)
            self.store.add_plan(job.key, record)
            done, failed = done + 1, failed + (record.status != "done")
            left_s -= seconds[job.key]
            self._tell("plans", done, len(self.cases.plans), found, failed, left_s / all_s)

    def _tell(
        self, stage: Literal["plans", "runs"], done: int, total: int, found: int, failed: int,
        ahead: float,
    ) -> None:  # fmt: skip
        ahead = min(1.0, max(0.0, ahead))
        progress = Progress(
            stage=stage, done=done, total=total, found=found, failed=failed, ahead=ahead
        )
        self.tell(progress)

    # -- runs -------------------------------------------------------------------------------

    def play(self) -> None:
        """Play every run that is not recorded yet."""
        plans, counts = self.store.plans(), self.store.counts()
        planned = [
            cell
            for cell in self.cases.cells
            if isinstance(cell.case, StreamCase) or plans[cell.case.key].status == "done"
        ]
        total = sum(len(cell) for cell in planned)
        found = done = sum(counts.get(self._ids[cell.key], 0) for cell in planned)
        failed = 0
        open_cells = [cell for cell in planned if counts.get(self._ids[cell.key], 0) < len(cell)]
        self._tell("runs", done, total, found, failed, 1.0)
        for batches, played in drive(self.pool, play_all, self._jobs(open_cells), _halves):
            rows = self._rows(batches, played)
            self.store.add_runs(zip((batch.cell for batch in batches), rows, strict=True))
            done += sum(len(r) for r in rows)
            failed += sum(status == "failed" for r in rows for status, _ in r.errors.values())
            self._tell("runs", done, total, found, failed, (total - done) / (total - found))

    def _rows(
        self, batches: tuple[Batch, ...], played: tuple[Rows, ...] | Failed
    ) -> tuple[Rows, ...]:
        if isinstance(played, Failed):
            return tuple(failed_rows(batch, played.error) for batch in batches)
        for batch, rows in zip(batches, played, strict=True):
            self._seconds[batch.key] = rows.seconds / len(rows)
        return played

    def _jobs(self, cells: list[Cell]) -> Iterator[tuple[Batch, ...]]:
        """Yield what one worker plays at a time: long cells in parts, short ones together."""
        left_s = sum(self._expected_s(cell) * len(cell) for cell in cells)
        job: list[Batch] = []
        room_s = self._job_s(left_s)
        for cell in cells:
            missing = self._missing(cell)
            while missing.size:
                each_s = self._expected_s(cell)
                count = max(1, min(missing.size, int(room_s / each_s)))
                job.append(self._batch(cell, missing[:count]))
                missing = missing[count:]
                room_s -= count * each_s
                left_s -= count * each_s
                if room_s < each_s:
                    yield tuple(job)
                    job, room_s = [], self._job_s(left_s)
        if job:
            yield tuple(job)

    def _job_s(self, left_s: float) -> float:
        """Return how long the next job should take, so that all workers end together."""
        return max(LEAST_JOB_S, min(JOB_S, left_s / (4 * self.pool.workers)))

    def _expected_s(self, cell: Cell) -> float:
        return self._seconds.get(cell.key) or seconds_of_run(cell)

    def _missing(self, cell: Cell) -> IntArray:
        recorded = self.store.recorded(self._ids[cell.key])
        place = positions(recorded, cell.seeds, cell.replications)
        return np.setdiff1d(np.arange(len(cell)), place, assume_unique=False)

    def _batch(self, cell: Cell, index: IntArray) -> Batch:
        seeds = np.array(cell.seeds, dtype=np.int64)
        return Batch(
            cell=self._ids[cell.key],
            key=cell.key,
            what=cell.case if isinstance(cell.case, StreamCase) else self._plan_of(cell.case),
            luck=cell.luck,
            early=cell.early,
            seed=seeds[index // cell.replications],
            replication=index % cell.replications,
        )

    def _plan_of(self, case: Case) -> Plan:
        """Return the stored plan of a case; the last one is kept."""
        if self._last_plan is None or self._last_plan[0] != case.key:
            plan = stored_plan(self.store.document(case.key), case.problem.workflow)
            self._last_plan = (case.key, plan)
        return self._last_plan[1]


def _halves(batches: tuple[Batch, ...]) -> tuple[tuple[Batch, ...], ...]:
    """Return the parts of a job: its batches, or the two halves of its only one."""
    if len(batches) > 1:
        return tuple((batch,) for batch in batches)
    batch = batches[0]
    if len(batch) == 1:
        return (batches,)
    middle = len(batch) // 2
    return (batch.part(slice(0, middle)),), (batch.part(slice(middle, None)),)
