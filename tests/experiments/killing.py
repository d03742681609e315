"""Kill experiments at random moments and see that nothing recorded is lost or run again."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

Recorded: TypeAlias = "dict[tuple[object, ...], tuple[object, ...]]"

COMMAND = (sys.executable, "-c", "from autoscale.cli import main; raise SystemExit(main())")
"""The command line in a process of its own."""

ROOT = Path(__file__).parents[2]


@dataclass
class Tally:
    """What happened over all rounds."""

    drivers: int = 0
    workers: int = 0
    rounds: int = 0
    recorded: int = 0
    lost: int = 0
    repeated: int = 0
    different: int = 0
    stages: dict[str, int] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        """Drivers and workers killed."""
        return self.drivers + self.workers


def start(file: Path, folder: Path, engine: str = "local") -> subprocess.Popen[bytes]:
    """Begin a session, or go on with the one before."""
    arguments = ("experiment", file, "-o", folder, "--resume", "--workers", "2")
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--engine", engine],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """Let Ctrl-C through where the tests themselves run in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(session: subprocess.Popen[bytes]) -> None:
    """Wait for a session that nobody kills."""
    _, told = session.communicate(timeout=600)
    assert session.returncode == 0, told.decode()


def unkilled(file: Path, folder: Path) -> bytes:
    """Return the table of an experiment that runs in one go."""
    finish(start(file, folder))
    return (folder / "runs.parquet").read_bytes()


def recorded(folder: Path) -> Recorded | None:
    """Return every recorded run and plan by its key; None where that cannot be read just now.

    Nothing is written: what a killed program leaves behind is for the next one to repair.
    """
    path = folder / "results.sqlite"
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = {row[:3]: row[3:] for row in db.execute("SELECT * FROM runs")}
            plans = {("plan", row[0]): row[1:] for row in db.execute("SELECT * FROM plans")}
    except sqlite3.OperationalError:
        return None
    return {**rows, **plans}


def sessions(folder: Path) -> tuple[int, int]:
    """Return how many plans and runs all sessions have recorded, by their own count."""
    with closing(sqlite3.connect(folder / "results.sqlite")) as db:
        row = db.execute("SELECT sum(plans), sum(runs) FROM sessions").fetchone()
    return int(row[0]), int(row[1])


def children(parent: int) -> list[int]:
    """Return the numbers of a process's children."""
    try:
        told = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except OSError:
        return []
    return [int(number) for number in told.split()]


def grandchildren(parent: int) -> list[int]:
    """Return the workers of a session: its children that run Python, and theirs."""
    found = []
    for child in children(parent):
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if b"resource_tracker" not in command:
            found += [child, *grandchildren(child)]
    return found


def kill_at_random(
    file: Path, folder: Path, reference: bytes, kills: int, *, seed: int = 0,
    engine: str = "local", longest_s: float = 8.0, tell: object = None,
) -> Tally:  # fmt: skip
    """Kill drivers and workers at random moments until there were enough kills.

    Parameters
    ----------
    file
        The experiment.
    folder
        Where results go, one folder a round.
    reference
        Its table, unkilled.
    kills
        How many.
    seed
        Of the moments.
    engine
        As on the command line.
    longest_s
        Seconds by which a kill comes at most later than what it waits for: the session's start,
        its first workers, or the first result that it records.
    tell
        Called with the tally now and then; None for nothing.
    """
    rng, tally = random.Random(seed), Tally()
    while tally.kills < kills:
        tally.rounds += 1
        where = folder / str(tally.rounds)
        known: Recorded = {}
        while not _session(file, where, tally, known, kills, rng, engine, longest_s):
            if callable(tell):
                tell(tally)
        tally.different += (where / "runs.parquet").read_bytes() != reference
        found = recorded(where) or {}
        _compare(known, found, tally)
        runs = sum(key[0] != "plan" for key in found)
        tally.recorded += runs
        plans_told, runs_told = sessions(where)
        tally.repeated += abs(runs_told - runs) + abs(plans_told - (len(found) - runs))
    return tally


def _compare(known: Recorded, found: Recorded, tally: Tally) -> None:
    """Count what was recorded before and is not as it was."""
    tally.lost += sum(found.get(key) != row for key, row in known.items())
    known.update(found)


def _session(
    file: Path, folder: Path, tally: Tally, known: Recorded, kills: int, rng: random.Random,
    engine: str, longest_s: float,
) -> bool:  # fmt: skip
    """Run one session, killing workers and perhaps itself; return whether it came to its end."""
    session = start(file, folder, engine)
    while tally.kills < kills and _at_random(session, folder, known, rng, longest_s):
        workers = grandchildren(session.pid)
        found = recorded(folder)
        if found is not None:
            _compare(known, found, tally)
        stage = _stage(known)
        tally.stages[stage] = tally.stages.get(stage, 0) + 1
        if workers and rng.random() < 0.5:
            tally.workers += 1
            _kill(rng.choice(workers))
        else:
            tally.drivers += 1
            session.kill()
            session.communicate()
            return False
    finish(session)
    return True


def _stage(known: Recorded) -> str:
    if not known:
        return "nothing recorded"
    return "runs" if any(key[0] != "plan" for key in known) else "plans"


def _at_random(
    session: subprocess.Popen[bytes], folder: Path, known: Recorded, rng: random.Random,
    longest_s: float,
) -> bool:  # fmt: skip
    """Wait for a random moment; return whether the session is still running then."""
    awaited = rng.choice(("start", "workers", "results"))
    while awaited != "start" and session.poll() is None:
        if awaited == "workers" and grandchildren(session.pid):
            break
        if awaited == "results" and len(recorded(folder) or ()) > len(known):
            break
        time.sleep(0.1)
    return _alive_after(session, rng.uniform(0, longest_s))


def _alive_after(session: subprocess.Popen[bytes], seconds: float) -> bool:
    """Return whether a session is still running after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if session.poll() is not None:
            return False
        time.sleep(min(0.02, max(0.0, end - time.monotonic())))
    return session.poll() is None


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
