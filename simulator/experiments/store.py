"""The durable store of an experiment: one SQLite file, one writer.

Every batch of runs is one transaction in a write-ahead log that is synced to the disk before the
batch counts as recorded, so that neither a killed program nor a power cut loses a recorded run. A
run is recorded at most once: its cell, seed and replication are the table's key.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import AutoscaleError, InputError
from autoscale.version import __version__
from simulator.replay import FIGURES as PLAYED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from autoscale.model.arrays import FloatArray, IntArray

FILE, LOCK = "results.sqlite", "lock.sqlite"
"""Files of the store in the result folder."""

READ = 20_000
"""Rows that are read at a time."""

LAYOUT = 1
"""Version of the tables."""

FIGURES = (*PLAYED, "tasks", "misses", "turnaround_s", "tardiness_s")
"""Figures of a run that are recorded: those of a plan's replay, and those of a stream alone."""

_TABLES = f"""
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE plans (
    key TEXT PRIMARY KEY, status TEXT NOT NULL, error TEXT NOT NULL, cost_usd REAL,
    makespan_s REAL, objective TEXT, lower_bound REAL, seconds REAL NOT NULL, document BLOB
) WITHOUT ROWID;
CREATE TABLE cells (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE runs (
    cell INTEGER NOT NULL, seed INTEGER NOT NULL, replication INTEGER NOT NULL,
    status TEXT NOT NULL, error TEXT NOT NULL, {", ".join(f"{name} REAL" for name in FIGURES)},
    PRIMARY KEY (cell, seed, replication)
) WITHOUT ROWID;
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, began TEXT NOT NULL, engine TEXT NOT NULL, workers INTEGER NOT NULL,
    plans INTEGER NOT NULL DEFAULT 0, runs INTEGER NOT NULL DEFAULT 0
);
"""

_ADD_RUN = f"INSERT INTO runs VALUES ({', '.join('?' * (5 + len(FIGURES)))})"


