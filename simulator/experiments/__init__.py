"""Experiments: many plans and runs from one file, recorded so that nothing is lost.

>>> from simulator.experiments import read_experiment, run_experiment
>>> experiment = read_experiment("example:deadlines")
>>> # result = run_experiment(experiment, "results", on_progress=...); result.to_frame()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.modules import lazy

if TYPE_CHECKING:
    from simulator.experiments.amount import estimate
    from simulator.experiments.cases import count_runs, resolve
    from simulator.experiments.progress import showing_progress
    from simulator.experiments.reading import example_experiments, read_experiment
    from simulator.experiments.running import ExperimentResult, Progress, run_experiment
    from simulator.experiments.spec import Experiment, Grid, Offer, Planner, WorkflowFile

__all__ = [
    "Experiment",
    "ExperimentResult",
    "Grid",
    "Offer",
    "Planner",
    "Progress",
    "WorkflowFile",
    "count_runs",
    "estimate",
    "example_experiments",
    "read_experiment",
    "resolve",
    "run_experiment",
    "showing_progress",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "amount": ("estimate",),
        "cases": ("count_runs", "resolve"),
        "progress": ("showing_progress",),
        "reading": ("example_experiments", "read_experiment"),
        "running": ("ExperimentResult", "Progress", "run_experiment"),
        "spec": ("Experiment", "Grid", "Offer", "Planner", "WorkflowFile"),
    },
)
