"""Interactive pictures of a study: each a plain dict as plotly.js takes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from autoscale.plotting import style
from simulator.study.cells import efficient, relative_figures, shares_met
from simulator.study.profiles import performance_profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from autoscale.model.arrays import FloatArray
    from simulator.study.fleets import PlannedFleet
    from simulator.study.ranking import Ranking
    from simulator.study.runs import Study

Chart: TypeAlias = "dict[str, Any]"
"""``data`` (traces) and ``layout``."""

DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
LARGEST_RATIO = 10.0
"""Profiles are drawn up to this multiple of the best, at most."""

FACTOR = "deadline (x1: a boot and the critical path on the fastest types)"
"""Title of an axis of deadlines that were asked for as multiples."""

RATIO_TICKS = (1, 1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 2, 3, 5, 7, 10)
"""Labelled multiples of the best."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One colour, dash and symbol for each entrant, the same in every picture."""

    entrants: tuple[str, ...]
    _place: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        place = {name: i for i, name in enumerate(self.entrants)}
        object.__setattr__(self, "_place", place)

    def colour(self, entrant: str) -> str:
        """Return its colour."""
        return style.PALETTE[self._place[entrant] % len(style.PALETTE)]

    def dash(self, entrant: str) -> str:
        """Return the dash of its line."""
        return DASHES[self._place[entrant] // len(style.PALETTE) % len(DASHES)]

    def symbol(self, entrant: str) -> str:
        """Return the shape of its marker."""
        return SYMBOLS[self._place[entrant] % len(SYMBOLS)]

    def line(self, entrant: str, **more: Any) -> dict[str, Any]:
        """Return a trace of lines and markers in the entrant's look."""
        return {
            "type": "scatter",
            "mode": "lines+markers",
            "name": escaped(entrant),
            "legendgroup": entrant,
            "line": {"color": self.colour(entrant), "width": 2, "dash": self.dash(entrant)},
            "marker": {
                "color": self.colour(entrant),
                "size": 8,
                "symbol": self.symbol(entrant),
                "line": {"color": "white", "width": 1},
            },
            **more,
        }


def layout(x: str, y: str, *, height: int = 440, **more: Any) -> dict[str, Any]:
    """Return the layout that all pictures share, with the titles of the axes."""
    axis = {"gridcolor": style.IDLE, "linecolor": style.BOOT, "zeroline": False, "automargin": True}
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 16, "b": 52},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": style.INK},
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y}},
    }
    for name, value in more.items():
        base[name] = {**base[name], **value} if name in base else value
    return base


def ranking_chart(ranking: Ranking, look: Look) -> Chart:
    """Return mean ranks with bars of half a critical difference to either side.

    Bars of two entrants overlap exactly if the two are not told apart.
    """
    half = ranking.critical_difference / 2
    rows = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [mean],
            "y": [name],
            "showlegend": False,
            "marker": {"color": look.colour(name), "size": 12},
            "error_x": {
                "type": "constant", "value": half, "color": look.colour(name), "thickness": 3,
                "width": 0,
            },
            "hovertemplate": f"mean rank %{{x:.2f}}, best in {wins} of {ranking.settings}"
            "<extra>%{y}</extra>",
        }
        for name, mean, wins in zip(
            ranking.entrants, ranking.mean_rank, ranking.wins, strict=True
        )
    ]  # fmt: skip
    best = ranking.mean_rank[0]
    shapes = [_band(best - half, best + half)]
    return {
        "data": rows,
        "layout": layout(
            "mean rank (1 is best)", "", height=90 + 30 * len(rows), shapes=shapes,
            yaxis={"autorange": "reversed", "type": "category"},
        ),
    }  # fmt: skip


def _band(low: float, high: float) -> dict[str, Any]:
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": low, "x1": high, "y0": 0, "y1": 1,
        "fillcolor": style.IDLE, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def cost_charts(cells: pd.DataFrame, look: Look) -> dict[str, Chart]:
    """Return mean cost against the deadline, a chart a panel, with the certified bound."""
    found = {}
    for panel, group in cells.groupby("panel", sort=False):
        timed = group[group["deadline_at"].notna()]
        if len(timed["deadline_at"].unique()) < 2:
            continue
        traces = [_cost_line(rows, str(name), look) for name, rows in _each(timed, look)]
        bound = timed.groupby("deadline_at")["lower_bound_usd"].max().dropna()
        if len(bound):
            traces.append(
                {
                    "type": "scatter", "mode": "lines", "name": "certified bound",
                    "x": bound.index.tolist(), "y": bound.tolist(),
                    "line": {"color": style.DEADLINE, "dash": "dash", "width": 1.5},
                    "hovertemplate": "no plan costs less than %{y:.4g} USD<extra></extra>",
                }
            )  # fmt: skip
        title, ticks = deadline_axis(timed)
        found[str(panel)] = {
            "data": traces,
            "layout": layout(title, "mean cost, USD", xaxis=ticks, yaxis={"rangemode": "tozero"}),
        }
    return found


