"""Where a scenario's jobs come from: arrivals by a pattern or a trace, and ensembles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from autoscale.model.workflow import Workflow
from autoscale.workloads.applications import application
from autoscale.workloads.arrivals import Pattern, arrival_times_s
from autoscale.workloads.ensembles import Sizes, ensemble
from simulator.streaming.scenario import DeadlineRule

if TYPE_CHECKING:
    from autoscale.formats.arrivals import Arrivals
    from autoscale.model.arrays import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A workflow that is generated; see :func:`~autoscale.workloads.applications.application`.

    Parameters
    ----------
    application, tasks, runtime_mean_s, runtime_cv, vcpus, memory_gib
        As there.
    seed
        Of the class's workflow, so that it is the same in every stream.
    """

    application: str
    tasks: int
    runtime_mean_s: float | None = None
    runtime_cv: float | None = None
    vcpus: int = 1
    memory_gib: float = 0.0
    seed: int = 0

    def make(self, rng: np.random.Generator) -> Workflow:
        """Return a workflow."""
        return application(
            self.application,
            self.tasks,
            rng,
            runtime_mean_s=self.runtime_mean_s,
            runtime_cv=self.runtime_cv,
            vcpus=self.vcpus,
            memory_gib=self.memory_gib,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobClass:
    """Jobs of one kind.

    Parameters
    ----------
    name
        What reports call it.
    workflow
        What every job of the class is.
    recipe
        By which each job gets a workflow of its own; ``workflow`` is then an example. None where
        all are the same.
    deadline
        By when its jobs should end; None for no deadline.
    priority
        Weight of a job among jobs, > 0.
    share
        How frequent the class is among arrivals, relative to the others, > 0.
    """

    name: str
    workflow: Workflow
    recipe: Recipe | None = None
    deadline: DeadlineRule | None = None
    priority: float = 1.0
    share: float = 1.0

    def drawn(self, arrival_s: float, rng: np.random.Generator) -> Drawn:
        """Return a job of the class."""
        workflow = self.workflow if self.recipe is None else self.recipe.make(rng)
        return Drawn(
            kind=self.name,
            workflow=workflow,
            arrival_s=arrival_s,
            deadline=self.deadline,
            priority=self.priority,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """A job before it is put on a cloud; see :class:`JobClass`."""

    kind: str
    workflow: Workflow
    arrival_s: float
    deadline: DeadlineRule | None
    priority: float


class Source(Protocol):
    """Draws the jobs of a stream."""

    @property
    def shares_deadline(self) -> bool:
        """Whether the horizon is the deadline of all jobs together."""

    @property
    def examples(self) -> tuple[Workflow, ...]:
        """Workflows with every category that jobs may have, for checks."""

    def draw(self, horizon_s: float, rng: np.random.Generator) -> list[Drawn]:
        """Return the jobs up to the horizon, in the order of arrival."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patterned:
    """Jobs of some classes that arrive by a pattern.

    Parameters
    ----------
    pattern
        The rate of arrivals over time.
    classes
        At least one; each arrival's class is drawn by their shares.
    """

    pattern: Pattern
    classes: tuple[JobClass, ...]

    @property
    def shares_deadline(self) -> bool:
        """Every job has a deadline of its own."""
        return False

    @property
    def examples(self) -> tuple[Workflow, ...]:
        """One workflow a class."""
        return tuple(c.workflow for c in self.classes)

    def draw(self, horizon_s: float, rng: np.random.Generator) -> list[Drawn]:
        """Return the jobs up to the horizon."""
        arrivals, kinds, workflows = rng.spawn(3)
        times = arrival_times_s(self.pattern, horizon_s, arrivals)
        return _of_classes(self.classes, times, kinds, workflows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traced:
    """Jobs that arrive as a trace says.

    Parameters
    ----------
    arrivals
        The trace.
    classes
        The jobs' classes: by the trace's names, where it has any, else drawn by their shares.
        Without classes, every row is a job of one task, with the row's figures.
    time_scale
        Times between arrivals are multiplied by this, > 0; runtimes are not.
    first_s
        Where in the trace (before scaling) the stream begins, seconds, >= 0.
    deadline
        Of rows that are jobs and state none.
    """

    arrivals: Arrivals
    classes: tuple[JobClass, ...] = ()
    time_scale: float = 1.0
    first_s: float = 0.0
    deadline: DeadlineRule | None = None

    @property
    def shares_deadline(self) -> bool:
        """Every job has a deadline of its own."""
        return False

    @property
    def examples(self) -> tuple[Workflow, ...]:
        """One workflow a class, or the first row."""
        return tuple(c.workflow for c in self.classes) or (self._row(0, 0.0).workflow,)

    def draw(self, horizon_s: float, rng: np.random.Generator) -> list[Drawn]:
        """Return the jobs up to the horizon."""
        kinds, workflows = rng.spawn(2)
        times = (self.arrivals.arrival_s - self.first_s) * self.time_scale
        rows = np.flatnonzero((times >= 0) & (times < horizon_s)).tolist()
        if not self.classes:
            return [self._row(row, float(times[row])) for row in rows]
        if not any(self.arrivals.kinds):
            return _of_classes(self.classes, times[rows], kinds, workflows)
        named = {c.name: c for c in self.classes}
        return [
            named[self.arrivals.kinds[row]].drawn(float(times[row]), workflows)
            for row in rows
            if self.arrivals.kinds[row] in named
        ]

    def _row(self, row: int, arrival_s: float) -> Drawn:
        a = self.arrivals
        kind = a.kinds[row] or "job"
        workflow = Workflow.from_columns(
            name=kind,
            ids=[f"job_{row + 1}"],
            runtime_s=a.runtime_s[row : row + 1],
            edges=([], []),
            vcpus=a.vcpus[row : row + 1],
            memory_bytes=a.memory_bytes[row : row + 1],
            gpus=a.gpus[row : row + 1],
            where=f"{a.name}: job {row + 1} by arrival",
        )
        stated_s, priority = float(a.deadline_s[row]), float(a.priority[row])
        return Drawn(
            kind=kind,
            workflow=workflow,
            arrival_s=arrival_s,
            deadline=self.deadline if np.isnan(stated_s) else DeadlineRule(after_s=stated_s),
            priority=1.0 if np.isnan(priority) else priority,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Together:
    """An ensemble: workflows that are all there at the start and share deadline and budget.

    Parameters
    ----------
    application, workflows, sizes, smallest, largest, by_size, runtime_mean_s, runtime_cv
        See :func:`~autoscale.workloads.ensembles.ensemble`.
    given
        These workflows instead, by priority.
    """

    application: str = "montage"
    workflows: int = 20
    sizes: Sizes = "pareto"
    smallest: int = 50
    largest: int = 1000
    by_size: bool = True
    runtime_mean_s: float | None = None
    runtime_cv: float | None = None
    given: tuple[Workflow, ...] = ()

    @property
    def shares_deadline(self) -> bool:
        """The horizon is the deadline of all."""
        return True

    @property
    def examples(self) -> tuple[Workflow, ...]:
        """The workflows of one seed."""
        return tuple(d.workflow for d in self.draw(1.0, np.random.default_rng(0)))

    def draw(self, horizon_s: float, rng: np.random.Generator) -> list[Drawn]:
        """Return all workflows, arriving at 0."""
        made = self.given or ensemble(
            self.application,
            self.workflows,
            rng,
            sizes=self.sizes,
            smallest=self.smallest,
            largest=self.largest,
            by_size=self.by_size,
            runtime_mean_s=self.runtime_mean_s,
            runtime_cv=self.runtime_cv,
        )
        rule = DeadlineRule(after_s=horizon_s)
        return [
            Drawn(kind=w.name, workflow=w, arrival_s=0.0, deadline=rule, priority=w.priority)
            for w in made
        ]


def _of_classes(
    classes: tuple[JobClass, ...],
    times_s: FloatArray,
    kinds: np.random.Generator,
    workflows: np.random.Generator,
) -> list[Drawn]:
    """Return a job for each time, of a class drawn by the shares."""
    shares = np.array([c.share for c in classes])
    chosen = kinds.choice(len(classes), size=times_s.size, p=shares / shares.sum())
    return [
        classes[k].drawn(t, workflows)
        for k, t in zip(chosen.tolist(), times_s.tolist(), strict=True)
    ]
