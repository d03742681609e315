"""The best plan and the best bound known so far, and what a failing solver may cost: nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoscale.errors import SolverError
from autoscale.lp.work import METHOD, SAFETY

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.lp.bound import Bound
    from autoscale.plan.plan import Plan

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Incumbent:
    """What is known so far: the best plan, the best bound, and in one line how it was found."""

    plan: Plan
    bound_usd: float
    gap: float
    tell: Callable[[float, float], None]
    method: str = METHOD

    def offer(self, plan: Plan) -> bool:
        """Take a plan if it is better; return whether the wanted gap is reached."""
        if plan.cost_usd < self.plan.cost_usd * (1 - 1e-9):
            self.plan = plan
            self.tell(plan.cost_usd, self.bound_usd)
        return self.reached()

    def raise_bound(self, usd: float) -> None:
        """Take a bound if it is better."""
        if usd > self.plan.cost_usd * (1 + 1e-7):
            # No bound can exceed the cost of a checked plan: this one is an error, not news.
            logger.error("a bound of %r USD exceeds a plan's %r: dropped", usd, self.plan.cost_usd)
        elif usd > self.bound_usd:
            self.bound_usd = usd
            self.tell(self.plan.cost_usd, usd)

    def reached(self) -> bool:
        """Return whether the gap is at most the wanted one."""
        return self.plan.cost_usd * SAFETY <= self.bound_usd * (1 + self.gap) * (1 + 1e-9)


def guarded(run: Callable[[], Bound]) -> Bound | None:
    """Return the bound, or None when its solver fails: a simpler bound is kept then."""
    try:
        return run()
    except (SolverError, ArithmeticError, ValueError, RuntimeError) as error:
        logger.warning("the bound's solver failed, a simpler bound is kept: %s", error)
        return None
