"""From arguments to an exit code: every ending of the program passes here.

Exit codes: 0 done, 2 bad input, 3 infeasible (or a plan that breaks the rules), 4 a limit was
reached, 5 partly done, 130 interrupted, 141 the reader of the output went away, 70 a defect.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autoscale.errors import AutoscaleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyclopts import App

DONE, BAD_INPUT, INFEASIBLE, PARTLY_DONE = 0, 2, 3, 5
DEFECT, INTERRUPTED, BROKEN_PIPE = 70, 130, 141

_EXAMPLE = "plan example:montage --deadline 10m --types 'c7*,m7*' -o plan.json --gantt plan.png"


def build_app() -> App:
    """Return the command-line application."""
    from cyclopts import App

    from autoscale.cli import (
        commands,
        compare,
        experiment,
        fitting,
        listing,
        pareto,
        reporting,
        streaming,
    )
    from autoscale.version import __version__

    app = App(
        name="autoscale",
        help="Plan a workflow on rented cloud machines for a deadline or a budget, and say how "
        "far at most the plan is from the best possible one.",
        help_epilogue=f"Example: autoscale {_EXAMPLE}",
        help_format="plaintext",
        version=__version__,
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for command, example in (
        (commands.plan, _EXAMPLE),
        (pareto.pareto, "pareto example:montage --types 'c7*' --plot front.png"),
        (compare.compare, "compare example:montage --deadline 10m --planners lp,heft,ic-pcp"),
        (commands.check, "check example:montage plan.json"),
        (commands.simulate, "simulate example:montage plan.json --runs 1000 --noise 0.2"),
        (fitting.fit, "fit runtimes.csv -o chance.toml"),
        (streaming.stream, "stream cycle --policy lp,scs --seeds 3"),
        (experiment.experiment, "experiment study.toml -o results --resume"),
        (commands.explain, "explain example:montage plan.json"),
        (commands.diff, "diff example:montage plan.json other.json"),
        (reporting.report, "report results -o report.html --figures figures"),
        (listing.show, "show plan.json"),
        (listing.catalog, "catalog aws --types 'c7*'"),
        (listing.planners, "planners"),
        (streaming.policies, "policies"),
        (listing.generate, "generate montage --tasks 1000 -o montage.json"),
    ):
        app.command(command, help_epilogue=f"Example: autoscale {example}")
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised but in debugging.

    With the environment variable ``AUTOSCALE_DEBUG`` set, errors keep their tracebacks.
    """
    from cyclopts import CycloptsError

    if os.environ.get("AUTOSCALE_DEBUG"):
        return _run(arguments)
    try:
        return _run(arguments)
    except AutoscaleError as error:
        return _fail(str(error), error.exit_code)
    except CycloptsError as error:
        return _fail(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # What is still buffered for the closed pipe must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except MemoryError:
        return _fail("not enough memory for this workflow", DEFECT)
    except Exception as error:  # the last line of defence against tracebacks
        if isinstance(error.__cause__, KeyboardInterrupt):  # it hit compiled code
            return _fail("interrupted", INTERRUPTED)
        return _fail(
            f"unexpected {type(error).__name__}: {error} (this is a defect; run again with "
            "AUTOSCALE_DEBUG=1 for the traceback)",
            DEFECT,
        )


def _run(arguments: Sequence[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a letter gets a stand-in
            stream.reconfigure(errors="replace")
    with _warnings_as_notes():
        result = build_app()(list(sys.argv[1:] if arguments is None else arguments))
    sys.stdout.flush()
    return result if isinstance(result, int) else DONE


class _Notes(logging.Handler):
    """Shows what the libraries warn of as notes on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one note."""
        sys.stderr.write(f"note: {record.getMessage()}\n")


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    ours, notes = logging.getLogger("autoscale"), _Notes(logging.WARNING)
    ours.addHandler(notes)
    try:
        yield
    finally:
        ours.removeHandler(notes)


def _fail(message: str, code: int) -> int:
    text = " ".join(message.split())
    sys.stderr.write(f"error: {text}\n")
    return code
