"""The named offline algorithms, one a module, all ``schedule(problem, *, rng) -> Plan``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from autoscale.errors import InputError
from autoscale.model.catalog import unknown

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

SCHEDULERS = {
    "list": "list scheduling with insertion against shared-out slack, cheapest placement first",
    "cheapest": "everything one after another on the one machine that does it for least money",
    "fastest": "every task as soon as its parents end, on the type where it ends first",
}
"""Name and one-line description of every scheduler; each is a module of this package."""


class Scheduler(Protocol):
    """Turn a problem into a plan; deterministic given ``rng``."""

    def __call__(self, problem: Problem, *, rng: np.random.Generator) -> Plan:
        """Return a plan for the problem, feasible or not."""
        ...


def get_scheduler(name: str) -> Scheduler:
    """Return a scheduler by name.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones.
    """
    if name not in SCHEDULERS:
        raise InputError(unknown("planner", name, list(SCHEDULERS)))
    module = import_module(f"autoscale.schedulers.{name}_scheduler")
    return cast("Scheduler", module.schedule)
