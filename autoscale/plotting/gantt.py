"""A plan as a Gantt chart: leases with their boot, busy and idle time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.plotting import style
from autoscale.plotting.lanes import Rows, busy_blocks, lease_rows, merged
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autoscale.model.arrays import FloatArray
    from autoscale.plan.plan import Plan

OWN_ROWS = 48
"""With at most this many leases each has a row; with more, leases that follow share one."""

OUTLINED, OUTLINED_ROWS = 1200, 100
"""With at most this many blocks, in at most this many rows, each block is outlined."""

MERGE_FROM = 4000
"""With more blocks than this, neighbours of one category are drawn as one."""

_PIXELS = 2000
_BETWEEN_GROUPS, _BETWEEN_GROUPS_SHARE = 0.7, 0.012
_LINE_IN = 0.165


def plot_gantt(plan: Plan, ax: Axes | None = None) -> Axes:
    """Draw the leases of a plan over time.

    A row is a lease, as high as the square root of its vCPUs; leases are grouped by instance
    type, the dearest group on top. Hatched is boot, pale is idle, and every task takes the lanes
    of its vCPUs in the colour of its category. In plans of many leases, a row holds several that
    follow one another.

    Parameters
    ----------
    plan
        The plan.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.
    """
    rows = lease_rows(plan, share=plan.n_leases > OWN_ROWS)
    top, height = _heights(plan, rows)
    extent = float(top[-1] + height[-1]) if top.size else 1.0
    if ax is None:
        ax = style.new_axes(11.5, float(np.clip(1.5 + 0.24 * extent, 3.0, 8.5)))
    unit_s, unit = style.time_unit(_horizon_s(plan))
    _draw_leases(ax, plan, top[rows.row], height[rows.row], unit_s)
    legend = _draw_tasks(
        ax, plan, top[rows.row], height[rows.row], unit_s, thin=top.size > OUTLINED_ROWS
    )
    style.plain_frame(ax)
    ax.set_xlim(0, _horizon_s(plan) * 1.015 / unit_s)
    ax.set_ylim(extent + 0.3, -0.3)
    ax.set_xlabel(f"{unit} since submission", fontsize=9, color=style.INK)
    _label_groups(ax, plan, rows, top, height)
    style.draw_deadline(ax, plan, unit_s)
    _draw_legend(ax, legend)
    style.headline(ax, *gantt_titles(plan))
    return ax


def gantt_titles(plan: Plan) -> tuple[str, str]:
    """Return the title of a plan and the line under it."""
    w = plan.problem.workflow
    title = f"{style.shortened(w.name, 40)}: {len(w):,} tasks for {format_money(plan.cost_usd)}"
    details = [f"done in {format_duration(plan.makespan_s)}{_margin(plan.slack_s)}"]
    plural = "" if plan.n_leases == 1 else "s"
    details.append(f"{plan.n_leases:,} lease{plural}, {plan.utilisation:.0%} busy")
    if math.isfinite(plan.gap):
        details.append(f"at most {plan.gap:.1%} above the optimum")
    return title, "   |   ".join(details)


def _margin(slack_s: float) -> str:
    """Return how far the end is from the deadline, in words."""
    if not math.isfinite(slack_s):
        return ""
    if 0 <= slack_s < 1:
        return ", just before the deadline"
    side = "before the deadline" if slack_s > 0 else "late"
    return f", {format_duration(abs(slack_s))} {side}"


def _horizon_s(plan: Plan) -> float:
    ends = float(plan.lease_end_s.max(initial=0.0))
    return max(ends, plan.makespan_s, plan.problem.deadline_s or 0.0, 1e-9)


def _heights(plan: Plan, rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Return the top and the height of each row, downwards."""
    height = np.sqrt(plan.problem.catalog.vcpus[rows.row_type].astype(np.float64))
    gap = 0.16 if rows.row_type.size <= OUTLINED_ROWS else 0.0
    step = height + gap
    between = max(_BETWEEN_GROUPS, _BETWEEN_GROUPS_SHARE * float(step.sum()))
    step[:-1] += np.where(np.diff(rows.row_type) != 0, between, 0.0)
    top = np.concatenate([[0.0], np.cumsum(step)[:-1]])[: height.size]
    return top, height


