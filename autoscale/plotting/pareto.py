"""Cost against makespan: the plans of a front, and the region that no plan can reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.plotting import style
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autoscale.model.arrays import FloatArray
    from autoscale.plan.front import ParetoFront

LOGARITHMIC = 4.0
"""An axis whose largest figure is so many times its least is drawn in logarithms."""

NICE_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 57600)
"""Durations that are labelled on the time axis, besides days."""

LABEL_PT = (88.0, 12.0)
"""Width and height that a label takes, in points."""

NEAR = 0.1
"""Gap up to which the bound is drawn so near that a label has no room above it."""

IMPOSSIBLE = style.IDLE


def plot_pareto(front: ParetoFront, ax: Axes | None = None) -> Axes:
    """Draw the plans as a staircase, and the certified lower bound as the edge of a shaded region.

    A plan is at hand for every makespan at or right of its point. No plan can lie in the shaded
    region; the white strip between the two is what is not known.

    Parameters
    ----------
    front
        The front, with at least one plan.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.
    """
    ax = style.new_axes(9.0, 5.4) if ax is None else ax
    makespan = np.array([plan.makespan_s for plan in front.points])
    cost = np.array([plan.cost_usd for plan in front.points])
    limits = _limits(front, makespan, cost)
    _axes(ax, *limits)
    _bound(ax, front, *limits)
    right = limits[0][1]
    ax.step(
        [*makespan, right], [*cost, cost[-1]], where="post",
        color=style.PALETTE[0], linewidth=2.0, zorder=4, label="plans found",
    )  # fmt: skip
    ax.plot(
        makespan, cost, "o",
        color=style.PALETTE[0], markersize=6.5, markeredgecolor="white", zorder=5, clip_on=False,
    )  # fmt: skip
    _label_points(ax, front, makespan, cost)
    style.headline(ax, *_titles(front))
    return ax


def _limits(
    front: ParetoFront, makespan: FloatArray, cost: FloatArray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ends of the time axis and of the cost axis."""
    least, last = float(front.deadline_s[0]), float(max(front.deadline_s[-1], makespan[-1]))
    room = (last / least) ** 0.06 if last > LOGARITHMIC * least else 1 + 0.06 * (last / least - 1)
    low, high = float(front.bound_usd[-1]), float(cost[0])
    if high > LOGARITHMIC * low:
        return (least / room, last), (low / (high / low) ** 0.12, high * (high / low) ** 0.12)
    return (least / room, last), (max(0.0, low - 0.5 * (high - low)), high + 0.15 * (high - low))


def _axes(ax: Axes, times: tuple[float, float], costs: tuple[float, float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator

    style.plain_frame(ax)
    ax.grid(axis="y", color=style.IDLE, linewidth=0.8)
    if times[1] > LOGARITHMIC * times[0]:
        ax.set_xscale("log")
    days = tuple(86400 * n for n in (1, 2, 4, 7, 14, 30, 90, 365))
    nice = [s for s in (*NICE_S, *days) if times[0] <= s <= times[1]]
    ax.xaxis.set_major_locator(FixedLocator(nice) if len(nice) > 2 else MaxNLocator(6))
    ax.xaxis.set_minor_locator(FixedLocator([]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda s, _: _plain(format_duration(s))))
    if costs[0] > 0 and costs[1] > LOGARITHMIC * costs[0]:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_minor_locator(FixedLocator([]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda usd, _: _money(usd)))
    ax.set_xlim(*times)
    ax.set_ylim(*costs)
    ax.set_xlabel("makespan", fontsize=9, color=style.INK)
    ax.set_ylabel("cost", fontsize=9, color=style.INK)


def _plain(duration: str) -> str:
    """Return a duration without parts that are zero: 10m00s is 10m."""
    for unit, zero in (("m", "00s"), ("h", "00m")):
        duration = duration.removesuffix(zero) if duration.endswith(unit + zero) else duration
    return duration


def _bound(
    ax: Axes, front: ParetoFront, times: tuple[float, float], costs: tuple[float, float]
) -> None:
    """Shade what no plan can reach: sooner than the least makespan, or cheaper than the bound."""
    # A plan that ends after one deadline and by the next costs at least the next one's bound.
    edge = [front.deadline_s[0], *front.deadline_s]
    height = [costs[1], *front.bound_usd]
    ax.fill_between(
        [times[0], *edge], [costs[1], *height], costs[0], step="pre",
        color=IMPOSSIBLE, linewidth=0, zorder=1,
    )  # fmt: skip
    ax.step(
        edge, height, where="pre", color=style.FAINT_INK, linewidth=1.2, zorder=3,
        label="certified lower bound",
    )  # fmt: skip
    ax.annotate(
        "no plan can be here", xy=(0, 0), xycoords="axes fraction", xytext=(10, 9),
        textcoords="offset points", fontsize=9, style="italic", color=style.FAINT_INK, zorder=6,
    )  # fmt: skip


def _label_points(ax: Axes, front: ParetoFront, makespan: FloatArray, cost: FloatArray) -> None:
    """Write cost and gap beside each plan whose label has room; the ends' labels come first."""
    scale = ax.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    taken: list[tuple[float, float]] = []
    last = len(front) - 1
    for i in sorted(range(len(front)), key=lambda i: (i not in (0, last), i)):
        plan, x, y = front.points[i], float(makespan[i]), float(cost[i])
        digits = 1 if plan.gap < 0.1 else 0
        gap = f", gap {plan.gap:.{digits}%}" if np.isfinite(plan.gap) else ""
        at, height = ax.transData.transform((x, y))
        end = i == last and at > ax.transAxes.transform((0.88, 0))[0]
        left = at - LABEL_PT[0] * scale if end else at
        # Above the last point is the stair that leads to it; the bound may be right below.
        beside = (-10, -3) if plan.gap > NEAR else (-6, -14)
        if any(
            abs(left - other) < LABEL_PT[0] * scale and abs(height - level) < LABEL_PT[1] * scale
            for other, level in taken
        ):
            continue
        taken.append((left, height))
        ax.annotate(
            _money(y) + gap, xy=(x, y), xytext=beside if end else (6, 7),
            textcoords="offset points", ha="right" if end else "left", fontsize=8,
            color=style.INK, zorder=6,
        )  # fmt: skip


def _titles(front: ParetoFront) -> tuple[str, str]:
    problem = front.points[0].problem
    regions = ", ".join(problem.catalog.regions)
    quick, cheap = front.points[0], front.points[-1]
    return (
        f"{style.shortened(problem.workflow.name, 40)}: what speed costs",
        f"{len(problem.workflow):,} tasks in {regions}, from {_money(quick.cost_usd)} in "
        f"{format_duration(quick.makespan_s)} to {_money(cheap.cost_usd)} in "
        f"{format_duration(cheap.makespan_s)}",
    )


def _money(usd: float) -> str:
    """Return dollars as text in which a dollar sign begins no formula."""
    return format_money(usd).replace("$", r"\$")
