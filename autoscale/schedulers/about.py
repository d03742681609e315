"""What a scheduler says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Goal: TypeAlias = Literal["deadline", "budget", "pareto", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a scheduler is for and where it comes from; the constant ``ABOUT`` of its module.

    Parameters
    ----------
    goal
        ``deadline``: meets a deadline at low cost, and takes no budget into account. ``budget``:
        keeps to a budget and is quick. ``pareto``: looks at both, whichever is given.
        ``none``: heeds neither.
    summary
        One line for lists, without a full stop.
    source
        The publication: authors, venue, year; empty for what is our own.
    reconstruction
        What the publication leaves open or was not at hand, and is filled in; empty if nothing.
    """

    goal: Goal
    summary: str
    source: str = ""
    reconstruction: str = ""
