"""The command line: plan, pareto, check, simulate, experiment, fit, explain, diff, show, ..."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see :mod:`autoscale.cli.entry`."""
    try:
        from autoscale.cli.entry import run

        return run(arguments)
    except KeyboardInterrupt:  # even while the program is still being loaded
        sys.stderr.write("error: interrupted\n")
        return 130
