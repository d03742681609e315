"""The families of generated workflows, by name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.workloads.biology import epigenomics, genome1000, sipht
from autoscale.workloads.montage import montage
from autoscale.workloads.physics import cybershake, inspiral
from autoscale.workloads.synthetic import chain, fork_join, layered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autoscale.model.workflow import Workflow

MOST_TASKS = 10_000_000
"""More tasks than this are refused: they would not fit in the memory of common machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of workflows.

    Parameters
    ----------
    name
        What :func:`generate` knows it by.
    summary
        One line for people.
    smallest
        Least number of tasks; smaller requests give this many.
    make
        The generator: ``make(n_tasks, rng, **options)``.
    options
        Names of the options it takes.
    """

    name: str
    summary: str
    smallest: int
    make: Callable[..., Workflow]
    options: tuple[str, ...] = ()


_PLAIN = ("runtime_mean_s", "runtime_cv", "file_mean_bytes")

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family(
                name="montage",
                summary="mosaics of the sky: wide levels of short tasks between lone large ones",
                smallest=11,
                make=montage,
            ),
            Family(
                name="cybershake",
                summary="earthquake hazard: few extractions of huge files feed many seismograms",
                smallest=5,
                make=cybershake,
            ),
            Family(
                name="epigenomics",
                summary="DNA methylation: parallel chains, nearly all time in one long step",
                smallest=8,
                make=epigenomics,
            ),
            Family(
                name="inspiral",
                summary="LIGO gravitational waves: two wide passes of long tasks, joined in groups",
                smallest=6,
                make=inspiral,
            ),
            Family(
                name="sipht",
                summary="search for small RNAs: independent groups of two hour-long and many short",
                smallest=13,
                make=sipht,
            ),
            Family(
                name="1000genome",
                summary="overlap of mutations: per chromosome a merge, then 14 tasks on its result",
                smallest=17,
                make=genome1000,
            ),
            Family(
                name="random",
                summary="random layers: every task has parents in the level before",
                smallest=1,
                make=layered,
                options=("levels", "width_cv", "fan_in", *_PLAIN),
            ),
            Family(
                name="fork-join",
                summary="stages of parallel tasks, all joined before the next stage",
                smallest=3,
                make=fork_join,
                options=("stages", *_PLAIN),
            ),
            Family(
                name="chain",
                summary="one task after another",
                smallest=1,
                make=chain,
                options=_PLAIN,
            ),
        )
    }
)
"""Every family by name."""


def generate(
    family: str, n_tasks: int, *, seed: int | np.random.Generator = 0, **options: Any
) -> Workflow:
    """Return a generated workflow of about ``n_tasks`` tasks.

    The workflow has exactly ``n_tasks`` tasks where the family's structure has such a size,
    otherwise the nearest size that it has (the smaller of two); the family's generator says
    which. Same family, size, options and seed give the same workflow.

    Parameters
    ----------
    family
        A name of ``FAMILIES``.
    n_tasks
        Number of tasks, 1 to 10,000,000.
    seed
        A whole number >= 0, or a generator, which is advanced.
    **options
        What the family takes, see its ``options`` and its generator.

    Raises
    ------
    InputError
        Unknown family or option, or a value outside its range.

    Examples
    --------
    >>> generate("fork-join", 8, seed=1, stages=2, runtime_cv=0)
    Workflow('fork-join-8': 8 tasks, 10 edges, 5 levels, 480 s of work)
    """
    known = FAMILIES.get(family)
    if known is None:
        raise InputError(
            f"unknown workflow family {family!r}{_meant(family, tuple(FAMILIES))}; "
            f"there are {', '.join(FAMILIES)}"
        )
    whole = isinstance(n_tasks, (int, np.integer)) and not isinstance(n_tasks, bool)
    if not whole or not 1 <= n_tasks <= MOST_TASKS:
        raise InputError(
            f"number of tasks: expected a whole number from 1 to {MOST_TASKS:,}, got {n_tasks!r}"
        )
    for option in options:
        if option not in known.options:
            takes = ", ".join(known.options) or "none"
            raise InputError(
                f"workflow family {family!r} has no option {option!r}"
                f"{_meant(option, known.options)}; its options: {takes}"
            )
    return known.make(int(n_tasks), _generator(seed), **options)


def _generator(seed: int | np.random.Generator) -> np.random.Generator:
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise InputError(f"seed: expected a whole number >= 0, got {seed!r}") from None


def _meant(given: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(given).lower(), names, n=1)
    return f", did you mean {near[0]!r}?" if near else ""
