"""What an experiment is: grids of workflows and planners, or of scenarios and policies, by name.

A :class:`Grid` says which names are combined with which; an :class:`Experiment` has the grids and
what the names stand for. :func:`read_experiment` reads both from a TOML file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

from autoscale.errors import InputError
from autoscale.optimize.planner import require_planner
from autoscale.units import parse_duration, parse_money, parse_share

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from autoscale.model.workflow import Workflow
    from simulator.chance import Chance
    from simulator.streaming.running import Maker
    from simulator.streaming.scenario import Scenario

Texts: TypeAlias = "str | Sequence[str]"
Figures: TypeAlias = "str | float | Sequence[str | float]"

NONE = "none"
"""Name of the chance in which nothing goes otherwise than planned."""

OWN = "own"
"""Name of the chance that a scenario states itself."""

WORKFLOW_AXES = (
    "catalogs", "billing", "deadline_factors", "deadlines", "budgets", "planners",
)  # fmt: skip
"""Axes of a grid of workflows; scenarios state such things themselves."""

MOST_SEED = 2**63
"""Seeds and replications are below this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What plans are for.

    Parameters
    ----------
    deadline_factor
        ``f`` of ``deadline = boot + f * critical path on the fastest types``, or None.
    deadline_s
        The deadline in seconds, where it is given so, or None.
    budget_usd
        The budget, or None.
    """

    deadline_factor: float | None = None
    deadline_s: float | None = None
    budget_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Names that are combined, each with each; a single one may stand for a list of one.

    A grid is either of workflows, which planners plan, or of scenarios, whose streams of workflows
    online policies run.

    Parameters
    ----------
    workflows
        Defined names, paths, patterns of paths such as ``traces/*.json``, or ``example:NAME``.
    catalogs
        Defined names, shipped catalogues, or paths of CSV files.
    billing
        ``second``, ``hour``, or ``QUANTUM,MINIMUM`` such as ``1m,10m``.
    deadline_factors, deadlines
        Deadlines, relative (see :class:`Goal`) and absolute, in seconds or as text; together they
        are one list. The workflow's own deadline, if it has one, counts where there is none.
    budgets
        US dollars, or text; each with each deadline.
    planners
        Defined names, or names of planners.
    scenarios
        Defined names, shipped ones, or paths of TOML files.
    policies
        Defined names, or names of policies; with scenarios.
    chances
        Defined names, shipped ones, paths of TOML files, or ``none``, which they are if not given;
        with scenarios also ``own``, which they are then.
    seeds
        Which luck, and for scenarios which stream; a number ``n`` stands for 0 to n - 1.
    replications
        Runs for each seed.

    Raises
    ------
    InputError
        Neither workflows nor scenarios or both, an axis that does not belong to them, an empty
        list, a name twice, a figure out of range; the field is named.

    Examples
    --------
    >>> grid = Grid(workflows="example:montage", deadline_factors=(1.2, 2), seeds=3)
    >>> grid.seeds, len(grid.goals)
    (range(0, 3), 2)
    """

    workflows: Texts = ()
    catalogs: Texts = ("aws",)
    billing: Texts = ("second",)
    deadline_factors: Figures = ()
    deadlines: Figures = ()
    budgets: Figures = ()
    planners: Texts = ("lp",)
    scenarios: Texts = ()
    policies: Texts = ()
    chances: Texts = ()
    seeds: int | Sequence[int] = (0,)
    replications: int = 1

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        self._check_kind()
        for name in ("workflows", "scenarios", "policies", "chances"):
            if getattr(self, name) != ():
                put(name, _texts(name, getattr(self, name)))
        if self.chances == ():
            put("chances", (OWN,) if self.scenarios else (NONE,))
        for name in ("catalogs", "billing", "planners"):
            put(name, _texts(name, getattr(self, name)))
        put("deadline_factors", _figures("deadline_factors", self.deadline_factors, _factor))
        put("deadlines", _figures("deadlines", self.deadlines, parse_duration))
        put("budgets", _figures("budgets", self.budgets, parse_money))
        put("seeds", _seeds(self.seeds))
        _check_whole("replications", self.replications, least=1)

    def _check_kind(self) -> None:
        """Refuse a grid of neither or both kinds, and axes of the other kind."""
        if (self.workflows == ()) == (self.scenarios == ()):
            raise InputError("expected either workflows or scenarios")
        if self.scenarios == ():
            if self.policies != ():
                raise InputError("policies: go with scenarios; workflows have planners")
            return
        if self.policies == ():
            raise InputError("policies: expected at least one name, got none")
        defaults = {f.name: f.default for f in fields(self)}
        for name in WORKFLOW_AXES:
            if getattr(self, name) != defaults[name]:
                raise InputError(f"{name}: go with workflows; a scenario states its own")

    @property
    def goals(self) -> tuple[Goal, ...]:
        """Every deadline with every budget."""
        deadlines = [{"deadline_factor": f} for f in _listed(self.deadline_factors)]
        deadlines += [{"deadline_s": s} for s in _listed(self.deadlines)]
        budgets = [{"budget_usd": usd} for usd in _listed(self.budgets)]
        return tuple(Goal(**d, **b) for d, b in product(deadlines or [{}], budgets or [{}]))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowFile:
    """A workflow that is read from a file.

    Parameters
    ----------
    path
        As :func:`autoscale.api.read_workflow` takes it; relative to the experiment's folder.
    default_runtime
        Runtime of tasks that state none, or None.
    """

    path: str
    default_runtime: str | float | None = None

    def __post_init__(self) -> None:
        _texts("path", self.path)
        if self.default_runtime is not None:
            _figures("default_runtime", self.default_runtime, parse_duration)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What may be leased and under which rules; see :func:`autoscale.api.make_problem`.

    Parameters
    ----------
    catalog
        Name of a shipped catalogue, or the path of a CSV file.
    region, types, purchase, boot, transfers, storage_bandwidth, quotas, allowed
        As :func:`autoscale.api.make_problem` takes them.
    """

    catalog: str
    region: str | None = None
    types: Texts | None = None
    purchase: str = "on-demand"
    boot: str | float = 90.0
    transfers: bool = True
    storage_bandwidth: str | float | None = None
    quotas: Sequence[str] = ()
    allowed: Sequence[str] = ()

    def __post_init__(self) -> None:
        _texts("catalog", self.catalog)
        if not isinstance(self.transfers, bool):
            raise InputError(f"transfers: expected true or false, got {self.transfers!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """A planner and how it is asked.

    Parameters
    ----------
    planner
        A name from :data:`autoscale.optimize.planner.PLANNERS`.
    seed
        Seed of its randomness, >= 0; not the seed of luck.
    time_limit
        Seconds, or text, after which it begins nothing further.
    gap
        Gap to the bound at which planners ``lp`` and ``exact`` stop, a share or text.
    """

    planner: str
    seed: int = 0
    time_limit: str | float = 20.0
    gap: str | float = 0.01

    def __post_init__(self) -> None:
        _texts("planner", self.planner)
        require_planner(self.planner)
        _check_whole("seed", self.seed, least=0)
        limit_s = _figures("time_limit", self.time_limit, parse_duration)[0]
        if not limit_s > 0:
            raise InputError(f"time_limit: expected more than 0 seconds, got {self.time_limit!r}")
        gap = _figures("gap", self.gap, lambda text: parse_share("gap", text))[0]
        object.__setattr__(self, "time_limit", limit_s)
        object.__setattr__(self, "gap", gap)


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """Grids, and what their names stand for.

    Parameters
    ----------
    name
        What the experiment is called.
    grids
        One or several; their runs follow one another.
    workflows, catalogs, planners, chances, scenarios
        What names stand for; names that are not defined mean what they mean elsewhere.
    policies
        Functions that make a policy of one's own, by name; with several workers they must be
        such that can be pickled. Results know a policy by its name alone: after changing what it
        does, give another folder or name.
    early
        Start tasks before their planned start where all else allows it; see
        :func:`simulator.simulate`.
    folder
        Where relative paths begin.
    source
        The text of its file, which its results keep for their report.

    Raises
    ------
    InputError
        No grid.

    Examples
    --------
    >>> grid = Grid(workflows="example:montage", planners=("heft", "quick"), deadline_factors=1.5)
    >>> Experiment(
    ...     name="quick", grids=grid, planners={"quick": Planner(planner="lp", time_limit="5s")}
    ... ).name
    'quick'
    """

    name: str
    grids: Grid | Sequence[Grid]
    workflows: Mapping[str, Workflow | WorkflowFile] = field(default_factory=dict)
    catalogs: Mapping[str, Offer] = field(default_factory=dict)
    planners: Mapping[str, Planner] = field(default_factory=dict)
    chances: Mapping[str, Chance] = field(default_factory=dict)
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    policies: Mapping[str, Maker] = field(default_factory=dict)
    early: bool = False
    folder: str | Path = "."
    source: str = ""

    def __post_init__(self) -> None:
        grids = (self.grids,) if isinstance(self.grids, Grid) else tuple(self.grids)
        object.__setattr__(self, "grids", grids)
        if not grids:
            raise InputError("experiment: expected at least one grid, got none")
        if not isinstance(self.early, bool):
            raise InputError(f"early: expected true or false, got {self.early!r}")
        if NONE in self.chances:
            raise InputError(f"chances: {NONE!r} is the chance in which all is as planned")
        if OWN in self.chances:
            raise InputError(f"chances: {OWN!r} is the chance that a scenario states")


def field_names(kind: type[Any]) -> tuple[str, ...]:
    """Return the fields of a dataclass."""
    return tuple(f.name for f in fields(kind))


def _listed(value: Any) -> tuple[float, ...]:
    """Return a normalised list of figures as what it is."""
    return tuple(value)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or not all(isinstance(t, str) and t.strip() for t in texts):
        raise InputError(f"{name}: expected a name or a list of names, got {value!r}")
    if not texts:
        raise InputError(f"{name}: expected at least one name, got an empty list")
    _refuse_twice(name, texts)
    return tuple(texts)


def _figures(name: str, value: Any, parse: Callable[[str], float]) -> tuple[float, ...]:
    given = (value,) if isinstance(value, (str, int, float)) else value
    if not isinstance(given, Sequence):
        raise InputError(f"{name}: expected a number, a text or a list of them, got {value!r}")
    figures = []
    for entry in given:
        if isinstance(entry, bool) or not isinstance(entry, (str, int, float)):
            raise InputError(f"{name}: expected a number or a text, got {entry!r}")
        try:
            figure = parse(entry if isinstance(entry, str) else repr(float(entry)))
        except InputError as error:
            raise InputError(f"{name}: {str(error).partition(': ')[2]}") from None
        figures.append(figure)
    _refuse_twice(name, figures)
    return tuple(figures)


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"factor: expected a finite number > 0, got {text!r}")
    return value


def _seeds(value: Any) -> Sequence[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        _check_whole("seeds", value, least=1)
        return range(value)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise InputError(f"seeds: expected how many, or a list of whole numbers, got {value!r}")
    if isinstance(value, range):
        seeds: Sequence[int] = value
        _check_whole("seeds", min(seeds), least=0)
        _check_whole("seeds", max(seeds), least=0)
        return seeds
    for seed in value:
        _check_whole("seeds", seed, least=0)
    _refuse_twice("seeds", value)
    return tuple(value)


def _check_whole(name: str, value: Any, *, least: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value < MOST_SEED:
        raise InputError(f"{name}: expected a whole number >= {least}, got {value!r}")


def _refuse_twice(name: str, values: Sequence[Any]) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise InputError(f"{name}: {value!r} is given twice")
        seen.add(value)
