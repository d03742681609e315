"""The program as a process: help, version, pipes, interruption, defects."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from autoscale.version import __version__
from tests.cli.conftest import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Outcome]

COMMAND = (sys.executable, "-m", "autoscale")
GOAL = ("example:1000genome", "--deadline", "8m", "--types", "c7i*,m7i*,c6i*")


def test_help_names_every_command() -> None:
    """Help goes to standard output, with an example, and succeeds; no argument means help."""
    for arguments in (["--help"], []):
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        for word in ("plan", "check", "simulate", "show", "catalog", "generate", "Example"):
            assert word in done.stdout
        assert done.stderr == ""


def test_version() -> None:
    """The version printed is that of the package."""
    done = subprocess.run(
        [*COMMAND, "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == __version__


def test_exit_codes_reach_the_shell() -> None:
    """Bad input ends the process with 2, and without a traceback."""
    done = subprocess.run(
        [*COMMAND, "plan", "nothing.json"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: nothing.json: no such file")


def test_a_closed_pipe_is_no_error() -> None:
    """When the reader goes away, the program ends without a word."""
    with subprocess.Popen(
        [*COMMAND, "catalog", "aws"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        code = process.wait(timeout=60)
        errors = process.stderr.read().decode()
    assert code == 141
    assert [line for line in errors.splitlines() if not line.startswith("note: ")] == []


SIGNALLED = """
import signal, sys
# A shell may start its background jobs with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import autoscale.cli.output as output
from autoscale.cli import main
output.LOG_AFTER_S = output.LOG_LESS = 0.0  # every piece of news
sys.exit(main(sys.argv[1:]))
"""


def interrupt(arguments: tuple[object, ...], after: Callable[[list[str]], bool]) -> Outcome:
    """Run a command and send it a SIGINT as soon as what it has logged fulfils a condition."""
    command = [sys.executable, "-c", SIGNALLED, *(str(a) for a in arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: list[str] = []
        while not after(lines):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    return Outcome(process.returncode, out, "".join(lines) + err)


def test_an_interrupted_planner_lp_keeps_its_best_plan(tmp_path: Path, run: Run) -> None:
    """Ctrl-C during the search: the best plan so far is reported and written, exit code 130."""
    path = tmp_path / "plan.json"
    outcome = interrupt(
        ("plan", *GOAL, "--time-limit", "30", "--gap", "0", "-o", path),
        # The second piece of news comes out of the search, the first before it.
        lambda lines: sum(line.startswith("planning ") for line in lines) >= 2,
    )
    assert outcome.code == 130, outcome
    last = outcome.err.splitlines()[-1]
    assert "interrupted" in last
    assert "best so far" in last
    assert "Traceback" not in outcome.err
    assert "certificate" in outcome.out
    assert run("check", GOAL[0], path).code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_an_interrupt_before_any_plan_leaves_no_file(tmp_path: Path) -> None:
    """Ctrl-C before the first plan: one line, exit code 130, nothing written."""
    outcome = interrupt(
        ("plan", *GOAL, "--time-limit", "600", "-o", tmp_path / "plan.json"),
        lambda lines: any(line.startswith("note: region") for line in lines),
    )
    assert outcome.code == 130, outcome
    assert outcome.err.splitlines()[1:] == ["error: interrupted"]
    assert outcome.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["plan", "show"])
def test_an_interrupt_while_reading_is_one_line(tmp_path: Path, command: str) -> None:
    """Ctrl-C while a file is being read: one line and exit code 130."""
    pipe = tmp_path / "wf.json"
    os.mkfifo(pipe)

    with ExitStack() as held:

        def begun(lines: list[str]) -> bool:
            held.enter_context(pipe.open("w"))  # waits until the program has opened the pipe
            return True

        outcome = interrupt((command, pipe), begun)
    assert outcome == Outcome(130, "", "error: interrupted\n")


def test_letters_that_the_terminal_lacks_are_replaced() -> None:
    """An ASCII-only terminal gets stand-ins, not an error."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*COMMAND, "catalog"],
        capture_output=True,
        check=True,
        env=environment,
        timeout=60,
    )
    assert b"aws" in done.stdout


def test_a_defect_is_one_line(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is named in one line that says how to see more; debugging raises it."""

    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("so much\nfor that")

    monkeypatch.setattr("autoscale.optimize.planner.solve", broken)
    monkeypatch.delenv("AUTOSCALE_DEBUG", raising=False)
    outcome = run("plan", "example:sipht")
    assert outcome.code == 70
    last = outcome.err.splitlines()[-1]
    assert last.startswith("error: unexpected ZeroDivisionError: so much for that")
    assert "AUTOSCALE_DEBUG=1" in last
    monkeypatch.setenv("AUTOSCALE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("plan", "example:sipht")
