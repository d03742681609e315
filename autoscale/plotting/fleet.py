"""A plan's fleet over time: vCPUs leased and vCPUs busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.plotting import style
from autoscale.plotting.gantt import gantt_titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autoscale.model.arrays import FloatArray, Int32Array, IntArray
    from autoscale.plan.plan import Plan


def plot_fleet(plan: Plan, ax: Axes | None = None) -> Axes:
    """Draw how many vCPUs are leased, booting and busy at every moment.

    Parameters
    ----------
    plan
        The plan.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.
    """
    ax = style.new_axes(11.5, 4.0) if ax is None else ax
    vcpus = plan.problem.catalog.vcpus[plan.lease_type]
    start, end = plan.lease_start_s, plan.lease_end_s
    booted = np.minimum(start + plan.problem.boot_s, end)
    horizon = max(float(end.max(initial=0.0)), plan.problem.deadline_s or 0.0, 1e-9)
    unit_s, unit = style.time_unit(horizon)
    leased = _level(start, end, vcpus)
    ready = _level(booted, end, vcpus)
    busy = _level(plan.task_start_s, plan.task_end_s, plan.problem.workflow.vcpus)
    for (time_s, level), colour, label, z in (
        (leased, style.BOOT, "booting", 1),
        (ready, style.IDLE, "idle", 2),
        (busy, style.PALETTE[0], "busy", 3),
    ):
        ax.fill_between(
            time_s / unit_s, level, step="post", color=colour, linewidth=0, label=label, zorder=z
        )
    ax.step(leased[0] / unit_s, leased[1], where="post", color=style.INK, linewidth=0.9, zorder=4)
    style.plain_frame(ax)
    ax.grid(axis="y", color=style.IDLE, linewidth=0.8)
    ax.set_xlim(0, horizon * 1.015 / unit_s)
    ax.set_ylim(0, None)
    ax.set_xlabel(f"{unit} since submission", fontsize=9, color=style.INK)
    ax.set_ylabel("vCPUs", fontsize=9, color=style.INK)
    style.draw_deadline(ax, plan, unit_s)
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False, fontsize=8.5, reverse=True
    )
    style.headline(ax, *gantt_titles(plan))
    return ax


def _level(
    start_s: FloatArray, end_s: FloatArray, amount: IntArray | Int32Array
) -> tuple[FloatArray, FloatArray]:
    """Return the times at which the sum of amounts held changes, and the sum from then on."""
    time_s, at = np.unique(np.concatenate([[0.0], start_s, end_s]), return_inverse=True)
    change = np.concatenate([[0], amount, -amount.astype(np.int64)])
    return time_s, np.cumsum(np.bincount(at, weights=change, minlength=time_s.size))
