"""Planners side by side: what each plan costs (or takes), against the certified bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.plotting import style
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autoscale.plan.comparison import Comparison

LONGEST = 4.0
"""Bars end at so many times the shortest one; longer ones are cut, with their figures."""

ROW_IN = 0.27
"""Height of a bar and the room around it, inches."""


def plot_comparison(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw a bar a planner, the best on top, from the bound on where no plan can be below it.

    Parameters
    ----------
    comparison
        With at least one planner that found a plan; those that found none are listed below.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.
    """
    found = [o for o in comparison.outcomes if o.found]
    missed = [o.planner for o in comparison.outcomes if not o.found]
    ax = style.new_axes(8.6, 1.7 + ROW_IN * len(comparison.outcomes)) if ax is None else ax
    form = format_duration if comparison.about_time else format_money
    value = np.array([comparison.value(o) for o in found])
    row = np.arange(len(found))
    style.plain_frame(ax)
    drawn = np.minimum(value, LONGEST * value.min())
    ax.barh(row, drawn, height=0.62, color=style.PALETTE[0], zorder=3)
    for y, (outcome, reached) in enumerate(zip(found, value, strict=True)):
        cut = "(cut) " if reached > drawn[y] else ""
        ax.annotate(
            f"{cut}{form(float(reached))}, {comparison.gap(outcome):,.1%}, {outcome.seconds:.2g} s",
            (float(drawn[y]), y), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=8, color=style.FAINT_INK,
        )  # fmt: skip
    labels = [o.planner for o in found]
    for y, name in enumerate(missed, len(found)):
        labels.append(name)
        ax.annotate(
            "no plan for the goal", (0, y), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=8, color=style.DEADLINE,
        )  # fmt: skip
    ax.set_yticks(np.arange(len(labels)), labels, fontsize=9)
    ax.set_ylim(len(labels) - 0.4, -0.9)
    ax.set_xlim(0, 1.35 * float(drawn.max()))
    ax.xaxis.set_major_formatter(lambda at, _: form(at) if at > 0 else "0")
    _bound(ax, comparison)
    style.headline(ax, *_titles(comparison))
    return ax


def _bound(ax: Axes, comparison: Comparison) -> None:
    """Draw the certified bound as a line that no bar can end left of."""
    if comparison.certificate is None:
        return
    bound = comparison.certificate.lower_bound
    form = format_duration if comparison.about_time else format_money
    ax.axvline(bound, color=style.DEADLINE, linewidth=1.3, zorder=4)
    ax.annotate(
        f"certified bound {form(bound)}", (bound, 1.0), xycoords=("data", "axes fraction"),
        xytext=(4, -3), textcoords="offset points", va="top", fontsize=8,
        color=style.DEADLINE,
    )  # fmt: skip


def _titles(comparison: Comparison) -> tuple[str, str]:
    problem = comparison.problem
    goals = []
    if problem.deadline_s is not None:
        goals.append(f"deadline {format_duration(problem.deadline_s)}")
    if problem.budget_usd is not None:
        goals.append(f"budget {format_money(problem.budget_usd)}")
    what = "Makespan" if comparison.about_time else "Cost"
    goal = ", ".join(goals) or "time is free"
    return (
        f"{what} by planner: {problem.workflow.name}",
        f"{len(problem.workflow):,} tasks, {goal}; at a bar: {what.lower()}, gap to the bound, "
        "time to plan",
    )
