"""Records as files: a folder of Parquet tables, and a trace that Perfetto and Chrome open."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError
from autoscale.formats.files import atomic_write
from simulator.events import chrome_trace

if TYPE_CHECKING:
    import pandas as pd

    from simulator.records import SimulationResult

TABLES = ("runs", "tasks", "machines", "events")
"""Names of the tables that a folder of records may hold."""


def write_records(path: str, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables as Parquet files into a folder that appears when it is complete.

    Parameters
    ----------
    path
        The folder; one that holds nothing but such tables is replaced.
    tables
        By name, see :data:`TABLES`.

    Raises
    ------
    InputError
        It cannot be written, holds something else, or pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise InputError(
            "records as Parquet files need pyarrow; install it with: "
            "pip install 'autoscale[parquet]'"
        ) from None
    target, known = Path(path), {f"{name}.parquet" for name in TABLES}
    if target.exists() and (not target.is_dir() or set(os.listdir(target)) - known):
        raise InputError(
            f"{path}: cannot be written: it exists and is not a folder of records (one that holds "
            f"only {', '.join(sorted(known))})"
        )
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    aside = target.with_name(f".{uuid.uuid4().hex}.old")
    try:
        temporary.mkdir()
        for name, table in tables.items():
            table.to_parquet(temporary / f"{name}.parquet", compression="zstd", index=False)
        if target.exists():
            target.rename(aside)
        temporary.rename(target)
    except OSError as error:
        if aside.exists() and not target.exists():
            with suppress(OSError):
                aside.rename(target)
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        for leftover in (temporary, aside):
            shutil.rmtree(leftover, ignore_errors=True)


def run_tables(result: SimulationResult) -> dict[str, pd.DataFrame]:
    """Return the tables of one run: tasks, machines and, if recorded, events."""
    tables = {"tasks": result.to_frame(), "machines": result.leases_frame().reset_index()}
    if result.events is not None:
        tables["events"] = result.events.to_frame(result.problem)
    return tables


def write_trace(path: str, result: SimulationResult) -> None:
    """Write a run in the Trace Event Format (JSON), for Perfetto or Chrome.

    Raises
    ------
    InputError
        It cannot be written, or the run's events were not recorded.
    """
    if result.events is None:
        raise InputError("the run has no events: simulate it with events=True")
    with atomic_write(path) as out:
        out.write(b'{"displayTimeUnit":"ms","traceEvents":[\n')
        before = b""
        for event in chrome_trace(result):
            out.write(before + _line(event))
            before = b",\n"
        out.write(b"\n]}\n")


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()