def _cost_line(rows: pd.DataFrame, name: str, look: Look) -> dict[str, Any]:
    rows = rows.sort_values("deadline_at")
    told = [
        f"{done} of {runs} runs" + ("" if math.isnan(met) else f", {met:.0%} in time")
        for done, runs, met in zip(rows["completed"], rows["runs"], rows["met"], strict=True)
    ]
    return look.line(
        name,
        x=rows["deadline_at"].tolist(),
        y=plain(rows["cost_usd"]),
        error_y=_errors(rows["cost_usd"], rows["cost_low"], rows["cost_high"], look.colour(name)),
        text=told,
        hovertemplate="%{y:.4g} USD, %{text}<extra>" + escaped(name) + "</extra>",
    )


def deadline_axis(rows: pd.DataFrame) -> tuple[str, dict[str, Any]]:
    """Return the title and the ticks of an axis of deadlines."""
    at = rows.drop_duplicates("deadline_at").sort_values("deadline_at")
    labels = (at["deadline"] if "deadline" in at.columns else at["deadline_at"]).astype(str)
    factors = labels.str.startswith("x").all()
    title = FACTOR if factors else "deadline"
    ticks = {"tickvals": at["deadline_at"].tolist(), "ticktext": labels.tolist()}
    spread = at["deadline_at"].max() / at["deadline_at"].min()
    return title, {**ticks, **({"type": "log"} if spread > 4 else {})}


def _each(rows: pd.DataFrame, look: Look) -> Iterable[tuple[str, pd.DataFrame]]:
    for name in look.entrants:
        own = rows[rows["entrant"] == name]
        if len(own):
            yield name, own


def _errors(
    mean: pd.Series[float], low: pd.Series[float], high: pd.Series[float], colour: str
) -> dict[str, Any]:
    return {
        "type": "data", "symmetric": False, "array": plain(high - mean),
        "arrayminus": plain(mean - low), "color": colour, "thickness": 1.2, "width": 3,
    }  # fmt: skip


def pareto_charts(cells: pd.DataFrame, look: Look, *, streams: bool = False) -> dict[str, Chart]:
    """Return mean cost against mean makespan (turnaround), a chart a panel, with the front."""
    time_s = "turnaround_s" if streams else "makespan_s"
    found = {}
    for panel, group in cells.groupby("panel", sort=False):
        known = group[np.isfinite(group[time_s]) & np.isfinite(group["cost_usd"])]
        if known.empty:
            continue
        unit_s, unit = style.time_unit(float(known[time_s].max()))
        traces = [_staircase(known[time_s] / unit_s, known["cost_usd"])]
        for name, rows in _each(known, look):
            label = rows["deadline"] if "deadline" in rows.columns else rows["panel"]
            traces.append(
                look.line(
                    name, mode="markers", x=(rows[time_s] / unit_s).tolist(),
                    y=rows["cost_usd"].tolist(), text=label.tolist(),
                    hovertemplate=f"%{{x:.4g}} {unit}, %{{y:.4g}} USD (%{{text}})<extra>"
                    f"{escaped(name)}</extra>",
                )
            )  # fmt: skip
        what = "turnaround" if streams else "makespan"
        found[str(panel)] = {
            "data": traces,
            "layout": layout(f"mean {what}, {unit}", "mean cost, USD"),
        }
    return found


def _staircase(x: pd.Series[float], y: pd.Series[float]) -> dict[str, Any]:
    xs, ys = x.tolist(), y.tolist()
    front = efficient(xs, ys)
    return {
        "type": "scatter", "mode": "lines", "name": "not beaten in both",
        "x": [xs[i] for i in front], "y": [ys[i] for i in front],
        "line": {"shape": "hv", "color": style.OTHER, "width": 6}, "opacity": 0.55,
        "hoverinfo": "skip",
    }  # fmt: skip


def profile_charts(study: Study, look: Look, figures: Sequence[str]) -> dict[str, Chart]:
    """Return the performance profile of each figure of which less is better."""
    found = {}
    for figure in figures:
        table = study.table(figure).dropna()
        if table.empty or not np.isfinite(table.to_numpy()).any():
            continue
        steps = performance_profile(table)
        end = min(LARGEST_RATIO, 1.05 * float(steps["ratio"].max()))
        traces = []
        for name, rows in _each(steps, look):
            ratio, share = rows["ratio"].tolist(), rows["share"].tolist()
            inside = [r for r in ratio if r <= end]
            traces.append(
                look.line(
                    name, mode="lines", x=[*inside, end], y=[*share[: len(inside)],
                    share[len(inside) - 1]],
                    hovertemplate="within %{x:.3g} times the best in %{y:.0%} of settings<extra>"
                    f"{escaped(name)}</extra>",
                )
            )  # fmt: skip
            traces[-1]["line"]["shape"] = "hv"
        what = {"cost_usd": "cost", "makespan_s": "makespan", "turnaround_s": "turnaround"}
        word = what.get(figure, figure)
        found[word] = {
            "data": traces,
            "layout": layout(
                f"{word} as a multiple of the best (logarithmic)", "share of settings",
                xaxis={"type": "log", "range": [0, math.log10(end)], **ratio_ticks(end)},
                yaxis={"range": [0, 1.02], "tickformat": ".0%"},
            ),
        }  # fmt: skip
    return found


