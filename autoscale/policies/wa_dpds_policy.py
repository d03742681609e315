"""WA-DPDS: DPDS that admits a workflow only if the budget lets it end (Malawski et al., SC'12).

Before the first task of a workflow starts, it is admitted if its work costs less than what is left
of the budget, with what machines are paid for and have not used yet, without what the workflows
admitted before still need, and less ten cents. Else it is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.ensembles import Ensemble
from autoscale.policies.fleet import paid_until_s

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

SAFETY_USD = 0.1

ABOUT = About(
    aim="ensemble",
    summary="as DPDS, but only workflows that the budget lets end are admitted",
    source="Malawski, Juve, Deelman and Nabrzyski, SC'12 (WA-DPDS)",
    reconstruction=(
        "as DPDS: running tasks are not killed, none is started that by its estimate is too late"
    ),
)


class WorkflowAware(Ensemble):
    """WA-DPDS for one run."""

    name = "wa-dpds"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._admitted: dict[int, bool] = {}

    def accepts(self, job: OpenJob) -> bool:
        """Return whether a job was admitted."""
        return self._admitted.get(job.number, True)

    def decide(self, state: ClusterState, fleet: Fleet) -> tuple[list[tuple[int, int]], list[int]]:
        """Admit what has arrived, by priority, then as DPDS."""
        self._now_s = state.now_s
        for job in sorted(self.work.arrived, key=lambda job: (-job.priority, job.number)):
            self._admitted[job.number] = self._affordable(state, job)
        return super().decide(state, fleet)

    def _affordable(self, state: ClusterState, job: OpenJob) -> bool:
        price = float(state.catalog.price_per_s[self.kind])
        billing, now_s = self.problem.billing, state.now_s
        paid_usd = sum(price * (paid_until_s(x, billing, now_s) - now_s) for x in state.leases)
        promised_usd = sum(
            self.left_to_do_usd(other)
            for other in self.work.jobs.values()
            if self._admitted.get(other.number, False)
        )
        left_usd = self.left_usd(state) + paid_usd - promised_usd - SAFETY_USD
        return self.left_to_do_usd(job) < left_usd


def make(terms: Terms) -> WorkflowAware:
    """Return WA-DPDS for one run.

    Raises
    ------
    InputError
        No budget, or no horizon.
    """
    return WorkflowAware(terms)