class StoreError(AutoscaleError):
    """Results can be written no further; what was recorded before is safe."""

    exit_code = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """What a planner made of a case.

    Parameters
    ----------
    status
        ``done``, ``failed`` or ``infeasible``.
    error
        Why there is no plan; empty where there is one.
    cost_usd, makespan_s
        Of the plan; None without one.
    objective, lower_bound
        Its certificate; None without one.
    seconds
        Wall time of planning.
    document
        The plan as ``plan.json``, gzipped; None without one.
    """

    status: str
    error: str = ""
    cost_usd: float | None = None
    makespan_s: float | None = None
    objective: str | None = None
    lower_bound: float | None = None
    seconds: float = 0.0
    document: bytes | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Figures of some runs of a cell.

    Parameters
    ----------
    seed, replication
        Their luck, shape (rows,).
    figures
        Shape (rows, figures), columns as :data:`FIGURES`; NaN where a run failed, or has none.
    errors
        By row: status and text of runs that failed or were given up.
    seconds
        Processor time of all of them.
    """

    seed: IntArray
    replication: IntArray
    figures: FloatArray
    errors: dict[int, tuple[str, str]]
    seconds: float

    def __len__(self) -> int:
        return int(self.seed.size)


class Store:
    """The results in a folder; the only writer as long as it is open.

    Parameters
    ----------
    folder
        The result folder; made if it does not exist.
    resume
        Go on where an earlier session ended; without, the folder must hold no results.

    Raises
    ------
    InputError
        The folder cannot be used, holds results that are not to be gone on with, or is in use.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.folder = folder
        self.path = folder / FILE
        if self.path.exists() and not resume:
            raise InputError(
                f"{folder}: holds results already; go on with --resume (resume=True), or give "
                "another folder"
            )
        _make_folder(folder)
        self._lock = _locked(folder)
        try:
            self._db = self._opened()
        except BaseException:
            self._lock.close()
            raise
        self._session = 0

    def _opened(self) -> sqlite3.Connection:
        with explained(self.folder):
            db = sqlite3.connect(self.path, isolation_level=None)
            try:
                self._laid_out(db)
            except BaseException:
                db.close()
                raise
        return db

    def _laid_out(self, db: sqlite3.Connection) -> None:
        """Make the tables if there are none yet, and refuse those of another layout."""
        db.execute("PRAGMA journal_mode = WAL")
        # Each commit is synced: a batch takes half a second, a sync some milliseconds.
        db.execute("PRAGMA synchronous = FULL")
        known = db.execute("PRAGMA user_version").fetchone()[0]
        if not known:
            db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {LAYOUT}; COMMIT;")
        elif known != LAYOUT:
            raise InputError(
                f"{self.path}: expected results of layout {LAYOUT}, got {known}: they are "
                "another version's"
            )

    def close(self) -> None:
        """Close the store; another may open it then."""
        self._db.close()
        self._lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction."""
        with explained(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def begin(
        self, name: str, cells: Sequence[str], engine: str, workers: int, source: str = ""
    ) -> None:
        """Begin a session of the experiment that has these cells; ``source`` is its file's text.

        Raises
        ------
        InputError
            The folder holds results that are not this experiment's, or of another version.
        """
        about = dict(self._db.execute("SELECT name, value FROM about"))
        version = about.get("version", __version__)
        if version != __version__:
            raise InputError(
                f"{self.folder}: its runs were made by version {version}, this is {__version__}, "
                "whose runs may differ; give another folder"
            )
        known = {key for (key,) in self._db.execute("SELECT key FROM cells")}
        strange = len(known.difference(cells))
        if strange:
            raise InputError(
                f"{self.folder}: holds results of another experiment, {about.get('name')!r}: "
                f"{strange:,} of its {len(known):,} cells are not in {name!r}; give another folder"
            )
        with self._writing() as db:
            facts = {"name": name, "version": __version__, "source": source}
            db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", facts.items())
            new = [(key,) for key in cells if key not in known]
            db.executemany("INSERT INTO cells (key) VALUES (?)", new)
            began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            done = db.execute(
                "INSERT INTO sessions (began, engine, workers) VALUES (?, ?, ?)",
                (began, engine, workers),
            )
            self._session = int(done.lastrowid or 0)

    def cell_ids(self) -> dict[str, int]:
        """Return the number of each cell by its key."""
        return dict(self._db.execute("SELECT key, id FROM cells"))

    def add_plan(self, key: str, record: PlanRecord) -> None:
        """Record a plan."""
        row = (
            key, record.status, record.error, record.cost_usd, record.makespan_s,
            record.objective, record.lower_bound, record.seconds, record.document,
        )  # fmt: skip
        with self._writing() as db:
            db.execute(f"INSERT INTO plans VALUES ({', '.join('?' * len(row))})", row)
            db.execute("UPDATE sessions SET plans = plans + 1 WHERE id = ?", (self._session,))

    def plans(self) -> dict[str, PlanRecord]:
        """Return the recorded plans by case, without their documents."""
        found = self._db.execute(
            "SELECT key, status, error, cost_usd, makespan_s, objective, lower_bound, seconds "
            "FROM plans"
        )
        names = (
            "status", "error", "cost_usd", "makespan_s", "objective", "lower_bound", "seconds",
        )  # fmt: skip
        return {key: PlanRecord(**dict(zip(names, row, strict=True))) for key, *row in found}

    def document(self, key: str) -> bytes:
        """Return the plan of a case as gzipped JSON."""
        row = self._db.execute("SELECT document FROM plans WHERE key = ?", (key,)).fetchone()
        data: bytes = row[0]
        return data

    def add_runs(self, played: Iterable[tuple[int, Rows]]) -> None:
        """Record runs, all or none; each entry is the number of a cell and its runs."""
        fine = ("done", "")
        records = [
            (cell, seed, replication, *rows.errors.get(number, fine), *figures)
            for cell, rows in played
            for number, (seed, replication, figures) in enumerate(
                zip(
                    rows.seed.tolist(), rows.replication.tolist(), rows.figures.tolist(),
                    strict=True,
                )
            )
        ]  # fmt: skip
        with self._writing() as db:
            db.executemany(_ADD_RUN, records)
            db.execute(
                "UPDATE sessions SET runs = runs + ? WHERE id = ?", (len(records), self._session)
            )

    def recorded(self, cell: int) -> list[tuple[int, int]]:
        """Return seed and replication of the recorded runs of a cell."""
        return self._db.execute(
            "SELECT seed, replication FROM runs WHERE cell = ?", (cell,)
        ).fetchall()

    def counts(self) -> dict[int, int]:
        """Return how many runs of each cell are recorded."""
        return dict(self._db.execute("SELECT cell, count(*) FROM runs GROUP BY cell"))

    def failures(self) -> int:
        """Return how many runs failed."""
        row = self._db.execute("SELECT count(*) FROM runs WHERE status = 'failed'").fetchone()
        return int(row[0])

    def errors(self) -> dict[str, int]:
        """Return the errors of failed runs, with how many have each."""
        return dict(
            self._db.execute(
                "SELECT error, count(*) FROM runs WHERE status = 'failed' GROUP BY error"
            )
        )

    def rows(self, cell: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield recorded runs of a cell in parts: seed, replication, status, error, figures."""
        found = self._db.execute(
            f"SELECT seed, replication, status, error, {', '.join(FIGURES)} FROM runs "
            "WHERE cell = ?",
            (cell,),
        )
        while part := found.fetchmany(READ):
            yield part

    def sessions(self) -> list[tuple[str, str, int, int, int]]:
        """Return every session: when it began, engine, workers, plans and runs it recorded."""
        return self._db.execute(
            "SELECT began, engine, workers, plans, runs FROM sessions ORDER BY id"
        ).fetchall()


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn the refusals of disk and database into errors that say what to do.

    Raises
    ------
    StoreError
        Results can be written no further.
    InputError
        The file is damaged, or no database.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError):
            raise
        if not isinstance(error, sqlite3.OperationalError):
            raise InputError(f"{folder / FILE}: cannot be used: {error}") from None
        raise StoreError(
            f"{folder}: results cannot be written: {error}; what was recorded until then is safe: "
            "make room and go on with --resume"
        ) from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = sorted(p.name for p in folder.iterdir() if not (folder / FILE).exists())
    except OSError as error:
        raise InputError(f"{folder}: cannot be used: {error.strerror}") from None
    if [name for name in strange if name != LOCK]:
        raise InputError(
            f"{folder}: expected an empty folder or one with results, found {strange[0]!r}"
        )


def _locked(folder: Path) -> sqlite3.Connection:
    """Return a connection that keeps others from writing; it ends with the program, however."""
    try:
        lock = sqlite3.connect(folder / LOCK, timeout=0.2, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise InputError(
                f"{folder}: another program is writing results here; wait for it, or stop it"
            ) from None
        raise InputError(f"{folder}: cannot be written: {error}") from None
    return lock


def positions(luck: Sequence[tuple[int, int]], seeds: Sequence[int], replications: int) -> IntArray:
    """Return the places of runs in their cell, shape (runs,); -1 for those beyond it.

    Examples
    --------
    >>> positions([(7, 1), (5, 0), (6, 0)], (5, 7), 2).tolist()
    [3, 0, -1]
    """
    at = {seed: number for number, seed in enumerate(seeds)}
    found = [
        at[seed] * replications + replication if seed in at and replication < replications else -1
        for seed, replication in luck
    ]
    return np.array(found, dtype=np.int64)