def ratio_ticks(end: float) -> dict[str, Any]:
    """Return ticks of a logarithmic axis of ratios from 1, far enough apart to be read."""
    apart = math.log(end) / 14
    ticks: list[float] = [1.0]
    for tick in RATIO_TICKS[1:]:
        if tick <= end and math.log(tick / ticks[-1]) >= apart:
            ticks.append(tick)
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def spread_charts(study: Study, look: Look) -> dict[str, Chart]:
    """Return box plots of figures that can be compared over settings; whiskers P5 and P95."""
    found = {}
    entrant = study.runs["entrant"]
    for name, column in relative_figures(study).items():
        boxes = []
        for who in look.entrants:
            x = np.asarray(column[entrant == who].dropna(), np.float64)
            if x.size:
                boxes.append(_box(who, x, look))
        found[name] = {
            "data": boxes,
            "layout": layout(name, "", height=110 + 36 * len(boxes),
                             yaxis={"autorange": "reversed", "type": "category"}),
        }  # fmt: skip
    return found


def _box(name: str, x: FloatArray, look: Look) -> dict[str, Any]:
    p5, q1, median, q3, p95 = np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    return {
        "type": "box", "orientation": "h", "name": name, "y": [name], "q1": [q1],
        "median": [median], "q3": [q3], "lowerfence": [p5], "upperfence": [p95],
        "mean": [float(x.mean())], "boxmean": True, "showlegend": False, "width": 0.55,
        "marker": {"color": look.colour(name)}, "line": {"width": 1.5},
    }  # fmt: skip


def met_chart(study: Study, look: Look) -> Chart | None:
    """Return how often each deadline was met, or None where there is none."""
    shares = shares_met(study)
    if shares.empty:
        return None
    labels = list(dict.fromkeys(shares["deadline"]))
    traces = []
    width = 0.6 / max(1, len(look.entrants))
    for number, (name, rows) in enumerate(_each(shares, look)):
        aside = (number - (len(look.entrants) - 1) / 2) * width
        trace = look.line(
            name,
            mode="markers",
            x=[labels.index(d) + aside for d in rows["deadline"]],
            y=rows["met"].tolist(),
            error_y=_errors(rows["met"], rows["low"], rows["high"], look.colour(name)),
            text=[f"{h} of {n} runs" for h, n in zip(rows["hits"], rows["runs"], strict=True)],
            hovertemplate="%{y:.1%}, %{text}<extra>" + escaped(name) + "</extra>",
        )
        traces.append(trace)
    return {
        "data": traces,
        "layout": layout(
            "deadline", "share of runs in time",
            xaxis={"tickvals": list(range(len(labels))), "ticktext": labels,
                   "range": [-0.5, len(labels) - 0.5]},
            yaxis={"range": [-0.02, 1.04], "tickformat": ".0%"},
        ),
    }  # fmt: skip


def fleet_charts(fleets: Sequence[PlannedFleet], look: Look) -> dict[str, Chart]:
    """Return the vCPUs that plans lease over time, a chart for each setting."""
    settings: dict[str, list[PlannedFleet]] = {}
    for fleet in fleets:
        told = ", ".join(v for v in (fleet.panel, fleet.deadline) if v)
        settings.setdefault(told, []).append(fleet)
    found = {}
    for setting, group in settings.items():
        last_s = max(float(fleet.time_s[-1]) for fleet in group)
        unit_s, unit = style.time_unit(last_s)
        traces = [
            look.line(
                fleet.entrant, mode="lines", x=(fleet.time_s / unit_s).tolist(),
                y=fleet.vcpus.tolist(), text=f"{fleet.leases:,} machines",
                hovertemplate="%{y:,.0f} vCPUs, %{text} in all<extra>"
                f"{escaped(fleet.entrant)}</extra>",
            )
            for fleet in group
        ]  # fmt: skip
        for trace in traces:
            trace["line"]["shape"] = "hv"
        due = group[0].deadline_s / unit_s
        line = {
            "type": "line", "yref": "paper", "x0": due, "x1": due, "y0": 0, "y1": 1,
            "line": {"color": style.DEADLINE, "dash": "dash", "width": 1.2},
        }  # fmt: skip
        shapes = [line] if due == due else []
        found[setting] = {
            "data": traces,
            "layout": layout(f"{unit} since submission", "vCPUs leased", shapes=shapes),
        }
    return found


def plain(values: pd.Series[float]) -> list[float | None]:
    """Return values as JSON knows them: None for what is not finite."""
    return [float(v) if math.isfinite(v) else None for v in values]


def escaped(text: str) -> str:
    """Return a text that plotly shows as it stands."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
