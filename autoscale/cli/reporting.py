"""The command ``report``: what the runs of an experiment say, as a page, figures and a table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from autoscale.cli.options import Json  # noqa: TC001  (read by cyclopts)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from simulator.study.runs import Study

TABLES = (".csv", ".parquet")
"""Kinds of files that runs are copied to."""


def report(
    results: Annotated[
        str, Parameter(help="The result folder of an experiment, or a file of runs.")
    ],
    /,
    *,
    output: Annotated[
        str, Parameter(name=("--output", "-o"), help="The page: one .html file that works offline.")
    ] = "report.html",
    figures: Annotated[
        str | None, Parameter(help="Write figures for papers into this folder.")
    ] = None,
    kind: Annotated[Literal["pdf", "png", "svg"], Parameter(help="Kind of those figures.")] = "pdf",
    table: Annotated[
        str | None, Parameter(help="Copy the runs, one row each, to a .csv or .parquet file.")
    ] = None,
    title: Annotated[
        str | None, Parameter(help="Heading; the experiment's name, if not given.")
    ] = None,
    json: Json = False,
) -> int:
    """Compare planners or policies over an experiment's runs: page, figures, statistics."""
    from autoscale.cli.entry import DONE, PARTLY_DONE
    from autoscale.cli.output import check_writable, note, progress, run_steps
    from simulator.study import Study, read_runs, write_report
    from simulator.study.fleets import read_fleets
    from simulator.study.reading import experiment_about, write_runs

    check_writable("--output", output, kinds=(".html", ".htm"))
    check_writable("--table", table, kinds=TABLES)
    runs = read_runs(results)
    study = Study.of(runs)
    about = experiment_about(results)
    heading = title if title is not None else about.get("name", Path(results).resolve().stem)
    steps: list[Callable[[], None]] = [
        lambda: write_report(
            study,
            output,
            title=heading,
            source=about.get("source", ""),
            fleets=read_fleets(results),
        )
    ]
    if figures is not None:
        folder = figures
        steps.append(lambda: _write_figures(study, folder, kind))
    if table is not None:
        copy = table
        steps.append(lambda: write_runs(runs, copy))
    with progress(f"comparing {len(runs):,} runs"):
        failures = run_steps(steps)
    _report(study, json)
    for failure in failures:
        note(f"not written: {failure}")
    return PARTLY_DONE if failures else DONE


def _write_figures(study: Study, folder: str, kind: str) -> None:
    from simulator.study import write_figures

    write_figures(study, folder, kind)


def study_facts(study: Study) -> dict[str, Any]:
    """Return how the entrants did, as plain data; what is not known is null."""
    from simulator.study import rank
    from simulator.study.cells import standings

    costs = study.table().dropna()
    ranking = rank(costs) if len(study.entrants) > 1 and len(costs) else None
    p_value = math.nan if ranking is None else ranking.p_value
    return {
        "runs": len(study.runs),
        "completed": int(study.runs["completed"].sum()),
        "settings": list(study.settings),
        "entrants": [
            {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
            for row in standings(study).to_dict("records")
        ],
        "ranked_settings": 0 if ranking is None else ranking.settings,
        "friedman_p": None if math.isnan(p_value) else p_value,
        "critical_difference": None if ranking is None else ranking.critical_difference,
        "not_told_apart": [] if ranking is None else [list(group) for group in ranking.groups],
    }


def _report(study: Study, as_json: bool) -> None:
    from rich.text import Text

    from autoscale.cli.output import emit, emit_json

    facts = study_facts(study)
    if as_json:
        emit_json(facts)
        return
    lines = [f"{facts['completed']:,} of {facts['runs']:,} runs were completed"]
    if facts["critical_difference"] is not None:
        lines.append(
            f"mean ranks over {facts['ranked_settings']:,} settings; those that differ by "
            f"{facts['critical_difference']:.2f} or more are told apart"
        )
    emit(_standings_table(facts), *(Text(line) for line in lines))


def _standings_table(facts: dict[str, Any]) -> Table:
    from rich.markup import escape

    from autoscale.cli.render import new_table

    table = new_table(
        "", "mean rank", "cheapest in", "cost / cheapest", "no result", "in time", "runs"
    )

    def told(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    for row in facts["entrants"]:
        table.add_row(
            escape(row["entrant"]),
            told(row["mean_rank"], ".2f"),
            told(row["cheapest_in"], ".0%"),
            told(row["median_ratio"], ".3f"),
            told(row["no_result"], ".0%"),
            told(row["met"], ".0%"),
            f"{row['runs']:,}",
        )
    return table
