"""What several planners make of one problem, side by side with the certified bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one planner made of the problem.

    Parameters
    ----------
    planner
        Its name.
    seconds
        How long it took.
    cost_usd, makespan_s
        Of its plan; nan where it found none for the goal.
    leases
        How many machines the plan leases.
    utilisation
        Busy over leased vCPU-seconds.
    reason
        Why there is no plan; empty where there is one.
    """

    planner: str
    seconds: float
    cost_usd: float = math.nan
    makespan_s: float = math.nan
    leases: int = 0
    utilisation: float = math.nan
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether there is a plan that meets the goal."""
        return not self.reason


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The outcomes of several planners for one problem.

    Parameters
    ----------
    problem
        What was planned.
    outcomes
        One a planner, the best first, those without a plan last.
    certificate
        The largest lower bound that any of the planners certified; it holds for all plans. None
        where no planner found a plan.
    """

    problem: Problem
    outcomes: tuple[Outcome, ...]
    certificate: Certificate | None

    @property
    def about_time(self) -> bool:
        """Whether makespans are compared, within a budget, and not costs."""
        return self.problem.deadline_s is None and self.problem.budget_usd is not None

    def value(self, outcome: Outcome) -> float:
        """Return what is minimised: USD, or seconds where only a budget is given."""
        return outcome.makespan_s if self.about_time else outcome.cost_usd

    def gap(self, outcome: Outcome) -> float:
        """Return how far at most an outcome is above the least possible, relative; nan if unknown.

        nan as well where there is no plan.
        """
        if self.certificate is None or not self.certificate.lower_bound > 0:
            return math.nan
        return max(0.0, self.value(outcome) / self.certificate.lower_bound - 1)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a planner, the best first."""
        import pandas as pd

        bound = math.nan if self.certificate is None else self.certificate.lower_bound
        kind = "seconds" if self.about_time else "usd"
        return pd.DataFrame(
            [
                {
                    "planner": o.planner,
                    "found": o.found,
                    "cost_usd": o.cost_usd,
                    "makespan_seconds": o.makespan_s,
                    f"lower_bound_{kind}": bound,
                    "gap": self.gap(o) if o.found else math.nan,
                    "leases": o.leases,
                    "utilisation": o.utilisation,
                    "planning_seconds": o.seconds,
                    "reason": o.reason,
                }
                for o in self.outcomes
            ]
        )
