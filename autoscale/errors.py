"""The errors that users can meet; each carries the exit code of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class AutoscaleError(Exception):
    """Base of all errors that this project raises on purpose."""

    exit_code = 2


class InputError(AutoscaleError):
    """Something the user gave is wrong; the message says where and what was expected."""


class InfeasibleError(AutoscaleError):
    """No plan can meet the goal.

    Parameters
    ----------
    message
        What is impossible, why, and the nearest goal that is possible.
    least_makespan_s
        A certified lower bound on the makespan of any plan, in seconds, where known.
    least_cost_usd
        A certified lower bound on the cost of any plan, in USD, where known.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        least_makespan_s: float | None = None,
        least_cost_usd: float | None = None,
    ) -> None:
        super().__init__(message)
        self.least_makespan_s = least_makespan_s
        self.least_cost_usd = least_cost_usd


class LimitError(AutoscaleError):
    """A limit of time or size was reached before any plan was found."""

    exit_code = 4


class SolverError(AutoscaleError):
    """A solver failed in a way that left nothing usable."""

    exit_code = 4


def require_interrupt(error: BaseException) -> None:
    """Raise an error again unless it is an interrupt, or wraps one.

    Compiled code that an interrupt hits answers with a SystemError whose cause is the interrupt.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return
        cause = cause.__cause__
    raise error


def unknown(what: str, given: str, known: Sequence[str]) -> str:
    """Return a message about an unknown name, with the nearest known ones."""
    import difflib

    near = difflib.get_close_matches(given, known, n=3, cutoff=0.5)
    if near:
        return f"unknown {what} {given!r}; did you mean {' or '.join(map(repr, near))}?"
    listed = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    return f"unknown {what} {given!r}; known are {listed}"
