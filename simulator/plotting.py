"""Pictures of simulated runs: how cost and makespan are spread, and one run in full."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.plotting import style
from autoscale.units import format_duration, format_money
from simulator.events import ENDED, attempts_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autoscale.model.arrays import FloatArray
    from autoscale.plan.plan import Plan
    from simulator.records import SimulationResult
    from simulator.replay import Replications

BAD = style.INK
"""Colour of attempts that failed or were lost."""
MOST_ROWS = 400
"""With more machines than this, only the first are drawn."""


def plot_spread(runs: Replications, deadline_s: float | None = None) -> Axes:
    """Draw histograms of makespan and cost over runs, with the plan's own figures.

    Parameters
    ----------
    runs
        At least one of them completed.
    deadline_s
        Marked where given.

    Returns
    -------
    Axes
        The first of two; ``ax.figure`` has both.
    """
    from matplotlib.figure import Figure

    done = np.isfinite(runs["makespan_s"])
    if not done.any():
        raise InputError("no run was completed, so there is nothing to draw")
    figure = Figure(figsize=(11.0, 3.9), dpi=150, layout="constrained")
    axes = figure.subplots(1, 2)
    makespan_s, cost_usd = runs["makespan_s"][done], runs["cost_usd"][done]
    horizon_s = max(float(makespan_s.max()), deadline_s or 0.0)
    unit_s, unit = style.time_unit(horizon_s)
    _histogram(axes[0], makespan_s / unit_s, runs.plan.makespan_s / unit_s, format_duration, unit_s)
    axes[0].set_xlabel(f"makespan, {unit}", fontsize=9, color=style.INK)
    if deadline_s is not None:
        axes[0].axvline(deadline_s / unit_s, color=style.DEADLINE, lw=1.3, ls=(0, (5, 3)))
        _label(axes[0], deadline_s / unit_s, "deadline", style.DEADLINE, row=1)
    _histogram(axes[1], cost_usd, runs.plan.cost_usd, format_money, 1.0)
    axes[1].set_xlabel("cost, USD", fontsize=9, color=style.INK)
    met = ""
    if deadline_s is not None:
        met = f"   |   {(runs['makespan_s'] <= deadline_s + 1e-6).mean():.1%} by the deadline"
    name = style.shortened(runs.plan.problem.workflow.name, 40)
    given_up = f"   |   {int((~done).sum()):,} given up" if not done.all() else ""
    style.headline(axes[0], name, f"{len(runs):,} runs{met}{given_up}")
    first: Axes = axes[0]
    return first


def _histogram(ax: Axes, values: FloatArray, planned: float, form: Any, unit: float) -> None:
    bins = min(60, max(8, int(np.sqrt(values.size) * 1.5)))
    ax.hist(values, bins=bins, color=style.PALETTE[0], edgecolor="white", linewidth=0.4)
    style.plain_frame(ax)
    p50, p95 = np.quantile(values, [0.5, 0.95])
    for x, text, colour, row in (
        (planned, f"plan {form(planned * unit)}", style.INK, 2),
        (p50, f"P50 {form(p50 * unit)}", style.PALETTE[1], 3),
        (p95, f"P95 {form(p95 * unit)}", style.PALETTE[3], 4),
    ):
        ax.axvline(x, color=colour, linewidth=1.2)
        _label(ax, x, text, colour, row)
    ax.margins(x=0.08)
    ax.set_ylim(0, ax.get_ylim()[1] * 1.45)
    ax.set_ylabel("runs", fontsize=9, color=style.INK)


def _label(ax: Axes, x: float, text: str, colour: str, row: int) -> None:
    left, right = ax.get_xlim()
    side = "right" if x > (left + right) / 2 else "left"
    ax.annotate(
        text,
        xy=(x, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if side == "right" else 4, -11 * row + 4),
        textcoords="offset points",
        ha=side,
        fontsize=8.5,
        color=colour,
        annotation_clip=False,
    )


def plot_run(result: SimulationResult, ax: Axes | None = None) -> Axes:
    """Draw one run: a row a machine, its boot hatched, every attempt of a task on a lane.

    Attempts that ended well have the colour of the task's category, those that failed or were
    lost are red.

    Parameters
    ----------
    result
        A run with its events recorded.
    ax
        Axes to draw on; those of a new figure if None.
    """
    if result.events is None:
        raise InputError("the run has no events: simulate it with events=True")
    rows = min(result.n_leases, MOST_ROWS)
    ax = style.new_axes(11.5, float(np.clip(1.6 + 0.24 * rows, 3.0, 9.0))) if ax is None else ax
    horizon_s = max(float(np.nanmax(result.leases.released_s)), result.problem.deadline_s or 0.0)
    unit_s, unit = style.time_unit(horizon_s)
    _draw_machines(ax, result, rows, unit_s)
    legend = _draw_attempts(ax, result, rows, unit_s)
    style.plain_frame(ax)
    ax.set_xlim(0, horizon_s * 1.015 / unit_s)
    ax.set_ylim(rows, -0.3)
    ax.set_yticks([])
    ax.set_xlabel(f"{unit} since submission", fontsize=9, color=style.INK)
    shown = f"{rows:,}" if rows == result.n_leases else f"{rows:,} of {result.n_leases:,}"
    ax.set_ylabel(f"{shown} machines", fontsize=9, color=style.INK)
    if result.problem.deadline_s is not None:
        ax.axvline(result.problem.deadline_s / unit_s, color=style.DEADLINE, lw=1.3, ls=(0, (5, 3)))
    from matplotlib.patches import Patch

    ax.legend(
        handles=[Patch(facecolor=colour, label=label) for label, colour in legend],
        loc="upper left",
        bbox_to_anchor=(1.005, 1.0),
        frameon=False,
        fontsize=8.5,
        labelcolor=style.INK,
    )
    w = result.problem.workflow
    details = f"{result.n_leases:,} machines, {int(result.tasks.attempts.sum()):,} task starts"
    ended = f"done in {format_duration(result.makespan_s)}" if not result.reason else "given up"
    title = f"{style.shortened(w.name, 40)}: {format_money(result.cost_usd)}"
    style.headline(ax, title, f"{ended}   |   {details}")
    return ax


def _boxes(x0: Any, x1: Any, y0: Any, y1: Any) -> Any:
    return np.stack(
        [np.stack(corner, axis=-1) for corner in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], axis=1
    )


def _draw_machines(ax: Axes, result: SimulationResult, rows: int, unit_s: float) -> None:
    from matplotlib.collections import PolyCollection

    leases, y = result.leases, np.arange(rows, dtype=np.float64)
    start, end = leases.requested_s[:rows], leases.released_s[:rows]
    booted = np.fmin(np.where(np.isnan(leases.ready_s[:rows]), end, leases.ready_s[:rows]), end)
    held = _boxes(start / unit_s, end / unit_s, y, y + 0.86)
    boots = _boxes(start / unit_s, booted / unit_s, y, y + 0.86)
    ax.add_collection(PolyCollection(held, facecolors=style.IDLE, linewidths=0, zorder=1))
    ax.add_collection(
        PolyCollection(
            boots,
            facecolors=style.BOOT_GROUND,
            edgecolors=style.BOOT,
            hatch="//////",
            linewidths=0,
            zorder=2,
        )
    )


def _draw_attempts(
    ax: Axes, result: SimulationResult, rows: int, unit_s: float
) -> list[tuple[str, str]]:
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    w = result.problem.workflow
    assert result.events is not None
    found = attempts_of(result.events)
    found = found[found[:, 1] < rows]
    most = np.zeros(rows)
    np.maximum.at(most, found[:, 1].astype(int), found[:, 5] + 1)
    machine = found[:, 1].astype(int)
    height = 0.86 / np.maximum(most[machine], 1)
    y0 = machine + found[:, 5] * height
    colours, legend = style.category_colours(_busy_plan(result))
    table = np.array([to_rgb(colour) for colour in colours])
    face = table[w.category[found[:, 0].astype(int)]]
    face[found[:, 4] != ENDED] = to_rgb(BAD)
    corners = _boxes(found[:, 2] / unit_s, found[:, 3] / unit_s, y0, y0 + height)
    ax.add_collection(
        PolyCollection(corners, facecolors=face, edgecolors="white", linewidths=0.15, zorder=3)
    )
    lost = [("failed or lost", BAD)] if (found[:, 4] != ENDED).any() else []
    return [*legend[:8], *lost]


def _busy_plan(result: SimulationResult) -> Plan:
    """Return the run as a plan, in which tasks that never ended take no time."""
    ended = result.tasks.end_s == result.tasks.end_s
    tasks = dataclasses.replace(
        result.tasks,
        start_s=np.where(ended, result.tasks.start_s, 0.0),
        end_s=np.where(ended, result.tasks.end_s, 0.0),
    )
    return dataclasses.replace(result, tasks=tasks, reason=None).as_plan()
