"""Discrete-event simulation of plans and policies on a cloud.

>>> from simulator import simulate  # simulate(plan) -> SimulationResult
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.modules import lazy

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

__getattr__, __dir__ = lazy(
    __name__,
    {
        "chance": ("Chance", "read_chance"),
        "records": ("LeaseRecords", "SimulationResult", "TaskRecords"),
        "replay": ("Replications", "replicate"),
        "running": ("simulate",),
        "statistics": ("summarise",),
        "streams": ("run_policy",),
    },
)
