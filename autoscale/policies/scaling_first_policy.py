"""Scaling-first (Mao and Humphrey, IPDPS'13): the fleet by demand and budget, then the tasks.

Every interval each task that runs or is ready names the type that it likes most: the fastest, or,
where the budget does not pay for that many, the one on which its work costs least. The budget is
shared among the types in proportion to what their demand would cost; each type gets as many whole
machines as its share pays for, and what is left goes to the largest remainders. Then tasks are list
scheduled, by priority and rank, on what there is: the type that they like first, else any other
that is idle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.policies.about import About
from autoscale.policies.loads import EPS
from autoscale.policies.protocol import RUNNING
from autoscale.policies.spending import Budgeted
from autoscale.units import COST_TOL_USD

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.policies.about import Terms
    from autoscale.policies.fleet import Fleet, Room
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

ABOUT = About(
    aim="turnaround",
    summary="machines by demand and hourly budget first, then list scheduling on them",
    source="Mao and Humphrey, IPDPS'13 (scaling-first)",
    reconstruction=(
        "from the abstract and memory: when the budget counts as small, how what is left of it is "
        "spent, that tasks take idle machines of other types"
    ),
)


def fleet_of(demand: FloatArray, price: FloatArray, budget: float) -> list[int]:
    """Return how many machines of each type a budget pays for, by their demand.

    Parameters
    ----------
    demand
        Machines that would all be used now, shape (types,).
    price, budget
        USD per hour.

    Examples
    --------
    Six small and two large machines are asked for, at $1 and $3, with $8: half of it each, which is
    four small and one large one; the dollar that is left goes to a fifth small one.

    >>> fleet_of(np.array([6.0, 2.0]), np.array([1.0, 3.0]), 8.0)
    [5, 1]
    """
    usd = demand * price
    most = np.ceil(demand - EPS)
    if not usd.sum() > 0:
        return [0] * demand.size
    share = np.minimum(usd / usd.sum() * budget / price, most)
    out = np.floor(share + EPS)
    left = budget + COST_TOL_USD - float(out @ price)
    # The largest remainders first, then whatever is asked for and affordable, the cheapest first.
    for kind in [*np.lexsort((price, out - share)).tolist(), *np.argsort(price, kind="stable")]:
        more = min(int(most[kind] - out[kind]), int(left / price[kind]))
        more = min(more, 1) if out[kind] < share[kind] else more
        out[kind] += more
        left -= more * float(price[kind])
    return [int(n) for n in out]


class ScalingFirst(Budgeted):
    """Scaling-first for one run."""

    name = "scaling-first"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._liked: dict[int, list[list[int]]] = {}
        self._thrifty: dict[int, list[list[int]]] = {}
        self._saving = False
        self._wanted: list[int] = []

    def look(self, state: ClusterState) -> None:
        """Order the types that tasks fit: by their durations, and by the cost of the work."""
        super().look(state)
        for job in self.work.ended:
            self._liked.pop(job.number, None)
            self._thrifty.pop(job.number, None)
        for job in self.work.arrived:
            usd = job.usd()
            fast = [np.lexsort((cost, held)) for cost, held in zip(usd, job.table_s, strict=True)]
            thrifty = [
                np.lexsort((held, cost)) for cost, held in zip(usd, job.table_s, strict=True)
            ]
            for table, orders in ((self._liked, fast), (self._thrifty, thrifty)):
                table[job.number] = [
                    [k for k in order.tolist() if math.isfinite(held[k])]
                    for order, held in zip(orders, job.table_s, strict=True)
                ]

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the types that a task fits, most liked first."""
        table = self._thrifty if self._saving else self._liked
        return table[job.number][job.cls[i]]

    def plan(self, state: ClusterState, fleet: Fleet) -> None:
        """Set the fleet."""
        price = 3600.0 * state.catalog.price_per_s
        self._saving = False
        demand = self._demand(price.size)
        if float(np.ceil(demand - EPS) @ price) > self.budget + COST_TOL_USD:
            self._saving = True
            demand = self._demand(price.size)
        self._wanted = fleet_of(demand, price, self.budget)

    def _demand(self, n_types: int) -> FloatArray:
        """Return the machines of each type that all that runs or is ready would use now."""
        out = np.zeros(n_types)
        tasks = [(job, i) for _, _, job, i in self.queue.items()] + self.work.fresh
        for job in self.work.jobs.values():
            tasks += [(job, i) for i in np.flatnonzero(job.view.status == RUNNING).tolist()]
        for job, i in tasks:
            kind = self.types_of(job, i)[0]
            out[kind] += job.shares[job.cls[i], kind]
        return out

    def place(self, fleet: Fleet, job: OpenJob, i: int) -> Room | None:
        """Return a lease of the type that a task likes most, else that on which it ends first."""
        liked, *others = self.types_of(job, i)
        room = fleet.best(job, i, liked)
        if room is not None:
            return room
        for kind in sorted(others, key=lambda k: job.duration_s(i, k)):
            room = fleet.best(job, i, kind)
            if room is not None:
                return room
        return None

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return what was set at the last plan."""
        return self.within(self._wanted, 3600.0 * state.catalog.price_per_s)


def make(terms: Terms) -> ScalingFirst:
    """Return scaling-first for one run.

    Raises
    ------
    InputError
        No budget by the hour.
    """
    return ScalingFirst(terms)
