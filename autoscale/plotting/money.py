"""Where a plan's money goes, as stacked bars by instance type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from autoscale.plan.money import CATEGORIES, Money, TypeMoney
from autoscale.plotting import style
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autoscale.model.arrays import FloatArray
    from autoscale.plan.plan import Plan

MOST_TYPES = 12
"""Types with bars of their own; the cheaper ones share one."""

COLOURS = {
    "compute": style.PALETTE[0],
    "transfers": style.PALETTE[4],
    "boot": style.BOOT,
    "idle": style.PALETTE[1],
    "rounding": style.PALETTE[3],
}
"""Colours of the categories."""


class Explained(Protocol):
    """What is drawn of an explanation."""

    @property
    def plan(self) -> Plan:
        """The plan."""

    @property
    def by_type(self) -> tuple[TypeMoney, ...]:
        """Where the money of each instance type goes, the dearest type first."""

    @property
    def money(self) -> Money:
        """Where the money of the whole plan goes."""


def plot_money(explanation: Explained, ax: Axes | None = None) -> Axes:
    """Draw a bar for each instance type, stacked by what its money buys.

    Parameters
    ----------
    explanation
        What ``explain_plan`` returns.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.
    """
    rows = _rows(explanation)
    ax = (
        style.new_axes(10.0, float(np.clip(1.7 + 0.36 * len(rows), 2.4, 7.0))) if ax is None else ax
    )
    usd = np.array([list(money.by_category().values()) for _, money in rows]).T
    at = np.arange(len(rows))
    left = np.zeros(len(rows))
    total = explanation.money.total_usd or 1.0
    whole = explanation.money.by_category()
    for name, values in zip(CATEGORIES, usd, strict=True):
        label = f"{name} {whole[name] / total:.1%}"
        ax.barh(
            at,
            values,
            0.72 if len(rows) > 1 else 0.45,
            left,
            color=COLOURS[name],
            label=label,
            zorder=2,
        )
        left = left + values
    _label_ends(ax, left, total)
    style.plain_frame(ax)
    ax.set_yticks(at, labels=[name for name, _ in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.set_xlim(0, float(left.max(initial=0.0)) * 1.2 or 1.0)
    ax.set_xlabel("US dollars", fontsize=9, color=style.INK)
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.005, 1.0),
        frameon=False,
        fontsize=8.5,
        labelcolor=style.INK,
        handlelength=1.1,
        handleheight=1.0,
    )
    plan = explanation.plan
    name = style.shortened(plan.problem.workflow.name, 40)
    plural = "" if plan.n_leases == 1 else "s"
    details = f"{plan.n_leases:,} lease{plural}, done in {format_duration(plan.makespan_s)}"
    style.headline(ax, f"{name}: where the {format_money(plan.cost_usd)} goes", details)
    return ax


def _rows(explanation: Explained) -> list[tuple[str, Money]]:
    """Return label and money of each bar."""
    types = explanation.by_type
    shown = types if len(types) <= MOST_TYPES else types[: MOST_TYPES - 1]
    rows = [(f"{t.leases:,} x {t.instance_type}", t.money) for t in shown]
    rest = types[len(shown) :]
    if rest:
        leases = sum(t.leases for t in rest)
        label = f"{leases:,} of {len(rest)} more types"
        rows.append((label, Money.summed(t.money for t in rest)))
    return rows


def _label_ends(ax: Axes, ends: FloatArray, total: float) -> None:
    """Write each bar's amount and share behind its end."""
    for y, x in enumerate(ends.tolist()):
        ax.annotate(
            f"{format_money(x)}  {x / total:.1%}",
            xy=(x, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=style.INK,
        )
