"""What the commands print and write: results to standard output, all else to standard error."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from matplotlib.axes import Axes
    from rich.console import RenderableType

PICTURES = (".png", ".svg", ".pdf")
"""Kinds of pictures that can be drawn."""

PATIENCE_S = 0.7
"""Seconds after which a progress line appears on a terminal."""

LOG_AFTER_S = 1.0
"""Seconds after which news is logged where there is no terminal."""

LOG_LESS = 3.0
"""Each logged line waits until so many times the time of the one before: a log stays short."""


def emit(*parts: RenderableType) -> None:
    """Print tables and lines to standard output; tables keep their width outside a terminal."""
    from io import StringIO

    from rich.console import Console

    terminal = sys.stdout.isatty()
    text = StringIO()
    console = Console(
        file=text,
        force_terminal=terminal,
        width=None if terminal else 110,
        highlight=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part)
    lines = text.getvalue().splitlines()
    sys.stdout.write("\n".join(line.rstrip() for line in lines) + "\n")
    sys.stdout.flush()


def emit_json(facts: Any) -> None:
    """Print facts as one indented JSON value."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(facts), indent=2).decode()
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """Print a remark to standard error."""
    sys.stderr.write(f"note: {line}\n")


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show on standard error, if it takes long, what is going on.

    Yields a function that takes a line of news. On a terminal the latest is shown in one live
    line; elsewhere a few are logged.
    """
    if not sys.stderr.isatty():
        yield _seldom(text)
        return
    from rich.console import Console
    from rich.markup import escape

    status = Console(stderr=True).status(escape(text))
    timer = threading.Timer(PATIENCE_S, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda line: status.update(escape(f"{text}: {line}"))
    finally:
        timer.cancel()
        timer.join()
        status.stop()


def _seldom(text: str) -> Callable[[str], None]:
    """Return a function that logs news that comes after a second, then ever less of it."""
    began = time.monotonic()
    due_s = LOG_AFTER_S

    def tell(line: str) -> None:
        nonlocal due_s
        passed_s = time.monotonic() - began
        if passed_s >= due_s:
            due_s = LOG_LESS * passed_s
            sys.stderr.write(f"{text}: {line}\n")

    return tell


def check_writable(option: str, path: str | None, *, kinds: tuple[str, ...] = ()) -> None:
    """Refuse a path that could not be written later, before any work is done.

    Parameters
    ----------
    option
        The option that gave it, for messages.
    path
        The path, or None.
    kinds
        Allowed endings; any if empty.

    Raises
    ------
    InputError
        The ending is not allowed, the folder is missing or cannot be written, or the path is of
        something that cannot be replaced.
    """
    if path is None:
        return
    if not path.strip():
        raise InputError(f"{option}: expected a path, got {path!r}")
    if kinds and not path.lower().endswith(kinds):
        raise InputError(f"{option}: {path}: expected a name that ends in {' or '.join(kinds)}")
    target = Path(path)
    folder = path.endswith(("/", os.sep, ".parquet"))
    if target.is_dir() and (kinds or not folder):
        raise InputError(f"{option}: {path} is a folder; give a file name")
    if target.exists() and not target.is_file() and not target.is_dir():
        return  # a device or pipe
    parent = target.parent
    if not parent.is_dir():
        what = "is not a folder" if parent.exists() else "does not exist"
        raise InputError(f"{option}: {path} cannot be written: {parent} {what}")
    probe = parent / f".{uuid.uuid4().hex}.tmp"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise InputError(f"{option}: {path} cannot be written: {error.strerror}") from None


def run_steps(steps: Iterable[Callable[[], None]]) -> list[str]:
    """Write file after file; return what failed all the same, so that the rest is not lost."""
    failures = []
    for step in steps:
        try:
            step()
        except InputError as error:
            failures.append(str(error))
    return failures


def save_picture(axes: Axes, path: str) -> None:
    """Write the figure of the axes to a file, whole or not at all; the same plot, the same bytes.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from autoscale.formats.files import atomic_write

    kind = Path(path).suffix.lower().removeprefix(".")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    with mpl.rc_context({"svg.hashsalt": "autoscale"}), atomic_write(path) as out:
        figure.savefig(out, format=kind, metadata=undated)
