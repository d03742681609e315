"""The page and the figures: what they show is what the runs say, and they need no network."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from autoscale.errors import InputError
from simulator.study import (
    Study,
    cells,
    figures,
    page,
    plot_cost_by_deadline,
    plot_distributions,
    plot_front,
    plot_profiles,
    plot_ranking,
    rank,
    read_runs,
    write_figures,
    write_report,
)
from simulator.study.cells import efficient, shares_met, standings
from simulator.study.figures import drawings
from simulator.study.reading import write_runs
from simulator.study.report import report_html
from simulator.study.runs import LUCK
from tests.study.made import made_runs, made_streams

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

go = pytest.importorskip("plotly.graph_objects")
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser")) if p), None)


class Outline(HTMLParser):
    """Collects the tables, the scripts and every address of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.ids += [known["id"]] if known.get("id") else []  # type: ignore[list-item]
        self.addresses += [str(v) for k, v in attrs if k in ("src", "href", "action", "data")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def charts_of(html: str) -> dict[str, list[dict[str, Any]]]:
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', html)
    assert found
    charts: dict[str, list[dict[str, Any]]] = json.loads(found[1])
    return charts


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Leave the megabytes of plotly's own script out where they only take time."""
    if "whole" not in request.fixturenames:
        monkeypatch.setattr(page, "plotly_script", lambda: "")


@pytest.fixture
def whole() -> str:
    """Return the page with plotly's script."""
    return report_html(Study.of(made_runs()))


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.of(made_runs())


@pytest.fixture
def html(study: Study) -> str:
    return report_html(study, title="A <study>", source="[experiment]\nname = '</script>'")


def test_the_page_needs_nothing_from_elsewhere(whole: str, html: str) -> None:
    assert "plotly.js v" in whole
    outline = Outline()
    outline.feed(html)
    assert outline.addresses
    assert all(a.startswith("#") and a[1:] in outline.ids for a in outline.addresses)
    assert "@import" not in html.partition("</style>")[0]
    assert set(charts_of(html)) <= set(outline.ids)


def test_what_people_write_is_text(html: str) -> None:
    assert "<title>A &lt;study&gt;</title>" in html
    assert "ValueError: &lt;b&gt;made up&lt;/b&gt;" in html
    assert "<b>made up" not in html
    assert "&lt;/script&gt;" in html


def test_every_chart_is_one_that_plotly_knows(html: str) -> None:
    streams = report_html(Study.of(made_streams()))
    for charts in (charts_of(html), charts_of(streams)):
        for chart in (c for choices in charts.values() for c in choices):
            go.Figure(chart)  # refuses unknown properties and values
    assert set(charts_of(html)) == {
        "ranks", "costs-chart", "met-chart", "fronts-chart", "profiles-chart", "spreads-chart",
    }  # fmt: skip
    assert set(charts_of(streams)) == {"ranks", "fronts-chart", "profiles-chart", "spreads-chart"}


def test_the_cost_chart_has_the_means_of_the_runs(html: str) -> None:
    chart = charts_of(html)["costs-chart"][2]  # the third workflow
    runs = made_runs().query("workflow == 'w2' and planner == 'lp'")
    mean = runs.groupby("deadline_factor")["cost_usd"].mean()
    line = next(t for t in chart["data"] if t["name"] == "lp")
    assert line["x"] == mean.index.tolist()
    assert line["y"] == pytest.approx(mean.tolist())
    cheapest = next(t for t in chart["data"] if t["name"] == "cheapest")
    assert cheapest["y"][0] is None
    assert "0 of 6 runs" in cheapest["text"][0]
    bound = next(t for t in chart["data"] if t["name"] == "certified bound")
    assert bound["y"] == runs.groupby("deadline_factor")["lower_bound_usd"].max().tolist()


def test_bars_of_ranks_overlap_exactly_where_groups_say_so(study: Study, html: str) -> None:
    found = rank(study.table())
    bars = {
        t["y"][0]: (t["x"][0], t["error_x"]["value"]) for t in charts_of(html)["ranks"][0]["data"]
    }
    for a in found.entrants:
        for b in found.entrants:
            overlap = abs(bars[a][0] - bars[b][0]) < bars[a][1] + bars[b][1]
            assert overlap == (a == b or any(a in g and b in g for g in found.groups))


def test_tables_have_a_row_for_every_cell_and_every_failure(study: Study, html: str) -> None:
    outline = Outline()
    outline.feed(html)
    settings = [r for r in outline.rows if r[:3] == ["w1", "x2", "lp"]]
    assert len(settings) == 2  # of all settings, and of enough runs
    assert sum(r[-1].startswith("no plan of this planner") for r in outline.rows) == 4 * 6
    assert len(cells(study)) == 4 * 3 * 5


def test_the_same_runs_give_the_same_page(html: str) -> None:
    shuffled = made_runs().sample(frac=1, random_state=1)
    shuffled = shuffled.sort_values("planner", key=lambda c: c != "lp", kind="stable")
    again = report_html(
        Study.of(made_runs()), title="A <study>", source="[experiment]\nname = '</script>'"
    )
    assert again == html
    assert (
        charts_of(report_html(Study.of(shuffled)))["costs-chart"][0]["layout"]
        == (charts_of(html)["costs-chart"][0]["layout"])
    )


@pytest.mark.parametrize(
    "runs",
    [
        made_runs(workflows=1, factors=(2.0,), seeds=1, planners={"lp": 1.0}),
        made_runs(workflows=1, factors=(2.0,), seeds=3, planners={"lp": 1.0, "heft": 1.2}),
        made_runs(workflows=1).assign(status="failed", cost_usd=math.nan, makespan_s=math.nan),
        made_runs(workflows=2)
        .drop(columns=["deadline_s", "deadline_factor", "lower_bound_usd", "met"])
        .drop_duplicates(["workflow", "planner", *LUCK]),
        made_runs(workflows=1).assign(cost_usd=0.0),
        made_runs(planners={f"p{i}": 1 + i / 20 for i in range(24)}, workflows=1, seeds=2),
    ],
    ids=["one run", "one setting", "all failed", "no deadline", "free", "many planners"],
)
def test_whatever_the_runs_there_is_a_page(runs: pd.DataFrame, tmp_path: Path) -> None:
    study = Study.of(runs)
    for choices in charts_of(report_html(study)).values():
        for chart in choices:
            go.Figure(chart)
    for draw in drawings(study).values():
        assert has_data(draw())


def test_runs_that_were_given_up_count_as_no_result() -> None:
    runs = made_runs(workflows=1, factors=(2.0,), seeds=3, planners={"a": 1.0, "b": 2.0})
    runs.loc[runs.index[0], ["makespan_s", "error"]] = [math.inf, "retries used up"]
    study = Study.of(runs)
    assert study.table()["a"].tolist() == [math.inf]
    row = cells(study).query("entrant == 'a'").iloc[0]
    assert (row["runs"], row["completed"], row["failed"]) == (3, 2, 1)
    assert "given up" in report_html(study)


def test_standings_and_shares(study: Study) -> None:
    rows = standings(study).set_index("entrant")
    assert rows.index[0] == rank(study.table()).entrants[0]
    assert rows.loc["cheapest", "no_result"] == pytest.approx(1 / 3)
    assert rows["cheapest_in"].sum() == 1
    met = made_runs().groupby("planner")["met"].mean()
    assert rows["met"].to_dict() == pytest.approx(met.to_dict())
    shares = shares_met(study)
    assert (shares["low"] <= shares["met"]).all()
    assert (shares["met"] <= shares["high"]).all()


def test_the_front_is_what_no_point_beats() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 12, (2, 60)).astype(float).tolist()
    front = efficient(x, y)

    def beaten(i: int) -> bool:
        return any(
            x[j] <= x[i] and y[j] <= y[i] and (x[j], y[j]) != (x[i], y[i]) for j in range(60)
        )

    assert {(x[i], y[i]) for i in front} == {(x[i], y[i]) for i in range(60) if not beaten(i)}


