"""The leases as a policy sees them: what is paid for, what runs, what comes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.billing import Billing
    from autoscale.policies.protocol import LeaseView

COARSE_S = 300.0
"""With quanta of at least this, paid time is worth planning for."""


@dataclass(slots=True)
class Held:
    """What a policy remembers of a lease.

    Parameters
    ----------
    paid_until_s
        End of the quantum that is paid, or that it was decided to pay.
    leaving
        Whether it was decided not to pay another quantum.
    """

    paid_until_s: float
    leaving: bool = False
    ready_seen: bool = False
    looked_s: float = -math.inf


@dataclass(slots=True)
class Fleet:
    """The leases that are held, with what is remembered of each.

    Parameters
    ----------
    billing
        How leases are charged.
    """

    billing: Billing
    views: dict[int, LeaseView] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)

    @property
    def coarse(self) -> bool:
        """Whether leases are charged by long quanta."""
        return self.billing.quantum_s >= COARSE_S

    def paid_until_s(self, view: LeaseView, now_s: float) -> float:
        """Return until when a lease is paid if it is held now."""
        held_s = max(now_s - view.requested_s, TIME_TOL_S)
        return view.requested_s + self.billing.billed_s(held_s)

    def update(self, leases: tuple[LeaseView, ...], now_s: float) -> list[LeaseView]:
        """Take in what is held; return the leases that have become ready since."""
        self.views = {view.number: view for view in leases}
        for number in [n for n in self.held if n not in self.views]:
            del self.held[number]
        fresh = []
        for number, view in self.views.items():
            held = self.held.get(number)
            if held is None:
                held = self.held[number] = Held(self.paid_until_s(view, now_s))
            if now_s > held.paid_until_s + TIME_TOL_S:
                held.paid_until_s, held.leaving = self.paid_until_s(view, now_s), False
            if view.ready_s is not None and not held.ready_seen:
                held.ready_seen = True
                fresh.append(view)
        return fresh

    def until_s(self, number: int) -> float:
        """Return when a lease ends as decided so far; infinite while it may be renewed."""
        held = self.held[number]
        return held.paid_until_s if held.leaving else math.inf
