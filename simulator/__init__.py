"""Discrete-event simulation of plans and policies on a cloud.

>>> from simulator import simulate  # simulate(plan) -> SimulationResult
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.chance import Chance, read_chance
    from simulator.records import LeaseRecords, SimulationResult, TaskRecords
    from simulator.replay import Replications, replicate
    from simulator.running import simulate
    from simulator.statistics import summarise
    from simulator.streams import run_policy

__all__ = [
    "Chance",
    "LeaseRecords",
    "Replications",
    "SimulationResult",
    "TaskRecords",
    "read_chance",
    "replicate",
    "run_policy",
    "simulate",
    "summarise",
]

_HOMES = {
    "Chance": "chance",
    "LeaseRecords": "records",
    "Replications": "replay",
    "SimulationResult": "records",
    "TaskRecords": "records",
    "read_chance": "chance",
    "replicate": "replay",
    "run_policy": "streams",
    "simulate": "running",
    "summarise": "statistics",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that the command line does not pay for what it does not call.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"simulator.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
