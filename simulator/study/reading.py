"""The runs of an experiment's folder, as a tidy frame."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError
from autoscale.formats.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.formats.files import PathLike

_NEEDS_PYARROW = (
    "runs in Parquet files need pyarrow; install it with: pip install 'autoscale[parquet]'"
)

RUNS = ("runs.parquet", "runs.csv")
"""Files of a result folder that have a row for every run: an experiment's, a stream's."""

STORE = "results.sqlite"
"""The file of a result folder that everything is recorded in."""


def read_runs(path: PathLike) -> pd.DataFrame:
    """Return the runs of an experiment, one row a run.

    Parameters
    ----------
    path
        The result folder of an experiment, or a file of runs: Parquet or CSV.

    Raises
    ------
    InputError
        There is nothing to read, it cannot be read, or pyarrow is not installed.
    """
    import pandas as pd

    where = Path(path)
    if where.is_dir():
        file = next((f for f in (where / name for name in RUNS) if f.is_file()), None)
        if file is None:
            raise InputError(f"{path}: is no folder of results: expected {RUNS[0]} there")
    elif where.is_file():
        file = where
    else:
        raise InputError(f"{path}: no such file or folder")
    try:
        if file.suffix.lower() == ".csv":
            return pd.read_csv(file)
        return pd.read_parquet(file)
    except ImportError:
        raise InputError(_NEEDS_PYARROW) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as a table of runs: {error}") from None


def read_store(path: PathLike, query: str) -> list[tuple[Any, ...]]:
    """Return what a query finds in an experiment's result folder; nothing is written there.

    Raises
    ------
    sqlite3.Error
        There are no results in the folder, or not in this form.
    """
    store = Path(path) / STORE
    # Untouched by a writer, the file is read as it is, so that nothing is put beside it.
    busy = store.with_name(f"{store.name}-wal").exists()
    uri = f"{store.resolve().as_uri()}?mode=ro" + ("" if busy else "&immutable=1")
    with closing(sqlite3.connect(uri, uri=True)) as db:
        return db.execute(query).fetchall()


def experiment_about(path: PathLike) -> dict[str, str]:
    """Return the ``name`` of a result folder's experiment and its ``source``, its file's text.

    Empty where there are no results, or only tables.
    """
    try:
        return dict(read_store(path, "SELECT name, value FROM about"))
    except sqlite3.Error:
        return {}


def write_runs(runs: pd.DataFrame, path: PathLike) -> None:
    """Write runs for other programs, as CSV or Parquet by the name's ending.

    Raises
    ------
    InputError
        It cannot be written, or pyarrow is not installed.
    """
    if os.fspath(path).lower().endswith(".csv"):
        data = runs.to_csv(index=False, lineterminator="\n").encode()
    else:
        buffer = BytesIO()
        try:
            runs.to_parquet(buffer, index=False)
        except ImportError:
            raise InputError(_NEEDS_PYARROW) from None
        data = buffer.getvalue()
    with atomic_write(path) as out:
        out.write(data)
