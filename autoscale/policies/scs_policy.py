"""SCS: scaling, consolidation, scheduling (Mao and Humphrey, SC'11).

Every interval, and when jobs arrive or leases are lost, all that is open is planned anew with what
is left of its deadlines: chains are bundled, tasks get types and windows
(:mod:`autoscale.policies.subdeadlines`), windows make load vectors, and fractions of machines are
moved to where they fit (:mod:`autoscale.policies.loads`). Ready tasks go to idle leases of their
type, earliest due date first; a bundle's next task goes where the one before it ran. Leases are
given back when idle at the end of what is paid for, unless the loads ask for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.autoscaler import Autoscaler
from autoscale.policies.loads import consolidate
from autoscale.policies.planning import Dated

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Fleet, Room
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

ABOUT = About(
    aim="deadlines",
    summary="types and windows per task, load vectors, partial hours consolidated, EDF",
    source="Mao and Humphrey, SC'11 (scaling, consolidation, scheduling)",
    reconstruction=(
        "from re-implementations and memory: the tie-break where no upgrade shortens the makespan, "
        "which moves consolidation tries, loads looked ahead by boot and one interval"
    ),
)


class Scs(Autoscaler):
    """SCS for one run."""

    name = "scs"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.dated = Dated(self.work)
        self._wanted: list[int] = []

    def look(self, state: ClusterState) -> None:
        """Take note of new jobs and leases."""
        self.dated.look(state)

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Assign dates, make loads, consolidate."""
        self.dated.assign(state)
        loads = self.dated.loads(state)
        until_s = state.now_s + self.problem.boot_s + self.interval_s
        price = 3600.0 * state.catalog.price_per_s
        asked = consolidate(loads, fleet.held, price, state.now_s, until_s)
        self.dated.moved(loads)
        self._wanted = asked.tolist()
        self.requeue()

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return the machines that the loads ask for."""
        return self._wanted

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the type that consolidation has left a task on."""
        return [self.dated.kind(job, i)]

    def key(self, job: OpenJob, i: int) -> Key:
        """Return the end of the task's window."""
        return (self.dated.due_s(job, i),)

    def place(self, fleet: Fleet, job: OpenJob, i: int) -> Room | None:
        """Return the lease where the bundle's last task ran, else the fullest of its type."""
        room = self._before(fleet, job, i)
        return room if room is not None else super().place(fleet, job, i)

    def _before(self, fleet: Fleet, job: OpenJob, i: int) -> Room | None:
        dates, w = self.dated.of[job.number], job.problem.workflow
        above = w.parents_of(i)
        if above.size != 1 or dates.bundle[above[0]] != dates.bundle[i]:
            return None
        room = fleet.room_of.get(int(job.view.lease[above[0]]))
        kind = self.dated.kind(job, i)
        return room if room is not None and room.kind == kind and room.takes(job, i) else None


def make(terms: Terms) -> Scs:
    """Return SCS for one run."""
    return Scs(terms)
