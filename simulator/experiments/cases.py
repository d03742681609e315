"""From an experiment's names to problems, planners and luck: everything read and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from autoscale.api import EXAMPLE, make_problem, read_workflow
from autoscale.errors import InputError
from autoscale.formats.catalog_csv import load_catalog, shipped_catalogs
from autoscale.model.catalog import unknown
from autoscale.model.workflow import Workflow
from autoscale.optimize.planner import PLANNERS
from autoscale.units import parse_duration
from autoscale.version import __version__
from simulator.chance import Chance, read_chance, shipped_chances
from simulator.experiments.digests import digest
from simulator.experiments.spec import NONE, Experiment, Goal, Grid, Offer, Planner, WorkflowFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from autoscale.model.problem import Problem

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A problem and who plans it.

    Parameters
    ----------
    key, problem_key
        Digests of the whole, and of the problem alone.
    workflow, catalog, billing, planner
        What the experiment calls them.
    goal
        What it asks for.
    problem
        The problem.
    setting
        The planner and how it is asked.
    """

    key: str
    problem_key: str
    workflow: str
    catalog: str
    billing: str
    planner: str
    goal: Goal
    problem: Problem
    setting: Planner


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """Runs that differ in their luck alone: seeds times replications of a case under a chance.

    Parameters
    ----------
    key
        Digest of what all its runs have in common.
    case, chance, luck
        The case, the chance's name, and the chance.
    seeds, replications
        Run ``i`` of the cell has seed ``seeds[i // replications]``, replication
        ``i % replications``.
    first
        Number of its first run in the experiment.
    early
        Whether tasks start before their planned start where they can.
    """

    key: str
    case: Case
    chance: str
    luck: Chance
    seeds: Sequence[int]
    replications: int
    first: int
    early: bool

    def __len__(self) -> int:
        return len(self.seeds) * self.replications


@dataclass(frozen=True, kw_only=True, eq=False)
class Cases:
    """Everything that an experiment asks for.

    Parameters
    ----------
    name
        What the experiment is called.
    plans
        The cases, each once, in order.
    cells
        The cells, in order.
    """

    name: str
    plans: tuple[Case, ...]
    cells: tuple[Cell, ...]

    @property
    def n_runs(self) -> int:
        """How many runs there are."""
        return sum(len(cell) for cell in self.cells)

    @property
    def key(self) -> str:
        """Digest of all runs."""
        return digest([(c.key, list(c.seeds), c.replications) for c in self.cells])


def count_runs(experiment: Experiment) -> int:
    """Return how many runs an experiment has; of workflows only the names are looked at."""
    total = 0
    for grid in _grids(experiment):
        axes = (
            _workflow_names(experiment, grid), grid.catalogs, grid.billing, grid.goals,
            grid.planners, grid.chances, _seeds(grid),
        )  # fmt: skip
        total += math.prod(len(axis) for axis in axes) * grid.replications
    return total


def resolve(experiment: Experiment) -> Cases:
    """Read and check everything that an experiment names.

    Raises
    ------
    InputError
        An unknown name, an unreadable file, a task that fits no type of a catalogue, the same
        run twice; the entry is named.
    """
    lookup = _Lookup(experiment)
    plans: dict[str, Case] = {}
    cells: dict[str, Cell] = {}
    first = 0
    for grid in _grids(experiment):
        for case in _cases(grid, lookup):
            case = plans.setdefault(case.key, case)
            for name in grid.chances:
                luck = lookup.chance(name)
                key = digest(case.key, luck, experiment.early)
                cell = Cell(
                    key=key, case=case, chance=name, luck=luck,
                    seeds=_seeds(grid),
                    replications=grid.replications, first=first, early=experiment.early,
                )  # fmt: skip
                if key in cells:
                    raise InputError(_twice(cells[key], cell))
                cells[key] = cell
                first += len(cell)
    return Cases(name=experiment.name, plans=tuple(plans.values()), cells=tuple(cells.values()))


def _twice(one: Cell, other: Cell) -> str:
    def shown(cell: Cell) -> str:
        case = cell.case
        return f"{case.workflow}, {case.catalog}, {case.billing}, {case.planner}, {cell.chance}"

    return (
        f"experiment: the same runs are asked for twice: ({shown(one)}) and ({shown(other)}), "
        "for the same goal; leave one out, or list all seeds in one grid"
    )


def _seeds(grid: Grid) -> Sequence[int]:
    return grid.seeds  # type: ignore[return-value]  # normalised where it was made


def _grids(experiment: Experiment) -> tuple[Grid, ...]:
    return experiment.grids  # type: ignore[return-value]  # normalised where it was made