def test_figures_show_the_figures(study: Study) -> None:
    ax = plot_ranking(rank(study.table()))
    texts = " ".join(t.get_text() for t in ax.texts)
    assert all(name in texts for name in study.entrants)
    ax = plot_cost_by_deadline(study, "w1")
    lines = {str(c.get_label()): c for c in ax.containers}
    row = cells(study).query("panel == 'w1' and entrant == 'prolis'")
    drawn = lines["prolis"][0].get_ydata()  # type: ignore[index]
    assert drawn.tolist() == pytest.approx(row["cost_usd"].tolist())
    for axes in (plot_profiles(study), plot_front(study), plot_distributions(study)):
        assert has_data(axes)
    streams = Study.of(made_streams())
    assert "turnaround" in plot_front(streams).get_xlabel()


def has_data(ax: Axes) -> bool:
    return bool(ax.lines or ax.patches)


def test_files_are_written_and_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.of(made_runs(workflows=1, seeds=2))
    write_report(study, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text("utf-8") == report_html(study)
    few = dict(list(drawings(study).items())[:2])
    monkeypatch.setattr(figures, "drawings", lambda _: few)
    first = write_figures(study, tmp_path / "a", "pdf")
    assert first == ["ranking.pdf", "profiles.pdf"]
    write_figures(study, tmp_path / "b", "pdf")
    for file in first:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_runs_are_read_back(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    runs = made_runs()
    write_runs(runs, tmp_path / "runs.parquet")
    write_runs(runs, tmp_path / "copy.csv")
    pd.testing.assert_frame_equal(read_runs(tmp_path), runs)
    table = Study.of(read_runs(tmp_path / "copy.csv")).table()
    pd.testing.assert_frame_equal(table, Study.of(runs).table())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p, s: read_runs(p), "is no folder of results"),
        (lambda p, s: read_runs(p / "x.parquet"), "no such file"),
        (lambda p, s: write_figures(s, p, "gif"), "expected one of pdf, png, svg, got 'gif'"),
        (lambda p, s: write_figures(s, p / "a" / "b"), "cannot be written"),
        (lambda p, s: plot_front(s, "w9"), "panel: expected one of w0, w1"),
        (lambda p, s: plot_distributions(s, "price"), "figure: expected one of cost"),
        (lambda p, s: plot_cost_by_deadline(Study.of(made_streams())), "have no deadline"),
    ],
)
def test_what_cannot_be_done_is_said(make: Any, message: str, study: Study, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        make(tmp_path, study)


def test_a_broken_table_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "runs.parquet").write_bytes(b"not a table")
    with pytest.raises(InputError, match="cannot be read as a table of runs"):
        read_runs(tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_draws_every_chart_and_sorts_tables(whole: str, tmp_path: Path) -> None:
    probe = """<script>addEventListener("load", () => setTimeout(() => {
      const heads = [...document.querySelectorAll("#settings th button")];
      heads.find((b) => b.textContent.startsWith("cost")).click();
      document.querySelector("#costs-chart select").selectedIndex = 3;
      document.querySelector("#costs-chart select").dispatchEvent(new Event("change"));
    }, 300))</script></body>"""
    (tmp_path / "r.html").write_text(whole.replace("</body>", probe), "utf-8")
    ran = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,9000",
            "--virtual-time-budget=8000", "--dump-dom", (tmp_path / "r.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    drawn = re.findall(r'<figure id="([\w-]+)".*?</figure>', ran.stdout, re.DOTALL)
    assert drawn == list(charts_of(whole))
    for figure in re.findall(r"<figure id=.*?</figure>", ran.stdout, re.DOTALL):
        assert "main-svg" in figure
    outline = Outline()
    outline.feed(ran.stdout[ran.stdout.index('<section id="settings"') :])
    rows = outline.rows[1 : 1 + 4 * 3 * 5]
    costs = [float(r[5]) for r in rows if r[5]]
    assert costs == sorted(costs)
    assert [r[5] for r in rows[-4:]] == [""] * 4  # those without a result come last
