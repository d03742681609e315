"""Figures of a study for papers: data in, axes out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.formats.files import atomic_write
from autoscale.plotting import style
from simulator.study.cells import cells, efficient, relative_figures
from simulator.study.charts import LARGEST_RATIO, Look, deadline_axis, ratio_ticks
from simulator.study.profiles import performance_profile
from simulator.study.ranking import rank

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from autoscale.formats.files import PathLike
    from simulator.study.ranking import Ranking
    from simulator.study.runs import Study

MARKERS = ("o", "s", "D", "^", "P", "X", "*")
DASHES = ("-", "--", ":", "-.")
KINDS = ("pdf", "png", "svg")
"""Kinds of files that figures are written to."""


def plot_ranking(ranking: Ranking, ax: Axes | None = None) -> Axes:
    """Draw a critical-difference diagram after Demsar (2006).

    Entrants hang from the axis of mean ranks, the best on the left; a bar joins those that are not
    told apart.

    Parameters
    ----------
    ranking
        As of :func:`rank`.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.
    """
    k = len(ranking.entrants)
    rows = (k + 1) // 2
    ax = style.new_axes(7.0, 1.1 + 0.24 * (rows + len(ranking.groups))) if ax is None else ax
    low, high = 1.0, float(k)
    ax.set_xlim(low - 0.3 * (k - 1), high + 0.3 * (k - 1))
    top = 0.5 + 0.45 * len(ranking.groups)
    ax.set_ylim(top + rows, -1.9)
    ax.axis("off")
    ax.plot([low, high], [0, 0], color=style.INK, lw=1.2)
    for tick in range(1, k + 1):
        ax.plot([tick, tick], [-0.25, 0], color=style.INK, lw=1.0)
        ax.text(tick, -0.4, str(tick), ha="center", va="bottom", fontsize=8.5, color=style.INK)
    for place, (name, mean) in enumerate(zip(ranking.entrants, ranking.mean_rank, strict=True)):
        left = place < rows
        y = top + (place if left else k - 1 - place) + 0.25
        end = low - 0.04 * k if left else high + 0.04 * k
        ax.plot([mean, mean, end], [0, y, y], color=style.FAINT_INK, lw=0.9)
        ax.text(
            end, y, f"{name}  {mean:.2f} " if left else f" {mean:.2f}  {name}",
            ha="right" if left else "left", va="center", fontsize=9, color=style.INK,
        )  # fmt: skip
    _bars(ax, ranking, low)
    return ax


def _bars(ax: Axes, ranking: Ranking, low: float) -> None:
    """Draw the critical difference, and a bar for each group of entrants."""
    cd = ranking.critical_difference
    ax.plot([low, low + cd], [-1.35, -1.35], color=style.DEADLINE, lw=1.6)
    ax.text(low, -1.5, f"critical difference {cd:.2f}", fontsize=8, color=style.DEADLINE)
    ranks = dict(zip(ranking.entrants, ranking.mean_rank, strict=True))
    for row, group in enumerate(ranking.groups):
        y = 0.45 + 0.45 * row
        ends = [ranks[group[0]] - 0.03, ranks[group[-1]] + 0.03]
        ax.plot(ends, [y, y], color=style.INK, lw=3, solid_capstyle="butt")


def plot_profiles(study: Study, figure: str = "cost_usd", ax: Axes | None = None) -> Axes:
    """Draw the performance profiles of a figure of which less is better.

    Parameters
    ----------
    study
        The runs.
    figure
        A column of them.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.
    """
    steps = performance_profile(study.table(figure))
    ax = style.new_axes(6.2, 3.6) if ax is None else ax
    look = Look(entrants=study.entrants)
    end = max(1.01, min(LARGEST_RATIO, 1.05 * float(steps["ratio"].max())))
    for i, name in enumerate(study.entrants):
        rows = steps[steps["entrant"] == name]
        x, y = rows["ratio"].tolist(), rows["share"].tolist()
        ax.step(
            [*x, max(end, x[-1])], [*y, y[-1]], where="post", color=look.colour(name), lw=1.6,
            ls=DASHES[i // len(style.PALETTE) % len(DASHES)], label=name,
        )  # fmt: skip
    ticks = ratio_ticks(end)
    ax.set_xscale("log")
    ax.set_xlim(1, end)
    ax.set_xticks(ticks["tickvals"], ticks["ticktext"])
    ax.set_xticks([], minor=True)
    ax.set_ylim(-0.02, 1.02)
    word = figure.removesuffix("_usd").removesuffix("_s").replace("_", " ")
    _finish(ax, f"{word} as a multiple of the best", "share of settings")
    return ax


def plot_cost_by_deadline(study: Study, panel: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw mean cost with its intervals against the deadline, and the certified bound.

    Parameters
    ----------
    study
        The runs.
    panel
        Which setting, as ``cells(study)["panel"]`` names it; the first if None.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.

    Raises
    ------
    InputError
        No such setting, or it has no deadlines.
    """
    found = cells(study)
    found = found[found["panel"] == _panel(found["panel"].tolist(), panel)]
    found = found[found["deadline_at"].notna()]
    if found.empty:
        raise InputError("the runs have no deadline, so there is nothing to draw")
    ax = style.new_axes(6.2, 3.6) if ax is None else ax
    look = Look(entrants=study.entrants)
    for i, name in enumerate(study.entrants):
        rows = found[found["entrant"] == name].sort_values("deadline_at")
        low = rows["cost_usd"] - rows["cost_low"].fillna(rows["cost_usd"])
        high = rows["cost_high"].fillna(rows["cost_usd"]) - rows["cost_usd"]
        ax.errorbar(
            rows["deadline_at"], rows["cost_usd"], yerr=[low, high], color=look.colour(name),
            marker=MARKERS[i % len(MARKERS)], markersize=4.5, lw=1.4, capsize=2, label=name,
        )  # fmt: skip
    bound = found.groupby("deadline_at")["lower_bound_usd"].max().dropna()
    if len(bound):
        ax.plot(bound.index, bound, color=style.DEADLINE, lw=1.2, ls="--", label="certified bound")
    title, ticks = deadline_axis(found)
    if "type" in ticks:
        ax.set_xscale("log")
    ax.set_xticks(ticks["tickvals"], ticks["ticktext"])
    ax.set_xticks([], minor=True)
    ax.set_ylim(bottom=0)
    _finish(ax, title, "mean cost, USD")
    return ax


