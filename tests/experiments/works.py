"""Work for workers: some of it kills them."""

from __future__ import annotations

import os
from pathlib import Path

DEADLY = 13
"""The number that no worker survives."""


def square_all(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Square numbers; one of them ends the process."""
    if DEADLY in numbers:
        os._exit(1)
    if -1 in numbers:
        raise ValueError("negative")
    return tuple(number * number for number in numbers)


def die_once(mark: str) -> str:
    """End the process the first time; afterwards the mark is there."""
    path = Path(mark)
    if not path.exists():
        path.write_text("was here")
        os._exit(1)
    return path.read_text()


def parent(_: int) -> int:
    """Return the worker's own number."""
    return os.getpid()
