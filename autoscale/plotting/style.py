"""What the plots have in common: colours, the figure, the time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.units import format_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autoscale.plan.plan import Plan

PALETTE = (
    "#3B6FB6",
    "#F28E2B",
    "#4FA36B",
    "#D1495B",
    "#76B7C4",
    "#E3B505",
    "#8E6BBF",
    "#EF8FA0",
    "#8C6D53",
)
"""Colours of the categories of tasks, in the order in which the workflow meets them."""

OTHER = "#A7ADB5"
"""Colour of all further categories together."""

INK, FAINT_INK, DEADLINE = "#20262E", "#6B7480", "#B3202C"
IDLE, BOOT, BOOT_GROUND = "#E8EBEF", "#C4CAD2", "#F6F7F9"

_UNITS = ((180.0, 1.0, "seconds"), (3 * 3600.0, 60.0, "minutes"), (96 * 3600.0, 3600.0, "hours"))


def new_axes(width_in: float, height_in: float) -> Axes:
    """Return axes on a figure of their own, outside the global state of pyplot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=150, layout="constrained")
    axes: Axes = figure.add_subplot()
    return axes


def time_unit(longest_s: float) -> tuple[float, str]:
    """Return the seconds and the name of the unit in which a time axis reads best."""
    for most, seconds, name in _UNITS:
        if longest_s <= most:
            return seconds, name
    return 86400.0, "days"


def category_colours(plan: Plan) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the colour of each category, and ``(label, colour)`` pairs for a legend.

    The categories with most work get colours of their own; the others share one.
    """
    w = plan.problem.workflow
    busy = np.bincount(
        w.category, weights=(plan.task_end_s - plan.task_start_s) * w.vcpus,
        minlength=len(w.categories),
    )  # fmt: skip
    most = set(np.argsort(-busy, kind="stable")[: len(PALETTE)].tolist())
    first_seen = dict.fromkeys(w.category.tolist())
    own = dict(zip((c for c in first_seen if c in most), PALETTE, strict=False))
    colours = [own.get(c, OTHER) for c in range(len(w.categories))]
    legend = [(shortened(w.categories[c]), colour) for c, colour in own.items()]
    n_others = len(first_seen) - len(own)
    if n_others > 0:
        legend.append((f"{n_others} more categories", OTHER))
    return colours, legend


def shortened(text: str, most: int = 26) -> str:
    """Return the text, cut in the middle where it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most - 11]}...{text[-8:]}"


def plain_frame(ax: Axes) -> None:
    """Leave the axes only the frame that helps reading."""
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT_INK)
    ax.tick_params(colors=FAINT_INK, labelcolor=INK, labelsize=8.5)
    ax.grid(axis="x", color=IDLE, linewidth=0.8)
    ax.set_axisbelow(True)


def headline(ax: Axes, title: str, details: str) -> None:
    """Write a bold title and a line of details over the axes, flush left."""
    ax.set_title(title + "\n", loc="left", fontsize=12.5, fontweight="bold", color=INK, pad=16)
    _note(ax, details, x=0, up=19, colour=FAINT_INK, side="left")


def draw_deadline(ax: Axes, plan: Plan, unit_s: float) -> None:
    """Mark the deadline, where there is one, with its label over the axes."""
    deadline = plan.problem.deadline_s
    if deadline is None:
        return
    x = deadline / unit_s
    ax.axvline(x, color=DEADLINE, linewidth=1.3, linestyle=(0, (5, 3)), zorder=5)
    label = f"deadline {format_duration(deadline)}"
    _note(ax, label, x=x, up=4, colour=DEADLINE, side="right", data=True)


def _note(
    ax: Axes, text: str, *, x: float, up: float, colour: str, side: str, data: bool = False
) -> None:
    """Write a line over the axes, ``up`` points above them."""
    ax.annotate(
        text,
        xy=(x, 1),
        xycoords=("data" if data else "axes fraction", "axes fraction"),
        xytext=(0, up),
        textcoords="offset points",
        ha=side,
        fontsize=9,
        color=colour,
        annotation_clip=False,
    )