def plot_front(study: Study, panel: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw mean cost against mean makespan (turnaround of streams), with what is not beaten.

    Parameters
    ----------
    study
        The runs.
    panel
        Which setting, as ``cells(study)["panel"]`` names it; the first if None.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.

    Raises
    ------
    InputError
        No such setting, or no run of it was completed.
    """
    found = cells(study)
    time_s = "turnaround_s" if study.streams else "makespan_s"
    found = found[found["panel"] == _panel(found["panel"].tolist(), panel)]
    found = found[np.isfinite(found[time_s]) & np.isfinite(found["cost_usd"])]
    if found.empty:
        raise InputError("no run was completed, so there is nothing to draw")
    ax = style.new_axes(6.2, 3.6) if ax is None else ax
    unit_s, unit = style.time_unit(float(found[time_s].max()))
    x, y = (found[time_s] / unit_s).tolist(), found["cost_usd"].tolist()
    front = efficient(x, y)
    ax.step(
        [x[i] for i in front], [y[i] for i in front], where="post", color=style.BOOT, lw=4,
        zorder=1, label="not beaten in both",
    )  # fmt: skip
    look = Look(entrants=study.entrants)
    for i, name in enumerate(study.entrants):
        own = (found["entrant"] == name).to_numpy()
        ax.plot(
            np.array(x)[own], np.array(y)[own], MARKERS[i % len(MARKERS)], ms=6,
            color=look.colour(name), markeredgecolor="white", label=name,
        )  # fmt: skip
    what = "turnaround" if study.streams else "makespan"
    _finish(ax, f"mean {what}, {unit}", "mean cost, USD")
    return ax


def plot_distributions(study: Study, figure: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw how a figure is spread over all runs: quartiles, and P5 and P95 as whiskers.

    Parameters
    ----------
    study
        The runs.
    figure
        One that can be compared over settings, a name in ``relative_figures(study)``; the first
        if None.
    ax
        Axes to draw on; those of a new figure (``ax.figure``) if None.

    Raises
    ------
    InputError
        No such figure, or no run was completed.
    """
    known = relative_figures(study)
    if not known:
        raise InputError("no run was completed, so there is nothing to draw")
    figure = next(iter(known)) if figure is None else figure
    if figure not in known:
        raise InputError(f"figure: expected one of {', '.join(known)}, got {figure!r}")
    entrant = study.runs["entrant"]
    samples = [np.asarray(known[figure][entrant == n].dropna()) for n in study.entrants]
    ax = style.new_axes(6.2, 0.9 + 0.32 * len(samples)) if ax is None else ax
    look = Look(entrants=study.entrants)
    for y, (name, x) in enumerate(zip(study.entrants, samples, strict=True)):
        if not x.size:
            continue
        p5, q1, median, q3, p95 = np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
        ax.plot([p5, p95], [y, y], color=style.FAINT_INK, lw=1.0, zorder=2)
        ax.barh(y, q3 - q1, left=q1, height=0.6, color=look.colour(name), zorder=3)
        ax.plot([median, median], [y - 0.3, y + 0.3], color=style.INK, lw=1.4, zorder=4)
    ax.set_yticks(range(len(samples)), study.entrants)
    ax.invert_yaxis()
    _finish(ax, figure, "", legend=False)
    return ax


def write_figures(study: Study, folder: PathLike, kind: str = "pdf") -> list[str]:
    """Write every figure that the runs allow into a folder; the same runs, the same bytes.

    Parameters
    ----------
    study
        The runs.
    folder
        Made where it does not exist; files of the same names are replaced.
    kind
        ``pdf``, ``png`` or ``svg``.

    Returns
    -------
    list of str
        Names of the files.

    Raises
    ------
    InputError
        An unknown kind, or the folder cannot be written.
    """
    if kind not in KINDS:
        raise InputError(f"kind of figures: expected one of {', '.join(KINDS)}, got {kind!r}")
    try:
        Path(folder).mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from None
    written = []
    for name, draw in drawings(study).items():
        file = f"{name}.{kind}"
        _save(draw(), Path(folder, file), kind)
        written.append(file)
    return written


def drawings(study: Study) -> dict[str, Callable[[], Axes]]:
    """Return the figures that the runs allow, by the names of their files."""
    found = cells(study)
    drawings: dict[str, Callable[[], Axes]] = {}
    costs = study.table().dropna()
    if len(study.entrants) > 1 and len(costs):
        drawings["ranking"] = lambda: plot_ranking(rank(costs))
        if np.isfinite(costs.to_numpy()).any():
            drawings["profiles"] = lambda: plot_profiles(study)
    if relative_figures(study):
        drawings["distributions"] = lambda: plot_distributions(study)
    time_s = "turnaround_s" if study.streams else "makespan_s"
    for number, panel in enumerate(dict.fromkeys(found["panel"]), 1):
        own = found[found["panel"] == panel]
        stem = f"{number:02d}-{''.join(c if c.isalnum() else '-' for c in panel)[:60]}"
        if len(own["deadline_at"].dropna().unique()) > 1:
            drawings[f"cost-{stem}"] = partial(plot_cost_by_deadline, study, panel)
        if (np.isfinite(own[time_s]) & np.isfinite(own["cost_usd"])).any():
            drawings[f"front-{stem}"] = partial(plot_front, study, panel)
    return drawings


def _save(ax: Axes, path: Path, kind: str) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    # Type 3 fonts are refused by publishers; 42 embeds TrueType.
    settings: Any = {"svg.hashsalt": "autoscale", "pdf.fonttype": 42}
    with mpl.rc_context(settings), atomic_write(path) as out:
        figure.savefig(out, format=kind, metadata=undated, dpi=300)


def _panel(known: list[str], panel: str | None) -> str:
    if panel is not None and panel not in known:
        names = ", ".join(dict.fromkeys(known))
        raise InputError(f"panel: expected one of {names}, got {panel!r}")
    return known[0] if panel is None else panel


def _finish(ax: Axes, x: str, y: str, *, legend: bool = True) -> None:
    style.plain_frame(ax)
    ax.set_xlabel(x, fontsize=9, color=style.INK)
    ax.set_ylabel(y, fontsize=9, color=style.INK)
    if legend:
        ax.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8.5,
            labelcolor=style.INK,
        )  # fmt: skip
