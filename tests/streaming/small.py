"""Small scenarios for tests."""

from __future__ import annotations

from typing import Any

from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.workflow import WorkflowBuilder
from autoscale.workloads import Stable
from simulator.streaming.scenario import Cloud, DeadlineRule, Scenario
from simulator.streaming.sources import JobClass, Patterned

SLOW = InstanceType(name="slow", vcpus=1, memory_gib=2, price_usd_per_hour=0.1)
FAST = InstanceType(name="fast", vcpus=2, memory_gib=4, price_usd_per_hour=0.5, speed=2.0)
OFFER = Catalog((SLOW, FAST), name="two types")


def two_steps(name: str = "two", runtime_s: float = 300.0) -> Any:
    """Return a chain of two tasks."""
    builder = WorkflowBuilder(name).add("a", runtime_s=runtime_s)
    return builder.add("b", runtime_s=runtime_s, parents=["a"]).build()


def small(**changes: Any) -> Scenario:
    """Return a scenario of some ten jobs of one class, boot 60 s, paid by the second."""
    kind = JobClass(name="two", workflow=two_steps(), deadline=DeadlineRule(factor=3.0))
    made = Scenario(
        name="small",
        source=Patterned(pattern=Stable(rate_per_hour=10), classes=(kind,)),
        cloud=Cloud(catalog=OFFER, boot_s=60.0),
        horizon_s=3600.0,
    )
    return made.replace(**changes)
