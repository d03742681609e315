"""Greedy, the baseline of SC'11: each task for itself takes the cheapest type in its window.

Mao and Humphrey, SC'11. Windows are assigned as in SCS, every interval anew; a task that becomes
ready takes the type that runs it for the least within its window. Nothing is shared on purpose: see
:mod:`autoscale.policies.own_leases`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.policies.about import About
from autoscale.policies.own_leases import OwnLeases
from autoscale.policies.planning import Dated
from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

ABOUT = About(
    aim="deadlines",
    summary="every ready task on the cheapest type within its window, nothing shared on purpose",
    source="Mao and Humphrey, SC'11 (baseline)",
    reconstruction="the text was not at hand: idle leases are used again until their hour is over",
)


class Greedy(OwnLeases):
    """Greedy for one run."""

    name = "greedy"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.dated = Dated(self.work, bundles=False)
        self._usd: dict[int, np.ndarray] = {}

    def look(self, state: ClusterState) -> None:
        """Take note of new jobs and leases."""
        self.dated.look(state)
        for job in self.work.ended:
            self._usd.pop(job.number, None)
        for job in self.work.arrived:
            self._usd[job.number] = job.usd(shared=False)

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Assign windows; each task then chooses for itself."""
        self.dated.assign(state)
        self.requeue()

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the cheapest type that runs a task within its window, else the fastest."""
        dates = self.dated.of[job.number]
        window_s = dates.due_s[i] - dates.begin_s[i]
        cls = job.cls[i]
        held_s = job.table_s[cls]
        inside = held_s <= window_s + TIME_TOL_S
        if not inside.any():
            return [int(np.argmin(held_s))]
        cost = np.where(inside, self._usd[job.number][cls], np.inf)
        return [int(np.lexsort((held_s, cost))[0])]

    def key(self, job: OpenJob, i: int) -> Key:
        """Return the end of the task's window."""
        return (self.dated.due_s(job, i),)


def make(terms: Terms) -> Greedy:
    """Return Greedy for one run."""
    return Greedy(terms)