def _rectangles(x0: Any, x1: Any, y0: Any, y1: Any) -> Any:
    """Return the corners of rectangles, shape (n, 4, 2)."""
    return np.stack(
        [np.stack(corner, axis=-1) for corner in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], axis=1
    )


def _draw_leases(ax: Axes, plan: Plan, top: FloatArray, height: FloatArray, unit_s: float) -> None:
    from matplotlib.collections import PolyCollection

    start, end = plan.lease_start_s, plan.lease_end_s
    booted = np.minimum(start + plan.problem.boot_s, end)
    leased = _rectangles(start / unit_s, end / unit_s, top, top + height)
    booting = _rectangles(start / unit_s, booted / unit_s, top, top + height)
    ax.add_collection(PolyCollection(leased, facecolors=style.IDLE, linewidths=0, zorder=1))
    ax.add_collection(
        PolyCollection(
            booting,
            facecolors=style.BOOT_GROUND,
            edgecolors=style.BOOT,
            hatch="//////",
            linewidths=0,
            zorder=2,
        )
    )


def _draw_tasks(
    ax: Axes, plan: Plan, top: FloatArray, height: FloatArray, unit_s: float, *, thin: bool
) -> list[tuple[str, str]]:
    from matplotlib.collections import PolyCollection

    colours, legend = style.category_colours(plan)
    blocks = busy_blocks(plan)
    if blocks.task.size > MERGE_FROM:
        blocks = merged(plan, blocks, _horizon_s(plan) / _PIXELS)
    lease = plan.task_lease[blocks.task]
    lane_height = height[lease] / plan.problem.catalog.vcpus[plan.lease_type[lease]]
    y0 = top[lease] + blocks.lane * lane_height
    corners = _rectangles(
        blocks.start_s / unit_s, blocks.end_s / unit_s, y0, y0 + blocks.height * lane_height
    )
    from matplotlib.colors import to_rgb

    table = np.array([to_rgb(colour) for colour in colours])
    face = table[plan.problem.workflow.category[blocks.task]]
    outlined = blocks.task.size <= OUTLINED and not thin
    ax.add_collection(
        PolyCollection(
            corners,
            facecolors=face,
            edgecolors="white" if outlined else face,
            linewidths=0.45 if outlined else 0.2,
            zorder=3,
        )
    )
    return legend


def _label_groups(ax: Axes, plan: Plan, rows: Rows, top: FloatArray, height: FloatArray) -> None:
    """Name the groups at the left, the highest first, as long as names do not overlap."""
    n_leases = np.bincount(plan.lease_type, minlength=len(plan.problem.catalog))
    figure = ax.get_figure(root=True)
    inches = ax.get_position().height * (figure.get_figheight() if figure else 5.0)
    line = _LINE_IN / max(inches, 0.1) * abs(ax.get_ylim()[0] - ax.get_ylim()[1])
    groups = []
    for kind in dict.fromkeys(rows.row_type.tolist()):
        members = np.flatnonzero(rows.row_type == kind)
        groups.append((top[members[0]], top[members[-1]] + height[members[-1]], kind))
    ticks: dict[float, str] = {}
    taken: list[tuple[float, float]] = []
    for low, high, kind in sorted(groups, key=lambda g: (g[0] - g[1], g[2])):
        t, n_lines = plan.problem.catalog[kind], 2 if high - low >= 1.5 * line else 1
        centre, half = 0.5 * (low + high), 0.5 * n_lines * line
        if all(centre + half <= a or centre - half >= b for a, b in taken):
            taken.append((centre - half, centre + half))
            name = f"{n_leases[kind]:,} x {t.key}"
            ticks[centre] = name + (f"\n{t.vcpus} vCPU" if n_lines == 2 else "")
    ax.set_yticks(list(ticks), labels=list(ticks.values()))
    ax.tick_params(axis="y", length=0)


def _draw_legend(ax: Axes, legend: list[tuple[str, str]]) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=label) for label, colour in legend]
    patches += [
        Patch(facecolor=style.IDLE, label="idle"),
        Patch(
            facecolor=style.BOOT_GROUND,
            edgecolor=style.BOOT,
            hatch="//////",
            linewidth=0,
            label="boot",
        ),
    ]
    ax.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=(1.005, 1.0),
        frameon=False,
        fontsize=8.5,
        labelcolor=style.INK,
        handlelength=1.1,
        handleheight=1.0,
    )
