"""The Pareto front of cost against makespan: plans, and what no plan can beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from autoscale.model.arrays import FloatArray
    from autoscale.plan.plan import Plan


@dataclass(frozen=True, kw_only=True, eq=False)
class ParetoFront:
    """Plans of which none is both quicker and cheaper than another, by makespan.

    Parameters
    ----------
    points
        The plans, quickest first; each plan's problem has the deadline that it was made for, and
        its certificate bounds the cost of any plan that ends by that deadline.
    deadline_s, bound_usd
        The certified lower bound on cost as a staircase: no plan that ends by ``deadline_s[i]``
        costs less than ``bound_usd[i]``. Deadlines ascend, bounds do not.
    """

    points: tuple[Plan, ...]
    deadline_s: FloatArray
    bound_usd: FloatArray

    def __len__(self) -> int:
        return len(self.points)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a plan: deadline, makespan, cost, bound, gap, leases."""
        import pandas as pd

        plans = self.points
        bounds = [plan.certificate.lower_bound if plan.certificate else 0.0 for plan in plans]
        return pd.DataFrame(
            {
                "deadline_s": [plan.problem.deadline_s for plan in plans],
                "makespan_s": [plan.makespan_s for plan in plans],
                "cost_usd": [plan.cost_usd for plan in plans],
                "bound_usd": bounds,
                "gap": [plan.gap for plan in plans],
                "leases": [plan.n_leases for plan in plans],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw cost against makespan; see ``autoscale.plotting.pareto``."""
        from importlib import import_module

        # Plotting is a layer above; it is reached by name so that imports keep pointing down.
        drawn: Axes = import_module("autoscale.plotting.pareto").plot_pareto(self, ax)
        return drawn

    def __repr__(self) -> str:
        if not self.points:
            return "ParetoFront(no plans)"
        quick, cheap = self.points[0], self.points[-1]
        return (
            f"ParetoFront({quick.problem.workflow.name!r}: {len(self)} plans, "
            f"{format_duration(quick.makespan_s)} for {format_money(quick.cost_usd)} to "
            f"{format_duration(cheap.makespan_s)} for {format_money(cheap.cost_usd)}, "
            f"largest gap {max(plan.gap for plan in self.points):.1%})"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame()
        for column in ("deadline_s", "makespan_s"):
            table[column.removesuffix("_s")] = table.pop(column).map(format_duration)
        for column in ("cost_usd", "bound_usd"):
            table[column.removesuffix("_usd")] = table.pop(column).map(format_money)
        table["gap"] = table["gap"].map("{:.1%}".format)
        columns = ["deadline", "makespan", "cost", "bound", "gap", "leases"]
        html = table[columns].to_html(index=False)
        return f"<p><b>{self!r}</b></p>{html}"
