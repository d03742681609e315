"""Why a plan costs what it costs and takes as long as it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoscale.optimize.shadow_prices import ShadowPrices, shadow_prices
from autoscale.plan.chain import Link, critical_chain
from autoscale.plan.money import Money, TypeMoney, money_by_type
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.catalog import Catalog
    from autoscale.plan.plan import Plan


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """Where a plan's money and time go, and what would change that; see :func:`explain_plan`.

    Parameters
    ----------
    plan
        The plan.
    by_type
        Where the money of each instance type goes, the dearest type first.
    chain
        What decides the makespan: links from submission to the end of the last task.
    prices
        What the linear relaxation says, or None where it was not asked or had no time.
    """

    plan: Plan
    by_type: tuple[TypeMoney, ...]
    chain: tuple[Link, ...]
    prices: ShadowPrices | None

    @property
    def money(self) -> Money:
        """Where the money of the whole plan goes; adds up to its cost."""
        return Money.summed(row.money for row in self.by_type)

    def to_frame(self) -> pd.DataFrame:
        """Return USD: one row an instance type and one for all, one column a category."""
        import pandas as pd

        rows = [*((t.instance_type, t.leases, t.money) for t in self.by_type)]
        rows.append(("total", self.plan.n_leases, self.money))
        return pd.DataFrame(
            [
                {"instance_type": name, "leases": n} | m.by_category() | {"total": m.total_usd}
                for name, n, m in rows
            ]
        ).set_index("instance_type")

    def chain_frame(self) -> pd.DataFrame:
        """Return one row a link of the critical chain."""
        import pandas as pd

        w, names = self.plan.problem.workflow, self.plan.problem.catalog.names
        return pd.DataFrame(
            {
                "kind": link.kind,
                "start_s": link.start_s,
                "end_s": link.end_s,
                "seconds": link.seconds,
                "task": str(w.ids[link.task]) if link.task >= 0 else "",
                "lease": link.lease,
                "instance_type": names[int(self.plan.lease_type[link.lease])],
                "after": link.after,
            }
            for link in self.chain
        )

    def runner_ups_frame(self) -> pd.DataFrame:
        """Return one row a runner-up type: its price and the one at which it would enter."""
        import pandas as pd

        columns = ("instance_type", "price_usd_per_hour", "enters_at_usd_per_hour")
        found = self.prices.runner_ups if self.prices is not None else ()
        table = pd.DataFrame([[getattr(r, c) for c in columns] for r in found], columns=columns)
        return table.assign(fall=[r.fall for r in found])

    def __repr__(self) -> str:
        total = self.plan.cost_usd
        shares = ", ".join(
            f"{name} {usd / total if total else 0.0:.0%}"
            for name, usd in self.money.by_category().items()
        )
        tasks = sum(link.kind == "task" for link in self.chain)
        return (
            f"Explanation({self.plan.problem.workflow.name!r}: {format_money(total)}, of that "
            f"{shares}; {format_duration(self.plan.makespan_s)} over a chain of {tasks} tasks)"
        )

    def _repr_html_(self) -> str:
        money = self.to_frame().to_html(float_format=lambda x: f"{x:,.4f}")
        runners = self.runner_ups_frame()
        table = "" if runners.empty else runners.to_html(index=False, float_format="{:.4f}".format)
        return f"<p><b>{self!r}</b></p>{money}{table}"


def explain_plan(
    plan: Plan,
    *,
    prices: bool = True,
    offer: Catalog | None = None,
    time_limit_s: float = 60.0,
) -> Explanation:
    """Return where a plan's money and time go, and what would change that.

    Parameters
    ----------
    plan
        A plan that keeps the rules.
    prices
        Whether to solve the linear relaxation for the worth of more time and for runner-up types.
    offer
        Types that could be leased besides those in the plan's catalogue; a plan that was read
        from a file knows only the types that it leases.
    time_limit_s
        Seconds after which the relaxation is not solved any further.

    Examples
    --------
    >>> import autoscale as az
    >>> problem = az.make_problem(az.read_workflow("example:sipht"), types="m7i.large")
    >>> found = explain_plan(az.solve(problem, planner="cheapest"), prices=False)
    >>> abs(found.money.total_usd - found.plan.cost_usd) < 1e-9
    True
    """
    return Explanation(
        plan=plan,
        by_type=money_by_type(plan),
        chain=critical_chain(plan),
        prices=shadow_prices(plan, offer=offer, time_limit_s=time_limit_s) if prices else None,
    )
