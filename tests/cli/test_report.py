"""The command ``report``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from simulator.experiments.store import Store
from tests.study.made import made_runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

pytest.importorskip("pyarrow")
pytest.importorskip("plotly")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    with Store(folder, resume=False) as store:
        store.begin("Six <seeds>", [], "local", 1, "seeds = 6 # <six>\n")
    made_runs(workflows=1).to_parquet(folder / "runs.parquet")
    return folder


def test_a_report_of_a_folder(run: Callable[..., Outcome], results: Path, tmp_path: Path) -> None:
    page, folder, table = tmp_path / "r.html", tmp_path / "figures", tmp_path / "runs.csv"
    done = run(
        "report", str(results), "-o", str(page), "--figures", str(folder), "--kind", "png",
        "--table", str(table), "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert (facts["runs"], facts["completed"]) == (90, 83)
    assert facts["entrants"][0]["entrant"] == "lp"
    html = page.read_text("utf-8")
    assert "<h1>Six &lt;seeds&gt;</h1>" in html
    assert "seeds = 6 # &lt;six&gt;" in html
    assert (folder / "ranking.png").read_bytes().startswith(b"\x89PNG")
    assert len(table.read_text().splitlines()) == 91
    told = run("report", str(results), "-o", str(page), "--title", "Mine")
    assert "83 of 90 runs were completed" in told.out
    assert "<h1>Mine</h1>" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file"),
        (["."], "is no folder of results: expected runs.parquet there"),
        ([".", "-o", "r.pdf"], "--output: r.pdf: expected a name that ends in .html or .htm"),
        ([".", "--table", "r.xlsx"], "--table: r.xlsx: expected a name that ends in"),
    ],
)
def test_bad_input(
    run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = run("report", *arguments)
    assert done.code == 2
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_does_not_lose_the_rest(
    run: Callable[..., Outcome], results: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = run(
        "report", str(results), "-o", str(tmp_path / "r.html"), "--figures", str(tmp_path / "file")
    )
    assert done.code == 5
    assert "not written" in done.err
    assert (tmp_path / "r.html").exists()
