"""The command line: plan, check, simulate, explain, diff, show, catalog, generate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see :mod:`autoscale.cli.entry`."""
    from autoscale.cli.entry import run

    return run(arguments)
