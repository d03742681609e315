"""From an experiment's names to problems, planners and luck: everything read and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError
from autoscale.version import __version__
from simulator.experiments.digests import digest
from simulator.experiments.lookup import Lookup, grids_of, seeds_of, workflow_names
from simulator.experiments.spec import OWN, Experiment, Goal, Grid, Planner, field_names
from simulator.streaming.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autoscale.model.problem import Problem
    from simulator.chance import Chance
    from simulator.streaming.running import Maker


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
class StreamCase:
    """A scenario and the policy that runs its streams.

    Parameters
    ----------
    key
        Digest of both, without the scenario's chance.
    scenario, policy
        What the experiment calls them.
    source
        The scenario, with the chance of its runs.
    maker
        Makes the policy.
    """

    key: str
    scenario: str
    policy: str
    source: Scenario
    maker: Maker


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
    case: Case | StreamCase
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
    source
        The text of the experiment's file; empty if it has none.
    """

    name: str
    plans: tuple[Case, ...]
    cells: tuple[Cell, ...]
    source: str = ""

    @property
    def n_runs(self) -> int:
        """How many runs there are."""
        return sum(len(cell) for cell in self.cells)


def count_runs(experiment: Experiment) -> int:
    """Return how many runs an experiment has; of workflows only the names are looked at."""
    total = 0
    for grid in grids_of(experiment):
        axes: tuple[Sequence[Any], ...] = (grid.scenarios, grid.policies)
        if not grid.scenarios:
            names = workflow_names(experiment, grid)
            axes = (names, grid.catalogs, grid.billing, grid.goals, grid.planners)
        sizes = [len(axis) for axis in (*axes, grid.chances, seeds_of(grid))]
        total += math.prod(sizes) * grid.replications
    return total


def resolve(experiment: Experiment) -> Cases:
    """Read and check everything that an experiment names.

    Raises
    ------
    InputError
        An unknown name, an unreadable file, a task that fits no type of a catalogue, the same
        run twice; the entry is named.
    """
    lookup = Lookup(experiment)
    plans: dict[str, Case] = {}
    cells: dict[str, Cell] = {}
    first = 0
    for grid in grids_of(experiment):
        for case, name, luck in _combined(grid, lookup):
            one = plans.setdefault(case.key, case) if isinstance(case, Case) else case
            early = experiment.early and isinstance(case, Case)
            cell = Cell(
                key=digest(case.key, luck, early), case=one, chance=name, luck=luck,
                seeds=seeds_of(grid), replications=grid.replications, first=first, early=early,
            )  # fmt: skip
            if cell.key in cells:
                raise InputError(_twice(cells[cell.key], cell))
            cells[cell.key] = cell
            first += len(cell)
    return Cases(
        name=experiment.name, plans=tuple(plans.values()), cells=tuple(cells.values()),
        source=experiment.source,
    )  # fmt: skip


def _combined(grid: Grid, lookup: Lookup) -> Iterator[tuple[Case | StreamCase, str, Chance]]:
    """Yield the cases of a grid under each chance, in order."""
    if grid.scenarios:
        yield from _stream_cases(grid, lookup)
        return
    for case in _cases(grid, lookup):
        for name in grid.chances:
            yield case, name, lookup.chance(name)


def _twice(one: Cell, other: Cell) -> str:
    def shown(cell: Cell) -> str:
        case = cell.case
        if isinstance(case, StreamCase):
            return f"{case.scenario}, {case.policy}, {cell.chance}"
        return f"{case.workflow}, {case.catalog}, {case.billing}, {case.planner}, {cell.chance}"

    return (
        f"experiment: the same runs are asked for twice: ({shown(one)}) and ({shown(other)}), "
        "for the same goal; leave one out, or list all seeds in one grid"
    )


def _stream_cases(grid: Grid, lookup: Lookup) -> Iterator[tuple[StreamCase, str, Chance]]:
    """Yield the cases of a grid of scenarios; each policy is told the terms once, as a check."""
    for name in grid.scenarios:
        scenario = lookup.scenario(name)
        parts = {k: getattr(scenario, k) for k in field_names(Scenario)}
        unnamed = {k: v for k, v in parts.items() if k not in ("name", "note", "chance")}
        scenario_key = digest(__version__, unnamed)
        for policy in grid.policies:
            maker = lookup.policy(policy)
            lookup.named("policy", policy, lambda: maker(terms=scenario.terms(0)))  # noqa: B023
            for chance in grid.chances:
                luck = scenario.chance if chance == OWN else lookup.chance(chance)
                source = scenario.replace(chance=luck)
                lookup.named("scenario", name, lambda: source.luck)  # noqa: B023
                case = StreamCase(
                    key=digest(scenario_key, policy), scenario=lookup.label(name), policy=policy,
                    source=source, maker=maker,
                )  # fmt: skip
                yield case, chance, luck


def _cases(grid: Grid, lookup: Lookup) -> Iterator[Case]:
    """Yield the cases of a grid in order."""
    for name in workflow_names(lookup.experiment, grid):
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
