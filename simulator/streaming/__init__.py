"""Streams of workflows under online policies: scenarios, runs, figures, hindsight.

>>> from simulator.streaming import read_scenario, run_stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.modules import lazy

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

__getattr__, __dir__ = lazy(
    __name__,
    {
        "report": ("StreamReport",),
        "running": ("run_stream",),
        "scenario": ("Scenario", "Stream"),
        "scenario_toml": ("read_scenario", "shipped_scenarios"),
    },
)
