"""One self-contained page about an experiment: interactive, and readable without a network."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from autoscale.formats.files import atomic_write
from autoscale.units import format_duration
from simulator.study import charts, page
from simulator.study.cells import cells, not_completed, standings
from simulator.study.enough import precision
from simulator.study.page import Section, figure, paragraph, table
from simulator.study.paired import compare
from simulator.study.ranking import rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from autoscale.formats.files import PathLike
    from simulator.study.charts import Chart, Look
    from simulator.study.fleets import PlannedFleet
    from simulator.study.runs import Study

LEVEL = 0.95
WIDTH = 0.05
"""Half the width of intervals, as a share of the mean, that "enough runs" are counted for."""

MOST_LISTED = 12
"""So many values of a setting are listed by name."""


def write_report(
    study: Study,
    path: PathLike,
    *,
    title: str = "Experiment",
    source: str = "",
    fleets: Sequence[PlannedFleet] = (),
) -> None:
    """Write the report of a study as one HTML file that works offline.

    Parameters
    ----------
    study
        The runs.
    path
        The file, written whole or not at all.
    title
        Its heading.
    source
        The text of the experiment's file, shown where given.
    fleets
        What its plans lease over time, as of :func:`read_fleets`.

    Raises
    ------
    InputError
        The file cannot be written, or plotly is not installed.
    """
    text = report_html(study, title=title, source=source, fleets=fleets)
    with atomic_write(path) as out:
        out.write(text.encode())


def report_html(
    study: Study,
    *,
    title: str = "Experiment",
    source: str = "",
    fleets: Sequence[PlannedFleet] = (),
) -> str:
    """Return the page; the same runs give the same text."""
    look = charts.Look(entrants=study.entrants)
    found = cells(study, level=LEVEL)
    sections = [
        _ranking(study, look),
        _comparisons(study),
        _costs(found, look),
        _met(study, look),
        _fronts(study, found, look),
        _profiles(study, look),
        _spreads(study, look),
        _fleets(fleets, look),
        _settings(study, found),
        _precision(study),
        _lost(study),
        _source(source),
    ]
    return page.page(title, _lead(study), sections)


def _lead(study: Study) -> str:
    runs = study.runs
    done, status = int(runs["completed"].sum()), runs["status"]
    infeasible, failed = int((status == "infeasible").sum()), int((status == "failed").sum())
    counts = {
        "runs": len(runs),
        "completed": done,
        "without a plan": infeasible,
        "failed": failed,
        "given up": len(runs) - done - infeasible - failed,
    }
    told = "".join(f"<div><b>{n:,}</b>{name}</div>" for name, n in counts.items() if n)
    who = "policies" if study.streams else "planners"
    rows = {who: _listed(study.entrants)}
    for name in study.settings:
        values = [str(v) for v in dict.fromkeys(runs[name]) if v != ""]
        rows[_plural(name, len(values))] = _listed(values)
    for name in ("seed", "replication"):
        if len(runs[name].unique()) > 1:
            rows[f"{name}s"] = f"{len(runs[name].unique()):,}"
    facts = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows.items())
    return f"<div class=counts>{told}</div><dl>{facts}</dl>"


def _plural(name: str, count: int) -> str:
    return name if name == "chance" or count == 1 else f"{name}s"


def _listed(values: Sequence[str]) -> str:
    named = ", ".join(values[:MOST_LISTED])
    more = len(values) - MOST_LISTED
    return f"{len(values)}: {named}" + (f" and {more} more" if more > 0 else "")


def _costs_known(study: Study) -> pd.DataFrame:
    """Return mean costs by setting and entrant, where all entrants were run."""
    return study.table().dropna()


def _ranking(study: Study, look: Look) -> Section:
    """Return who is cheapest over all settings."""
    costs = _costs_known(study)
    if len(study.entrants) < 2 or costs.empty:
        return _empty("ranking", "Ranking by cost")
    found = rank(costs, level=LEVEL)
    body = paragraph(
        f"Mean cost of each setting, ranked in {found.settings} settings; runs without a result "
        f"come last. {_verdict(found.p_value)} Bars are half of Nemenyi's critical difference "
        f"({found.critical_difference:.2f}) to either side: two whose bars overlap are not told "
        "apart. Settings that differ only in their deadline are not independent, which makes the "
        "differences look surer than they are."
    )
    percent = dict.fromkeys(("cheapest_in", "no_result", "met"), lambda v: f"{v:.0%}")
    body += figure("ranks", "") + table(
        standings(study, level=LEVEL),
        names={"median_ratio": "median cost / cheapest", "met": "in time"},
        forms={"mean_rank": lambda v: f"{v:.2f}", "median_ratio": lambda v: f"{v:.3f}", **percent},
    )  # fmt: skip
    drawn = {"ranks": [charts.ranking_chart(found, look)]}
    return Section(key="ranking", title="Ranking by cost", body=body, charts=drawn)


def _verdict(p_value: float) -> str:
    if math.isnan(p_value):
        return "One setting says nothing of others."
    size = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    if p_value < 1 - LEVEL:
        return f"That all are alike is refuted (Friedman, {size})."
    return f"That all are alike is not refuted (Friedman, {size})."


def _comparisons(study: Study) -> Section:
    """Return how the others compare with the best, in pairs."""
    title = "Paired comparisons"
    costs = _costs_known(study)
    if len(study.entrants) < 2 or len(costs) < 2 or (costs <= 0).any(axis=None):
        return _empty("pairs", title)
    best = rank(costs).entrants[0]
    found = compare(costs, baseline=best, level=LEVEL)
    found = found.assign(_at=found["mean"].fillna(math.inf)).sort_values("_at", kind="stable")
    body = paragraph(
        f"Cost against {best}, the first in rank, setting by setting with the same luck: geometric "
        f"mean of the ratios, minus 1. Intervals hold together with {LEVEL:.0%} confidence "
        "(Bonferroni); p-values are Wilcoxon's, corrected after Holm. Settings in which one of the "
        "two has no result are left out, which flatters whoever has none where it is hard."
    )
    percent = dict.fromkeys(("mean", "low", "high"), lambda v: f"{v:+.1%}")
    small = dict.fromkeys(("p_wilcoxon", "p_adjusted"), lambda v: f"{v:.2g}")
    shown = found[
        ["first", "pairs", "left_out", "mean", "low", "high", "p_wilcoxon", "p_adjusted", "better"]
    ]
    body += table(
        shown, names={"first": f"against {best}", "mean": "cost", "better": "cheaper"},
        forms={**percent, **small},
    )  # fmt: skip
    return Section(key="pairs", title=title, body=body, charts={})


def _costs(found: pd.DataFrame, look: Look) -> Section:
    drawn = charts.cost_charts(found, look)
    text = (
        "Mean cost of the runs that were completed, with 95 % intervals. No plan for a deadline "
        "costs less than the dashed line, though the luck of runs may. Where an entrant has no "
        "point it has no result."
    )
    return _menu("costs", "Cost against deadline", text, "setting", drawn)


def _met(study: Study, look: Look) -> Section:
    chart = charts.met_chart(study, look)
    drawn = {} if chart is None else {"all": chart}
    text = "Runs that ended by their deadline and within their budget, with exact 95 % intervals."
    return _menu("met", "Deadlines met", text, "", drawn)


def _fronts(study: Study, found: pd.DataFrame, look: Look) -> Section:
    drawn = charts.pareto_charts(found, look, streams=study.streams)
    text = (
        "Means of the runs that were completed, a point for each deadline. The grey line joins "
        "those that no other beats in both cost and time."
    )
    return _menu("fronts", "Cost against time", text, "setting", drawn)


def _profiles(study: Study, look: Look) -> Section:
    if len(study.entrants) < 2:
        return _empty("profiles", "Performance profiles")
    figures = ("cost_usd", "turnaround_s" if study.streams else "makespan_s")
    drawn = charts.profile_charts(study, look, figures)
    text = (
        "In what share of settings an entrant's mean is at most so many times the best one's "
        "(Dolan and More, 2002). At 1: how often it is best. A line that ends below 100 % has no "
        "result in the rest."
    )
    return _menu("profiles", "Performance profiles", text, "figure", drawn)


def _spreads(study: Study, look: Look) -> Section:
    text = "All runs that were completed: median, quartiles, mean (dashed), P5 and P95 (whiskers)."
    return _menu("spreads", "Distributions", text, "figure", charts.spread_charts(study, look))


def _fleets(fleets: Sequence[PlannedFleet], look: Look) -> Section:
    text = (
        "vCPUs that the plans lease, boot included; the dashed line is the deadline. Runs under "
        "chance hold machines longer, or more of them."
    )
    known = [fleet for fleet in fleets if fleet.entrant in look.entrants]
    return _menu("fleets", "Planned fleets", text, "setting", charts.fleet_charts(known, look))


def _settings(study: Study, found: pd.DataFrame) -> Section:
    """Return the table of all settings and entrants."""
    known = ["cost_usd", "cost_low", "cost_high", "lower_bound_usd", "makespan_s", "met",
             "utilisation", "leases", "misses", "turnaround_s", "regret"]  # fmt: skip
    columns = [*study.settings, "entrant", "runs", "completed"]
    shown = found[columns + [c for c in known if found[c].notna().any()]]
    share = dict.fromkeys(("met", "utilisation", "misses"), lambda v: f"{v:.1%}")
    times = dict.fromkeys(("makespan_s", "turnaround_s"), format_duration)
    body = paragraph("Means over the runs that were completed; a click on a heading sorts.")
    body += table(
        shown, forms={**share, **times},
        names={"cost_usd": "cost, USD", "cost_low": "low", "cost_high": "high", "met": "in time",
               "lower_bound_usd": "bound, USD", "makespan_s": "makespan",
               "turnaround_s": "turnaround", "misses": "jobs missed"},
    )  # fmt: skip
    return Section(key="settings", title="All settings", body=body, charts={})


def _precision(study: Study) -> Section:
    """Return whether there are enough runs."""
    title = "Enough runs?"
    luck = study.runs.groupby([*(study.settings or ("workflow",)), "entrant"]).size().max()
    if luck < 2:
        return _empty("enough", title)
    found = precision(study, width=WIDTH, level=LEVEL)
    found = found.sort_values("more", ascending=False, kind="stable")
    worst = found["more"].max()
    body = paragraph(
        f"Half-widths of the mean costs' 95 % intervals, as a share of the mean, and how many more "
        f"runs of a setting bring them to {WIDTH:.0%} (Stein's two-stage rule). "
        + (f"At most {worst:,.0f} more." if math.isfinite(worst) else "")
        + " Comparisons of entrants are paired and need far fewer."
    )
    body += table(
        found, names={"half_width": "half-width", "mean": "cost, USD", "more": "more runs"},
        forms={"half_width": lambda v: f"{v:.1%}"},
    )  # fmt: skip
    return Section(key="enough", title=title, body=body, charts={})


def _lost(study: Study) -> Section:
    lost = not_completed(study, page.MOST_ROWS)
    if lost.empty:
        return _empty("lost", "Runs without a result")
    total = int((~study.runs["completed"]).sum())
    body = paragraph(f"{total:,} runs were not completed.")
    reasons = study.runs.loc[~study.runs["completed"], ["entrant", "status"]]
    counts = reasons.value_counts(sort=False).rename("runs").reset_index()
    body += table(counts) + table(lost)
    return Section(key="lost", title="Runs without a result", body=body, charts={})


def _source(text: str) -> Section:
    body = f"<pre>{escape(text)}</pre>" if text else ""
    return Section(key="source", title="The experiment's file", body=body, charts={})


def _menu(key: str, title: str, text: str, label: str, drawn: Mapping[str, Chart]) -> Section:
    """Return a section with one picture, chosen from a menu."""
    if not drawn:
        return _empty(key, title)
    body = paragraph(text) + figure(f"{key}-chart", label, list(drawn))
    return Section(key=key, title=title, body=body, charts={f"{key}-chart": list(drawn.values())})


def _empty(key: str, title: str) -> Section:
    return Section(key=key, title=title, body="", charts={})