def _cases(grid: Grid, lookup: _Lookup) -> Iterator[Case]:
    """Yield the cases of a grid in order."""
    for name in _workflow_names(lookup.experiment, grid):
        for catalog in grid.catalogs:
            for billing in grid.billing:
                base = lookup.problem(name, catalog, billing)
                base_key = digest(__version__, base)
                for goal in grid.goals:
                    problem = _with_goal(base, goal)
                    problem_key = digest(base_key, problem.deadline_s, problem.budget_usd)
                    for planner in grid.planners:
                        setting = lookup.planner(planner)
                        yield Case(
                            key=digest(problem_key, setting), problem_key=problem_key,
                            workflow=lookup.label(name), catalog=catalog, billing=billing,
                            planner=planner, goal=goal, problem=problem, setting=setting,
                        )  # fmt: skip


def _with_goal(problem: Problem, goal: Goal) -> Problem:
    deadline_s = goal.deadline_s
    if goal.deadline_factor is not None:
        path_s = problem.least_makespan_s - problem.boot_s
        deadline_s = problem.boot_s + goal.deadline_factor * path_s
    given: dict[str, Any] = {"deadline_s": deadline_s, "budget_usd": goal.budget_usd}
    return problem.replace(**{k: v for k, v in given.items() if v is not None})


def _workflow_names(experiment: Experiment, grid: Grid) -> list[str]:
    """Return the workflows of a grid, patterns of paths replaced by what matches them."""
    names: dict[str, None] = {}
    for text in grid.workflows:
        if text in experiment.workflows or text.startswith(EXAMPLE) or not has_magic(text):
            names[text] = None
            continue
        found = sorted(glob(str(Path(experiment.folder, text)), recursive=True))
        if not found:
            raise InputError(f"workflows: no file matches {text!r} in {experiment.folder}")
        names.update(dict.fromkeys(found))
    return list(names)


def _stem(name: str) -> str:
    """Return a path's file name without its endings."""
    return PurePath(name.removeprefix(EXAMPLE)).name.split(".")[0]


class _Lookup:
    """What names stand for; everything is read once."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._found: dict[tuple[str, ...], Any] = {}
        paths = {n for g in _grids(experiment) for n in _workflow_names(experiment, g)}
        stems = [_stem(path) for path in paths if path not in experiment.workflows]
        self._shared = {s for s in stems if stems.count(s) > 1} | set(experiment.workflows)

    def _once(self, kind: str, name: str, make: Callable[[], _T]) -> _T:
        if (kind, name) not in self._found:
            try:
                self._found[kind, name] = make()
            except InputError as error:
                raise InputError(f"experiment: {kind} {name!r}: {error}") from None
        found: _T = self._found[kind, name]
        return found

    def label(self, name: str) -> str:
        """Return what tables call a workflow: its defined name, or the stem of its path."""
        if name in self.experiment.workflows:
            return name
        return name if _stem(name) in self._shared else _stem(name)

    def _path(self, text: str) -> str:
        return str(Path(self.experiment.folder, text))

    def workflow(self, name: str) -> Workflow:
        defined = self.experiment.workflows.get(name, WorkflowFile(path=name))
        if isinstance(defined, Workflow):
            return defined
        runtime = defined.default_runtime
        runtime_s = parse_duration(runtime) if isinstance(runtime, str) else runtime
        path = defined.path if defined.path.startswith(EXAMPLE) else self._path(defined.path)
        return self._once(
            "workflow", name, lambda: read_workflow(path, default_runtime_s=runtime_s)
        )

    def problem(self, workflow: str, catalog: str, billing: str) -> Problem:
        offer = self.experiment.catalogs.get(catalog, Offer(catalog=catalog))
        shipped = offer.catalog in shipped_catalogs()
        if not shipped and not offer.catalog.endswith(".csv") and catalog == offer.catalog:
            known = [*self.experiment.catalogs, *shipped_catalogs()]
            raise InputError(
                f"experiment: {unknown('catalogue', catalog, known)} (or give a .csv file)"
            )
        path = offer.catalog if shipped else self._path(offer.catalog)
        types = self._once("catalogue", catalog, lambda: load_catalog(path))
        rules = {
            name: getattr(offer, name)
            for name in ("region", "types", "purchase", "boot", "transfers", "storage_bandwidth")
        }
        found = self.workflow(workflow)
        return self._once(
            "problem",
            f"{self.label(workflow)}, {catalog}, {billing}",
            lambda: make_problem(
                found, catalog=types, billing=billing, quotas=tuple(offer.quotas),
                allowed=tuple(offer.allowed), **rules,
            ),
        )  # fmt: skip

    def planner(self, name: str) -> Planner:
        if name in self.experiment.planners:
            return self.experiment.planners[name]
        if name not in PLANNERS:
            raise InputError(
                f"experiment: {unknown('planner', name, [*self.experiment.planners, *PLANNERS])}"
            )
        return Planner(planner=name)

    def chance(self, name: str) -> Chance:
        if name == NONE:
            return Chance()
        if name in self.experiment.chances:
            return self.experiment.chances[name]
        if name in shipped_chances():
            return self._once("chance", name, lambda: read_chance(name))
        if not name.endswith(".toml"):
            known = [NONE, *self.experiment.chances, *shipped_chances()]
            raise InputError(f"experiment: {unknown('chance', name, known)} (or give a .toml file)")
        return self._once("chance", name, lambda: read_chance(self._path(name)))
