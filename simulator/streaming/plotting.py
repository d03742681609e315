"""Pictures of streams: each policy's fleet against the demand that it met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.plotting import style
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from autoscale.model.arrays import FloatArray
    from simulator.records import SimulationResult
    from simulator.streaming.report import PolicyRun, StreamReport

PANEL_IN = 1.9
"""Height of a policy's panel, inches."""


def plot_fleets(report: StreamReport, seed: int | None = None) -> Axes:
    """Draw leased and busy vCPUs against demand over time, a panel a policy.

    Demand is what tasks that are ready or running ask for.

    Parameters
    ----------
    report
        With the records of the seed's runs.
    seed
        Which stream; the first of which there are records if None.

    Returns
    -------
    Axes
        The first panel; ``ax.figure`` has all.

    Raises
    ------
    InputError
        There are no records of that seed.
    """
    from matplotlib.figure import Figure

    kept = [run for run in report.runs if run.result is not None]
    wanted = kept[0].seed if kept and seed is None else seed
    runs = [run for run in kept if run.seed == wanted]
    if not runs:
        raise InputError(f"plot: no records of seed {wanted} were kept")
    figure = Figure(figsize=(11.5, 1.1 + PANEL_IN * len(runs)), dpi=150, layout="constrained")
    axes = figure.subplots(len(runs), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    ends = [
        float(np.nanmax(run.result.leases.released_s, initial=0.0)) for run in runs if run.result
    ]
    horizon_s = max([*ends, report.scenario.horizon_s])
    unit_s, unit = style.time_unit(horizon_s)
    for ax, run in zip(axes, runs, strict=True):
        _panel(ax, run, unit_s)
        if report.scenario.is_ensemble:
            ax.axvline(report.scenario.horizon_s / unit_s, color=style.DEADLINE, lw=1.2, ls="--")
    axes[-1].set_xlim(0, horizon_s * 1.01 / unit_s)
    axes[-1].set_ylim(0, None)
    axes[-1].set_xlabel(unit, fontsize=9, color=style.INK)
    axes[0].legend(
        loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False, fontsize=8.5, reverse=True
    )
    name = style.shortened(report.scenario.name, 60)
    figure.suptitle(
        f"{name}: fleet against demand, seed {wanted}",
        x=0.01, ha="left", fontsize=12.5, fontweight="bold", color=style.INK,
    )  # fmt: skip
    first: Axes = axes[0]
    return first


def _panel(ax: Any, run: PolicyRun, unit_s: float) -> None:
    result = run.result
    assert result is not None
    leases, tasks = result.leases, result.tasks
    vcpus = result.problem.catalog.vcpus[leases.type]
    end_s = leases.released_s
    ready_s = np.where(np.isnan(leases.ready_s), end_s, np.minimum(leases.ready_s, end_s))
    asked = result.problem.workflow.vcpus
    last_s = float(np.nanmax(end_s, initial=0.0))
    for (time_s, level), colour, label, z in (
        (_level(leases.requested_s, end_s, vcpus), style.BOOT, "booting", 1),
        (_level(ready_s, end_s, vcpus), style.IDLE, "idle", 2),
        (_level(tasks.start_s, np.where(np.isnan(tasks.end_s), last_s, tasks.end_s), asked),
         style.PALETTE[0], "busy", 3),
    ):  # fmt: skip
        ax.fill_between(
            time_s / unit_s, level, step="post", color=colour, linewidth=0, label=label, zorder=z
        )
    demand = _level(*_wanted_s(result), asked)
    ax.step(
        demand[0] / unit_s, demand[1], where="post", color=style.DEADLINE, linewidth=1.0,
        label="demand", zorder=4,
    )  # fmt: skip
    style.plain_frame(ax)
    ax.grid(axis="y", color=style.IDLE, linewidth=0.8)
    ax.set_ylabel("vCPUs", fontsize=9, color=style.INK)
    stopped = "   STOPPED" if run.stopped else ""
    ax.set_title(f"{run.policy}: {_facts(run)}{stopped}", loc="left", fontsize=9.5, color=style.INK)


def _facts(run: PolicyRun) -> str:
    """Return what a run cost and how its jobs fared, in a line."""
    jobs = run.jobs
    ended = ~np.isnan(jobs.end_s)
    n, with_deadline = ended.size, int((~np.isnan(jobs.deadline_s)).sum())
    parts = [format_money(run.figures["cost_usd"])]
    if with_deadline:
        parts.append(f"{int(jobs.missed.sum()):,} of {with_deadline:,} deadlines missed")
    if not ended.all():
        parts.append(f"{int(ended.sum()):,} of {n:,} jobs ended")
    elif not with_deadline:
        parts.append(
            f"{n:,} jobs took {format_duration(float(jobs.turnaround_s.mean()))} on average"
        )
    return ", ".join([*parts, f"{run.figures['utilisation']:.0%} utilised"])


def _wanted_s(result: SimulationResult) -> tuple[FloatArray, FloatArray]:
    """Return from when to when each task wanted a machine; NaN where it never did."""
    w = result.problem.workflow
    ready_s = np.array(result.tasks.ready_s)
    end_s = np.array(result.tasks.end_s)
    child = np.repeat(np.arange(len(w)), np.diff(w.parent_ptr))
    ready_s[child[np.isnan(end_s[w.parents])]] = np.nan
    last_s = float(np.nanmax(result.leases.released_s, initial=0.0))
    ended = ~np.isnan(end_s)
    end_s[~ended] = np.maximum(ready_s[~ended], last_s)
    return ready_s, end_s


def _level(start_s: FloatArray, end_s: FloatArray, amount: Any) -> tuple[FloatArray, FloatArray]:
    """Return the times at which the sum of amounts held changes, and the sum from then on."""
    known = ~(np.isnan(start_s) | np.isnan(end_s))
    start_s, end_s, amount = start_s[known], end_s[known], np.asarray(amount)[known]
    time_s, at = np.unique(np.concatenate([[0.0], start_s, end_s]), return_inverse=True)
    change = np.concatenate([[0], amount, -amount.astype(np.int64)])
    return time_s, np.cumsum(np.bincount(at, weights=change, minlength=time_s.size))
