"""Our own policy for deadlines: a rolling horizon over all known work and paid leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.rolling.loop import STEP_S, RollingPolicy
from autoscale.policies.rolling.outlook import Extra
from autoscale.policies.rolling.sizing import size_launch

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState, LeaseView, Policy
    from autoscale.policies.rolling.work import JobWork

ABOUT = About(
    aim="deadlines",
    summary="our own: rolling horizon and LP, least fleet for all known work, as late as can be",
)


MANY = 1500
"""With more tasks that wait than this, the plan is made anew less often in proportion."""


def make(terms: Terms) -> Policy:
    """Return a fresh policy."""
    return DeadlinePolicy(terms)


class DeadlinePolicy(RollingPolicy):
    """Every job by its deadline at low cost, see ``docs/policy-lp.md``.

    It plans all known work against what is left until deadlines and against leases that are paid,
    hedges against what it has learnt of runtimes and boots, and acts on the first step.
    """

    name = "lp"

    def _enter(self, job: JobWork, now_s: float) -> None:
        job.choose_rung(now_s, self._boots.quantile(0.5), self.caution)
        job.set_windows(now_s, self.caution)

    def _plan(self, state: ClusterState) -> tuple[int, ...]:
        """Make the plan anew; return the types to launch now."""
        backlog, now_s = self._backlog, state.now_s
        backlog.correct(self._ratios, now_s, self.caution)
        for held in self._fleet.held.values():
            held.leaving = False
        outlook = self._look(state)
        many = max(1.0, outlook.n_open / MANY)
        step_s = many * min(STEP_S, 0.25 * outlook.boot_s + 5.0)
        launch = size_launch(outlook, step_s)
        self._next_plan_s = now_s + STEP_S * many
        if launch is None:
            return ()
        if launch.at_s > now_s:
            self._next_plan_s = min(self._next_plan_s, launch.at_s)
            return ()
        self._pending = launch.at(now_s)
        return tuple(backlog.columns[e.column] for e in self._pending for _ in range(e.count))

    # -- which leases stay ------------------------------------------------------------------

    def _renews(self, state: ClusterState, number: int) -> bool:
        """Return whether a lease is kept for another quantum so that it can take more work."""
        held = self._fleet.held[number]
        if held.leaving:
            return False
        outlook = self._look(state)
        kept = outlook.play(self._pending)
        ended = outlook.play(self._pending, {number: held.paid_until_s})
        if ended.regret_usd <= kept.regret_usd + self._quantum_usd(state, number):
            held.leaving = True
            return False
        held.paid_until_s += self._fleet.billing.quantum_s
        return True

    def _quantum_usd(self, state: ClusterState, number: int) -> float:
        price = state.catalog.price_per_s[self._fleet.views[number].type]
        return float(price) * self._fleet.billing.quantum_s

    def _needed(self, state: ClusterState, view: LeaseView) -> bool:
        """Return whether an idle lease is better kept beyond what is paid."""
        if not self._backlog.jobs:
            return False
        outlook = self._look(state)
        if not self._fleet.coarse:
            first_s = outlook.first_use_s(self._pending)[view.number]
            return first_s <= state.now_s + outlook.boot_s
        kept = outlook.play(self._pending)
        column = self._backlog.columns.index(view.type)
        other = [*self._pending, Extra(column, 1, state.now_s)]
        ended = outlook.play(other, {view.number: state.now_s})
        usd = self._quantum_usd(state, view.number)
        return ended.regret_usd > kept.regret_usd + usd
