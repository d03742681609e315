"""GAIN against deadlines, the other baseline of SC'11.

Sakellariou, Zhao, Tsiakkouri and Dikaiakos, in Integrated Research in GRID Computing, 2007, state
the rule for a budget; Mao and Humphrey (SC'11) run it against deadlines. From all-cheapest, the
(task, type) change with the most seconds saved for a dollar is made, on the critical path or not,
until the job ends by its deadline. Types are found anew for what has not started whenever jobs
arrive, leases are lost, and every interval. Nothing is shared on purpose: see
:mod:`autoscale.policies.own_leases`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.own_leases import OwnLeases
from autoscale.policies.planning import Dated

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

ABOUT = About(
    aim="deadlines",
    summary="from all-cheapest, the change that saves most time per money until in time",
    source="Sakellariou et al., CoreGRID 2007, as used by Mao and Humphrey, SC'11",
    reconstruction="how it runs online: as Greedy does, tasks by their latest finish",
)


class Gain(OwnLeases):
    """GAIN for one run."""

    name = "gain"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.dated = Dated(self.work, bundles=False, rule="gain")

    def look(self, state: ClusterState) -> None:
        """Take note of new jobs and leases."""
        self.dated.look(state)

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Choose types for what has not started."""
        self.dated.assign(state)
        self.requeue()

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the task's type."""
        return [self.dated.kind(job, i)]

    def key(self, job: OpenJob, i: int) -> Key:
        """Return the task's latest finish."""
        return (self.dated.due_s(job, i),)


def make(terms: Terms) -> Gain:
    """Return GAIN for one run."""
    return Gain(terms)
