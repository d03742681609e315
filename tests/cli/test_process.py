"""The program as a process: help, version, pipes, interruption, defects."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from autoscale.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

COMMAND = (sys.executable, "-m", "autoscale")


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


def test_an_interrupt_ends_with_130() -> None:
    """Ctrl-C gives one line and exit code 130."""
    code = (
        "import os, signal, sys\n"
        "import autoscale.optimize.planner as planner\n"
        "planner.solve = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "from autoscale.cli import main\n"
        "sys.exit(main(['plan', 'example:sipht']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "error: interrupted"
    assert signal.getsignal(signal.SIGINT) is not None


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
