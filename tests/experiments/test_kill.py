"""Sessions that end by force: kill -9, Ctrl-C, a full disk. Nothing recorded is lost."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.experiments.killing import (
    COMMAND,
    ROOT,
    kill_at_random,
    recorded,
    sessions,
    start,
    unkilled,
)
from tests.experiments.small import write_file

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an experiment of 960 runs."""
    return write_file(tmp_path_factory.mktemp("experiment"), 6)


@pytest.fixture(scope="module")
def reference(file: Path) -> bytes:
    """Return its table, unkilled."""
    return unkilled(file, file.parent / "whole")


def test_killed_at_random_is_as_not_killed(file: Path, reference: bytes, tmp_path: Path) -> None:
    """The short form of ``benchmarks/experiments.py kill``."""
    tally = kill_at_random(file, tmp_path, reference, kills=5, seed=3, longest_s=1.0)
    assert tally.kills == 5
    assert (tally.lost, tally.repeated, tally.different) == (0, 0, 0)
    assert tally.recorded == 960 * tally.rounds


def wait_for_results(folder: Path) -> None:
    end = time.monotonic() + 400
    while time.monotonic() < end:
        if recorded(folder):
            return
        time.sleep(0.02)
    pytest.fail("nothing was recorded")


def test_ctrl_c_ends_cleanly_and_is_gone_on_with(tmp_path: Path) -> None:
    """Exit code 130, one line that says how to go on, no traceback, no worker left."""
    file = write_file(tmp_path, 50)  # seconds of runs, so that the signal comes before the end
    reference = unkilled(file, tmp_path / "whole")
    for attempt in range(4):  # on a busy machine it may come when all is done
        folder = tmp_path / str(attempt)
        session = start(file, folder)
        wait_for_results(folder)
        session.send_signal(signal.SIGINT)
        _, told = session.communicate(timeout=400)
        text = told.decode()
        if session.returncode:
            break
    assert session.returncode == 130, text
    assert "note: interrupted: go on with --resume" in text
    assert "Traceback" not in text
    assert (folder / "runs.parquet").is_file()
    session = start(file, folder)
    assert session.communicate(timeout=400)[0] is None
    assert session.returncode == 0
    assert (folder / "runs.parquet").read_bytes() == reference
    assert sessions(folder) == (8, 8_000)


def limited(bytes_most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_most, bytes_most))


def test_a_disk_without_room_ends_cleanly_and_is_gone_on_with(
    file: Path, reference: bytes, tmp_path: Path
) -> None:
    """No file may grow beyond 100 kB: exit code 5, a message, and with room the same bytes."""
    folder = tmp_path / "out"
    arguments = ["experiment", str(file), "-o", str(folder), "--resume", "--workers", "1"]
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        preexec_fn=lambda: limited(100_000),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 5, done.stderr
    assert "results cannot be written: " in done.stderr
    assert "make room and go on with --resume" in done.stderr
    assert "Traceback" not in done.stderr
    session = start(file, folder)
    session.communicate(timeout=400)
    assert session.returncode == 0
    assert (folder / "runs.parquet").read_bytes() == reference
    with closing(sqlite3.connect(folder / "results.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
