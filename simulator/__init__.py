"""Discrete-event simulation of plans on a cloud.

>>> from simulator import simulate  # simulate(plan) -> SimulationResult
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.records import LeaseRecords, SimulationResult, TaskRecords
    from simulator.running import simulate

__all__ = ["LeaseRecords", "SimulationResult", "TaskRecords", "simulate"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that the command line does not pay for what it does not call.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = "simulator.running" if name == "simulate" else "simulator.records"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
