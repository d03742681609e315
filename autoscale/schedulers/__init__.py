"""The named offline algorithms, one a module, all ``schedule(problem, *, rng, time_limit_s)``.

A module ``NAME_scheduler`` of this package is a scheduler: it has the function ``schedule`` and
the constant ``ABOUT`` (:class:`~autoscale.schedulers.about.About`). A dash in a scheduler's name
is an underscore in its module's. Nothing else needs to know of a new one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, cast

from autoscale.modules import Registry

if TYPE_CHECKING:
    import numpy as np

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan
    from autoscale.schedulers.about import About

_REGISTRY = Registry(__name__, tuple(__path__), "_scheduler", "planner")

SCHEDULERS = _REGISTRY.names
"""Name of every scheduler; the modules are not imported for it."""


class Scheduler(Protocol):
    """Turn a problem into a plan; deterministic given ``rng`` unless the time limit strikes."""

    def __call__(
        self, problem: Problem, *, rng: np.random.Generator, time_limit_s: float = math.inf
    ) -> Plan:
        """Return a plan for the problem, feasible or not."""
        ...


def get_scheduler(name: str) -> Scheduler:
    """Return a scheduler by name.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones.
    """
    return cast("Scheduler", _REGISTRY.module(name).schedule)


def about_scheduler(name: str) -> About:
    """Return what a scheduler says of itself.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones.
    """
    return cast("About", _REGISTRY.module(name).ABOUT)
