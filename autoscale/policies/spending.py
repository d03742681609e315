"""What leases cost at a time: a budget by the hour that is never exceeded.

What a lease costs counts evenly over the time that it pays for. If the prices of all leases that
are held, or were given back and are still paid for, never add up to more than the budget, no hour
of the clock, and no other span of time, costs more than the budget allows, however long tasks take:
a lease that has to be held on for a task that runs goes on at the same price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.errors import InputError
from autoscale.policies.autoscaler import Autoscaler
from autoscale.policies.fleet import paid_until_s
from autoscale.units import COST_TOL_USD

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.model.billing import Billing
    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState, Decision
    from autoscale.policies.work import OpenJob


class Spending:
    """What is paid for, by lease, kept current from call to call."""

    def __init__(self) -> None:
        self._paid: dict[int, tuple[float, float]] = {}

    def look(self, state: ClusterState, billing: Billing) -> None:
        """Take note of what is held now; what is not held any more counts while it is paid for."""
        held = {}
        for lease in state.leases:
            # At the end of what is paid for, a lease that is kept is paid for on.
            until_s = paid_until_s(lease, billing, state.now_s)
            price = state.catalog.types[lease.type].price_usd_per_hour
            held[lease.number] = (price, until_s)
        left = {n: x for n, x in self._paid.items() if n not in held and x[1] > state.now_s}
        # A lease that is lost was charged for up to a quantum after the last look at it.
        for number in state.gone:
            if number in self._paid:
                price, until_s = self._paid[number]
                left[number] = (price, max(until_s, state.now_s + billing.quantum_s))
        self._paid = {**left, **held}

    def launched(self, state: ClusterState, decision: Decision, billing: Billing) -> None:
        """Take note of launches: a lease may be lost before it is ever seen."""
        for place, kind in enumerate(decision.launches):
            price = state.catalog.types[kind].price_usd_per_hour
            self._paid[state.next_lease + place] = (price, state.now_s + billing.billed_s(0.0))

    @property
    def usd_per_hour(self) -> float:
        """What all that is paid for costs an hour."""
        return sum(price for price, _ in self._paid.values())


class Budgeted(Autoscaler):
    """A policy with a budget by the hour of the clock."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        if terms.budget_usd_per_hour is None:
            raise InputError(
                f"policy {self.name!r}: budget_usd_per_hour: expected USD > 0, got none; "
                "this policy spends a budget by the hour"
            )
        self.budget = terms.budget_usd_per_hour
        self.spending = Spending()
        self._rank: dict[int, FloatArray] = {}

    def look(self, state: ClusterState) -> None:
        """Take note of money and jobs.

        Raises
        ------
        InputError
            A task fits no type that the budget pays for.
        """
        self.spending.look(state, self.problem.billing)
        for job in self.work.ended:
            self._rank.pop(job.number, None)
        for job in self.work.arrived:
            self._rank[job.number] = self._checked(job, state)

    def __call__(self, state: ClusterState) -> Decision:
        """Return what to do now."""
        decision = super().__call__(state)
        if decision.launches:
            self.spending.launched(state, decision, self.problem.billing)
        return decision

    def _checked(self, job: OpenJob, state: ClusterState) -> FloatArray:
        from autoscale.model import graph

        price = 3600.0 * state.catalog.price_per_s
        job.confine(price <= self.budget + COST_TOL_USD)
        fastest = job.table_s.min(axis=1)
        if not (fastest < float("inf")).all():
            i = int((fastest == float("inf")).argmax())
            task = job.problem.workflow.ids[job.problem.class_member[i]]
            least = price[job.problem.fits[i]].min()
            raise InputError(
                f"budget_usd_per_hour: {self.budget:g} pays for no type that task {str(task)!r} "
                f"fits; the cheapest costs {least:g} an hour"
            )
        return graph.upward_rank_s(job.problem.workflow, fastest[job.problem.task_class])

    def rank_s(self, job: OpenJob, i: int) -> float:
        """Return the longest chain that begins with a task, on the fastest types, seconds."""
        return float(self._rank[job.number][i])

    def key(self, job: OpenJob, i: int) -> tuple[float, ...]:
        """Return the order by priority, then arrival, then upward rank."""
        return (-job.priority, float(job.number), -self.rank_s(job, i))

    def line(self, job: OpenJob, i: int) -> int:
        """Return one line for all."""
        return 0

    def launchable(self, state: ClusterState, kinds: list[int]) -> list[int]:
        """Return the launches that the budget has room for now."""
        spent, out = self.spending.usd_per_hour, []
        for kind in kinds:
            price = state.catalog.types[kind].price_usd_per_hour
            if spent + price <= self.budget + COST_TOL_USD:
                spent += price
                out.append(kind)
        return out

    def within(self, wanted: list[int], price: FloatArray) -> list[int]:
        """Return a fleet cut to the budget, and with a lease for the first that waits.

        Parameters
        ----------
        wanted
            Leases of each type; where they cost too much, the dearest go first.
        price
            USD per hour.
        """
        out = list(wanted)
        items = self.queue.lines.get(0)
        first = self.types_of(items[0][2], items[0][3]) if items else []
        if first and not any(out[kind] for kind in first):
            out[first[0]] = 1
        least = dict.fromkeys(first[:1], 1)
        while sum(n * p for n, p in zip(out, price, strict=True)) > self.budget + COST_TOL_USD:
            costly = [k for k, n in enumerate(out) if n > least.get(k, 0)]
            if not costly:
                break
            out[max(costly, key=lambda k: (price[k], k))] -= 1
        return out
