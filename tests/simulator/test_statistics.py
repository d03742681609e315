"""Spreads, intervals and stop rules; records as files; pictures."""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.stats as st
from matplotlib.figure import Figure

from autoscale.errors import InputError
from simulator import simulate
from simulator.chance import Chance, Runtime, TaskFailure
from simulator.distributions import factor
from simulator.events import ENDED, KINDS, STARTED, attempts_of, chrome_trace
from simulator.plotting import plot_run, plot_spread
from simulator.replay import FIGURES, Replications, replicate
from simulator.statistics import LOSSES, Precision, share, spread, summarise
from simulator.tables import run_tables, write_records, write_trace
from tests.simulator.chances import ROUGH
from tests.simulator.clouds import right_plan

if TYPE_CHECKING:
    from pathlib import Path


def test_spreads_are_those_of_numpy_and_scipy() -> None:
    x = np.random.default_rng(1).gamma(2, 3, 50)
    found = spread(np.append(x, np.inf), 0.9)
    low, high = st.t.interval(0.9, 49, loc=x.mean(), scale=st.sem(x))
    assert (found.runs, found.worst) == (50, x.max())
    assert (found.mean, found.low, found.high) == pytest.approx((x.mean(), low, high))
    assert (found.p5, found.p50, found.p95) == pytest.approx(
        tuple(np.quantile(x, [0.05, 0.5, 0.95]))
    )
    assert math.isnan(spread(x[:1]).low)
    assert spread(np.array([np.inf])).runs == 0


def test_intervals_of_shares_cover_at_least_as_often_as_they_say() -> None:
    """Summed over all outcomes of 30 trials, whatever the true probability."""
    intervals = [share(k, 30, 0.9) for k in range(31)]
    for p in (0.02, 0.3, 0.5, 0.77, 0.99):
        covered = [i.low <= p <= i.high for i in intervals]
        assert (st.binom(30, p).pmf(np.arange(31)) * covered).sum() >= 0.9
    assert (share(0, 5).low, share(5, 5).high) == (0, 1)


@pytest.mark.parametrize(("hits", "runs"), [(0, 1), (1, 1), (3, 20), (19, 20), (400, 1000)])
def test_intervals_of_shares_are_those_of_the_exact_test(hits: int, runs: int) -> None:
    found, known = share(hits, runs), st.binomtest(hits, runs).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: share(3, 2), "expected 0 <= hits <= runs"),
        (lambda: spread(np.ones(3), 1.0), "confidence: expected a level between 0 and 1, got 1.0"),
        (lambda: Precision(width=0), "precision: expected a width > 0, got 0"),
        (lambda: Precision(width=0.1, level=2), "confidence: expected a level"),
    ],
)
def test_wrong_figures_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_the_stop_rule_ends_with_intervals_as_narrow_as_wanted() -> None:
    plan, noise = right_plan(5, 20), Chance(runtime=Runtime(task=factor(0.5)))
    deadline_s = plan.makespan_s * 1.1
    rule = Precision(width=0.04, deadline_s=deadline_s)
    runs = replicate(plan, noise, runs=20_000, stop=rule)
    assert 100 <= len(runs) < 20_000
    found = summarise(runs, deadline_s)
    assert found.deadline is not None
    assert found.deadline.high - found.deadline.low <= 0.08
    assert found.makespan_s.high - found.makespan_s.mean <= 0.04 * found.makespan_s.mean
    wider = replicate(plan, noise, runs=20_000, stop=Precision(width=0.08, deadline_s=deadline_s))
    assert len(wider) < len(runs)


def replications(rows: list[list[float]]) -> Replications:
    figures = np.zeros((len(rows), len(FIGURES)))
    figures[:, :2] = rows
    return Replications(plan=right_plan(1, 5), figures=figures, wanted=len(rows))


def test_runs_that_were_given_up_miss_the_deadline_and_leave_the_means_alone() -> None:
    runs = replications([[1.0, 100.0], [3.0, 300.0], [50.0, math.inf]])
    found = summarise(runs, 150.0)
    assert found.given_up == 1
    assert (found.cost_usd.mean, found.makespan_s.mean) == (2.0, 200.0)
    assert found.deadline is not None
    assert (found.deadline.hits, found.deadline.runs) == (1, 3)
    assert set(found.lost_s) == set(LOSSES.values())
    assert summarise(runs).deadline is None


