"""What the names of an experiment stand for: files read, each once, and checked."""

from __future__ import annotations

from functools import partial
from glob import glob, has_magic
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from autoscale.api import EXAMPLE, make_problem, read_workflow
from autoscale.errors import InputError, unknown
from autoscale.formats.catalog_csv import load_catalog, shipped_catalogs
from autoscale.model.workflow import Workflow
from autoscale.optimize.planner import PLANNERS
from autoscale.policies import POLICIES, make_policy
from autoscale.units import parse_duration
from simulator.chance import Chance, read_chance, shipped_chances
from simulator.experiments.spec import NONE, Experiment, Grid, Offer, Planner, WorkflowFile
from simulator.streaming.scenario_toml import read_scenario, shipped_scenarios

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autoscale.model.problem import Problem
    from simulator.streaming.running import Maker
    from simulator.streaming.scenario import Scenario

_T = TypeVar("_T")


def seeds_of(grid: Grid) -> Sequence[int]:
    """Return the seeds of a grid."""
    return grid.seeds  # type: ignore[return-value]  # normalised where it was made


def grids_of(experiment: Experiment) -> tuple[Grid, ...]:
    """Return the grids of an experiment."""
    return experiment.grids  # type: ignore[return-value]  # normalised where it was made


def workflow_names(experiment: Experiment, grid: Grid) -> list[str]:
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


class Lookup:
    """What names stand for; everything is read once."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._found: dict[tuple[str, ...], Any] = {}
        grids = grids_of(experiment)
        paths = {n for g in grids for n in (*workflow_names(experiment, g), *g.scenarios)}
        stems = [_stem(path) for path in paths if path not in experiment.workflows]
        self._shared = {s for s in stems if stems.count(s) > 1} | set(experiment.workflows)

    def _once(self, kind: str, name: str, make: Callable[[], _T]) -> _T:
        if (kind, name) not in self._found:
            self._found[kind, name] = self.named(kind, name, make)
        found: _T = self._found[kind, name]
        return found

    def named(self, kind: str, name: str, make: Callable[[], _T]) -> _T:
        """Return what is made; errors say of what."""
        try:
            return make()
        except InputError as error:
            raise InputError(f"experiment: {kind} {name!r}: {error}") from None

    def label(self, name: str) -> str:
        """Return what tables call a workflow or scenario: its name, or the stem of its path."""
        if name in self.experiment.workflows or name in self.experiment.scenarios:
            return name
        return name if _stem(name) in self._shared else _stem(name)

    def _path(self, text: str) -> str:
        return str(Path(self.experiment.folder, text))

    def workflow(self, name: str) -> Workflow:
        """Return a workflow."""
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
        """Return the problem of a workflow on an offer, without goals."""
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
        """Return a planner and how it is asked."""
        if name in self.experiment.planners:
            return self.experiment.planners[name]
        if name not in PLANNERS:
            raise InputError(
                f"experiment: {unknown('planner', name, [*self.experiment.planners, *PLANNERS])}"
            )
        return Planner(planner=name)

    def scenario(self, name: str) -> Scenario:
        """Return a scenario."""
        if name in self.experiment.scenarios:
            return self.experiment.scenarios[name]
        if name not in shipped_scenarios() and not name.endswith(".toml"):
            known = [*self.experiment.scenarios, *shipped_scenarios()]
            raise InputError(
                f"experiment: {unknown('scenario', name, known)} (or give a .toml file)"
            )
        path = name if name in shipped_scenarios() else self._path(name)
        return self._once("scenario", name, lambda: read_scenario(path))

    def policy(self, name: str) -> Maker:
        """Return what makes a policy."""
        if name in self.experiment.policies:
            return self.experiment.policies[name]
        if name not in POLICIES:
            raise InputError(
                f"experiment: {unknown('policy', name, [*self.experiment.policies, *POLICIES])}"
            )
        return partial(make_policy, name)

    def chance(self, name: str) -> Chance:
        """Return a chance."""
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
