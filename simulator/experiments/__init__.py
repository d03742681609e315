"""Experiments: many plans and runs from one file, recorded so that nothing is lost.

>>> from simulator.experiments import read_experiment, run_experiment
>>> experiment = read_experiment("example:deadlines")
>>> # result = run_experiment(experiment, "results", on_progress=...); result.to_frame()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "Experiment": "spec",
    "ExperimentResult": "running",
    "Grid": "spec",
    "Offer": "spec",
    "Planner": "spec",
    "Progress": "running",
    "WorkflowFile": "spec",
    "count_runs": "cases",
    "estimate": "amount",
    "example_experiments": "reading",
    "read_experiment": "reading",
    "resolve": "cases",
    "run_experiment": "running",
    "showing_progress": "progress",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use, as in simulator itself.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"simulator.experiments.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