def rough_run(seed: int = 3) -> Any:
    return simulate(right_plan(seed, 20), ROUGH, seed=seed, events=True)


def test_events_tell_the_same_as_the_records() -> None:
    result = rough_run()
    assert result.reason is None
    assert result.events is not None
    found = attempts_of(result.events)
    assert len(found) == result.tasks.attempts.sum()
    good = found[found[:, 4] == ENDED]
    order = np.argsort(good[:, 0])
    assert good[order, 0].tolist() == list(range(20))
    assert good[order, 1].tolist() == result.tasks.machine.tolist()
    assert good[order, 2].tolist() == result.tasks.start_s.tolist()
    assert good[order, 3].tolist() == result.tasks.end_s.tolist()
    kinds = result.events.kind
    assert (kinds == KINDS.index("requested")).sum() == result.n_leases
    assert (kinds == STARTED).sum() == result.tasks.attempts.sum()
    frame = result.events.to_frame(result.problem)
    assert set(frame.loc[frame["event"] == "ended", "task"]) == set(result.problem.workflow.ids)


def test_a_trace_has_a_span_for_every_attempt_and_lanes_do_not_overlap(tmp_path: Path) -> None:
    result = rough_run()
    write_trace(str(tmp_path / "t.json"), result)
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert events == list(chrome_trace(result))
    spans = [e for e in events if e["ph"] == "X" and e["tid"] > 0]
    assert len(spans) == result.tasks.attempts.sum()
    lanes: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for e in spans:
        lanes.setdefault((e["pid"], e["tid"]), []).append((e["ts"], e["ts"] + e["dur"]))
    for lane in lanes.values():
        lane.sort()
        assert all(a[1] <= b[0] + 1e-3 for a, b in itertools.pairwise(lane))
    named = [e["args"]["name"] for e in events if e["ph"] == "M"]
    assert len(named) == result.n_leases
    with pytest.raises(InputError, match="events=True"):
        write_trace(str(tmp_path / "u.json"), simulate(right_plan(3, 5)))


def test_records_are_written_whole_and_read_back(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    result, folder = rough_run(), tmp_path / "records"
    for _ in range(2):  # a folder of records is replaced
        write_records(str(folder), run_tables(result))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["records"]
    tasks = pd.read_parquet(folder / "tasks.parquet")
    assert tasks["end_s"].tolist() == result.tasks.end_s.tolist()
    machines = pd.read_parquet(folder / "machines.parquet")
    assert machines["cost_usd"].sum() == pytest.approx(result.cost_usd)
    assert len(pd.read_parquet(folder / "events.parquet")) == len(result.events)
    (folder / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="is not a folder of records"):
        write_records(str(folder), run_tables(result))
    assert (folder / "mine.txt").exists()


def test_a_run_becomes_a_plan_of_what_happened() -> None:
    result = rough_run()
    plan = result.as_plan()
    assert plan.makespan_s == result.makespan_s
    assert plan.n_leases == result.n_leases
    failed = simulate(right_plan(3, 5), Chance(task_failure=TaskFailure(probability=1)))
    with pytest.raises(InputError, match="given up is no plan"):
        failed.as_plan()


def test_histograms_count_every_completed_run() -> None:
    runs = replicate(right_plan(5, 20), ROUGH, runs=200)
    completed = int(np.isfinite(runs["makespan_s"]).sum())
    first = plot_spread(runs, deadline_s=500.0)
    assert isinstance(first.figure, Figure)
    for ax in first.figure.axes:
        assert sum(p.get_height() for p in ax.patches) == completed  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="no run was completed"):
        plot_spread(replications([[1.0, math.inf]]))


def test_the_picture_of_a_run_shows_every_attempt() -> None:
    result = rough_run()
    ax = plot_run(result)
    boxes = [len(c.get_paths()) for c in ax.collections]
    assert boxes == [result.n_leases, result.n_leases, result.tasks.attempts.sum()]
    given_up = simulate(
        right_plan(3, 9), Chance(task_failure=TaskFailure(probability=0.9)), events=True
    )
    assert given_up.reason is not None
    assert "given up" in " ".join(t.get_text() for t in plot_run(given_up).texts)
    with pytest.raises(InputError, match="no events"):
        plot_run(simulate(right_plan(3, 5)))
