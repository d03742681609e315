"""Streams of workflows under online policies: scenarios, runs, figures, hindsight.

>>> from simulator.streaming import read_scenario, run_stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.streaming.report import StreamReport
    from simulator.streaming.running import run_stream
    from simulator.streaming.scenario import Scenario, Stream
    from simulator.streaming.scenario_toml import read_scenario, shipped_scenarios

__all__ = [
    "Scenario",
    "Stream",
    "StreamReport",
    "read_scenario",
    "run_stream",
    "shipped_scenarios",
]

_HOMES = {
    "Scenario": "scenario",
    "Stream": "scenario",
    "StreamReport": "report",
    "read_scenario": "scenario_toml",
    "run_stream": "running",
    "shipped_scenarios": "scenario_toml",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
