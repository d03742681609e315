"""An experiment's table is what a plain loop gives, whoever runs it and however often it stops."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autoscale.api import make_problem
from autoscale.errors import InfeasibleError, InputError
from autoscale.optimize.planner import solve
from simulator import simulate
from simulator.chance import Chance
from simulator.experiments import running
from simulator.experiments.cases import count_runs, resolve
from simulator.experiments.columns import COLUMNS
from simulator.experiments.reading import experiment_of
from simulator.experiments.running import Progress, run_experiment
from simulator.experiments.spec import Experiment, Grid, Planner
from simulator.experiments.store import Store, StoreError
from simulator.machine import LOST
from tests.experiments.small import LINKS, NOISE, chain_and_fan, small

CHANCES = {"none": Chance(), "noise": NOISE, "links": LINKS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an experiment that ran in one go, in one process."""
    folder = tmp_path_factory.mktemp("results") / "whole"
    run_experiment(small(), folder, workers=1)
    return folder


def table(folder: Path) -> bytes:
    return (folder / "runs.parquet").read_bytes()


def expected_rows() -> list[dict[str, Any]]:
    """Return the table by a plain loop over the grid, with the engine."""
    rows = []
    for name, width in (("fan", 4), ("wide", 9)):
        base = make_problem(chain_and_fan(width), types="c7i.large,c7i.xlarge")
        path_s = base.least_makespan_s - base.boot_s
        for goal_s in (base.boot_s + 1.5 * path_s, 60.0):
            problem = base.replace(deadline_s=goal_s)
            for planner in ("list", "heft"):
                try:
                    plan = solve(problem, planner=planner)
                except InfeasibleError:
                    plan = None
                for chance in ("none", "noise", "links"):
                    for seed in (5, 2, 9):
                        for replication in (0, 1):
                            row = {
                                "workflow": name, "deadline_s": goal_s, "planner": planner,
                                "chance": chance, "seed": seed, "replication": replication,
                                "tasks": width + 2,
                            }  # fmt: skip
                            if plan is not None:
                                luck = CHANCES[chance]
                                run = simulate(plan, luck, seed=seed, run=replication)
                                row |= {
                                    "status": "done",
                                    "error": run.reason or "",
                                    "feasible": True,
                                    "cost_usd": run.cost_usd,
                                    "makespan_s": run.makespan_s,
                                    "planned_cost_usd": plan.cost_usd,
                                    "planned_makespan_s": plan.makespan_s,
                                    "utilisation": run.utilisation,
                                    "leases": run.n_leases,
                                    "lost_leases": np.isin(run.leases.outcome, LOST).sum(),
                                    "met": run.makespan_s <= goal_s + 1e-6,
                                    "tardiness_s": max(0.0, run.makespan_s - goal_s),
                                }
                            rows.append(row)
    return rows


def test_the_table_is_that_of_a_plain_loop(whole: Path) -> None:
    """Every run once, in the grid's order, with the figures of its plan and the engine."""
    found = pd.read_parquet(whole / "runs.parquet")
    assert found.columns.tolist() == list(COLUMNS)
    expected = pd.DataFrame(expected_rows())
    assert len(found) == len(expected) == count_runs(small()) == 144
    assert found["run"].tolist() == list(range(144))
    for name in ("workflow", "planner", "chance", "seed", "replication", "tasks", "deadline_s"):
        assert found[name].tolist() == expected[name].tolist()
    planned = expected["status"].notna()
    assert planned.any()
    assert not planned.all()
    for name in expected.columns[7:]:
        ours, theirs = found.loc[planned, name], expected.loc[planned, name]
        if name in ("status", "error", "feasible", "met"):
            assert ours.tolist() == theirs.tolist()
        else:
            np.testing.assert_allclose(
                ours, theirs.astype(float), rtol=1e-9, atol=1e-6, err_msg=name
            )
    assert expected.loc[planned, "error"].ne("").any(), "no run was given up: too little chance"
    without = found[~planned]
    assert set(without["status"]) == {"infeasible"}
    assert without["error"].str.contains("deadline").all()
    assert not without["feasible"].any()
    assert not without["met"].any()
    assert without["cost_usd"].isna().all()


def test_bounds_are_the_largest_of_the_experiment(whole: Path, tmp_path: Path) -> None:
    """A planner's gap is to what any planner certified for the same problem."""
    found = pd.read_parquet(whole / "runs.parquet").query("status == 'done'")
    bound = found.groupby(["workflow", "deadline_s"])["lower_bound_usd"]
    assert (bound.max() == bound.min()).all()
    gap = found["planned_cost_usd"] / found["lower_bound_usd"] - 1
    np.testing.assert_allclose(found["gap"], np.maximum(gap, 0))
    budget = small(deadline_factors=(), deadlines=(), budgets=(5.0,), chances="none", seeds=1)
    frame = run_experiment(budget, tmp_path / "budget", workers=1).to_frame()
    assert frame["lower_bound_usd"].isna().all()
    np.testing.assert_allclose(
        frame["gap"], frame["planned_makespan_s"] / frame["lower_bound_s"] - 1
    )
    assert frame["met"].all()
    assert frame["tardiness_s"].isna().all()


def test_two_workers_give_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    """Order of ending, batches and processes leave no trace in the table."""
    run_experiment(small(), tmp_path / "two", workers=2)
    assert table(tmp_path / "two") == table(whole)


def test_a_dask_cluster_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    """The engine leaves no trace in the table."""
    pytest.importorskip("distributed")
    run_experiment(small(), tmp_path / "dask", engine="dask", workers=2)
    assert table(tmp_path / "dask") == table(whole)


def test_an_interrupted_experiment_goes_on_where_it_was(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at every stage: what is recorded stays, nothing is run twice, same bytes."""
    monkeypatch.setattr(running, "JOB_S", 0.0)
    monkeypatch.setattr(running, "LEAST_JOB_S", 0.0)
    folder = tmp_path / "stopped"
    seen = []
    for stage, after in (("plans", 3), ("runs", 5), ("runs", 11)):

        def stop(progress: Progress, stage: str = stage, after: int = after) -> None:
            if progress.stage == stage and progress.done - progress.found >= after:
                raise KeyboardInterrupt

        result = run_experiment(small(), folder, workers=1, resume=True, on_progress=stop)
        assert result.interrupted
        seen.append(pd.read_parquet(folder / "runs.parquet"))
    result = run_experiment(small(), folder, workers=1, resume=True)
    assert not result.interrupted
    assert result.recorded == 144
    assert table(folder) == table(whole)
    final = pd.read_parquet(folder / "runs.parquet")
    for part in seen:
        pd.testing.assert_frame_equal(
            part.drop(columns=["gap", "lower_bound_usd"]),
            final.loc[part["run"]].drop(columns=["gap", "lower_bound_usd"]).reset_index(drop=True),
        )
    with Store(folder, resume=True) as store:
        sessions = store.sessions()
    assert sum(plans for *_, plans, _ in sessions) == 8
    assert sum(runs for *_, runs in sessions) == 72
    assert all(runs > 0 for *_, runs in sessions[1:])


def test_a_finished_experiment_runs_nothing_again(whole: Path) -> None:
    """Resuming what is complete changes no byte and plays no run."""
    before = table(whole)
    told: list[Progress] = []
    result = run_experiment(small(), whole, workers=1, resume=True, on_progress=told.append)
    assert table(whole) == before
    assert result.recorded == 144
    assert [p.done - p.found for p in told] == [0, 0]


def test_what_is_ahead_is_the_searches_first_of_all(tmp_path: Path) -> None:
    """A plan that a search makes in its limit outweighs one of a list scheduler."""
    told: list[Progress] = []
    planners = {"slow": Planner(planner="lp", time_limit="2s")}
    grid = Grid(workflows="example:montage", deadline_factors=2, planners=("slow", "list"))
    mixed = Experiment(name="mixed", grids=grid, planners=planners)
    run_experiment(mixed, tmp_path / "mixed", workers=1, on_progress=told.append)
    for stage in ("plans", "runs"):
        ahead = [p.ahead for p in told if p.stage == stage]
        assert ahead[0] == 1.0
        assert ahead[-1] == pytest.approx(0.0)
        assert ahead == sorted(ahead, reverse=True)
    half = next(p for p in told if p.stage == "plans" and p.done == 1)
    assert abs(half.ahead - 0.5) > 0.4  # not a half, whichever ended first


def test_an_experiment_may_grow(tmp_path: Path) -> None:
    """More seeds and planners later: the recorded runs stay, the table is that of the whole."""
    first = small(chances="noise", planners="list", seeds=(5, 2))
    run_experiment(first, tmp_path / "grown", workers=1)
    more = small(chances="noise", seeds=(2, 7, 5), replications=3)
    result = run_experiment(more, tmp_path / "grown", workers=1, resume=True)
    run_experiment(more, tmp_path / "fresh", workers=1)
    assert table(tmp_path / "grown") == table(tmp_path / "fresh")
    assert len(result.to_frame()) == count_runs(more)


def test_a_failing_run_is_recorded_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run of the engine raises: it alone has status failed, with the error."""
    from simulator import running as playing

    real = playing.simulate

    def simulate_but_one(*given: Any, seed: int, run: int, **rest: Any) -> Any:
        if (seed, run) == (2, 1):
            raise ZeroDivisionError("on purpose")
        return real(*given, seed=seed, run=run, **rest)

    monkeypatch.setattr(playing, "simulate", simulate_but_one)
    one = small(chances="links", deadlines=(), workflows="fan")
    result = run_experiment(one, tmp_path, workers=1)
    frame = result.to_frame()
    failed = frame[frame["status"] == "failed"]
    assert list(zip(failed["seed"], failed["replication"], strict=True)) == [(2, 1), (2, 1)]
    assert set(failed["error"]) == {"ZeroDivisionError: on purpose"}
    assert failed["makespan_s"].isna().all()
    assert not failed["met"].any()
    assert (result.recorded, result.failed) == (12, 2)
    assert result.errors == {"ZeroDivisionError: on purpose": 2}
    assert frame.loc[frame["status"] == "done", "cost_usd"].notna().all()


def test_a_planner_that_fails_is_recorded_for_all_its_runs(tmp_path: Path) -> None:
    """Planner exact takes no budget alone: its runs have failed, the others are done."""
    one = small(
        deadline_factors=(), deadlines=(), budgets=5, planners=("exact", "heft"), chances="none"
    )
    result = run_experiment(one, tmp_path, workers=1)
    by_planner = result.to_frame().groupby("planner")["status"].unique()
    assert by_planner["exact"].tolist() == ["failed"]
    assert by_planner["heft"].tolist() == ["done"]
    assert result.failed == result.recorded / 2


def test_a_run_that_is_given_up_is_done_but_not_met(whole: Path) -> None:
    """Its makespan is infinite and so is its tardiness; the reason is told."""
    found = pd.read_parquet(whole / "runs.parquet").query("status == 'done' and error != ''")
    assert found["error"].str.contains("retries").all()
    assert (found["makespan_s"] == math.inf).all()
    assert (found["tardiness_s"] == math.inf).all()
    assert not found["met"].any()


def test_results_of_another_experiment_are_refused(whole: Path, tmp_path: Path) -> None:
    """Neither without resume, nor with another experiment, nor in a folder of something else."""
    with pytest.raises(InputError, match="holds results already; go on with --resume"):
        run_experiment(small(), whole, workers=1)
    with pytest.raises(InputError, match="results of another experiment, 'small': 8 of its 24"):
        run_experiment(small(chances=("none", "noise")), whole, workers=1, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(InputError, match=r"results\.sqlite: cannot be used: file is not a data"):
        run_experiment(small(), tmp_path / "other", workers=1, resume=True)
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match=r"expected an empty folder .*, found 'mine\.txt'"):
        run_experiment(small(), tmp_path, workers=1)
    with pytest.raises(InputError, match="cannot be used"):
        run_experiment(small(), tmp_path / "mine.txt", workers=1)


def test_two_writers_at_once_are_refused(tmp_path: Path) -> None:
    """The second is told; after the first has ended it may go on."""
    with (
        Store(tmp_path, resume=False),
        pytest.raises(InputError, match="another program is writing results here"),
    ):
        Store(tmp_path, resume=True)
    Store(tmp_path, resume=True).close()


def test_a_full_disk_ends_cleanly_and_can_be_gone_on_with(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may not grow: a message, nothing lost, and with room the same bytes."""
    monkeypatch.setattr(running, "JOB_S", 0.0)
    monkeypatch.setattr(running, "LEAST_JOB_S", 0.0)
    folder = tmp_path / "full"
    opened = Store._opened

    def small_disk(self: Store) -> Any:
        db = opened(self)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 3}")
        return db

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_opened", small_disk)
        with pytest.raises(StoreError, match="is full; what was recorded until then is safe"):
            run_experiment(small(), folder, workers=1)
    with Store(folder, resume=True) as store:
        assert 0 < sum(store.counts().values()) < 72
    run_experiment(small(), folder, workers=1, resume=True)
    assert table(folder) == table(whole)


def test_the_order_of_names_and_their_labels_do_not_change_runs() -> None:
    """Cells are known by their content: other labels, same keys; another figure, other keys."""
    cells = {cell.key for cell in resolve(small()).cells}
    fan = {"flow": chain_and_fan(4).replace(name="other"), "wide": chain_and_fan(9)}
    base = small(workflows=("wide", "flow"), chances=("links", "none", "noise"))
    other = Experiment(
        name="other", grids=base.grids, workflows=fan, catalogs=base.catalogs, chances=base.chances
    )
    assert {cell.key for cell in resolve(other).cells} == cells
    slower = {**fan, "flow": chain_and_fan(5)}
    changed = Experiment(
        name="other", grids=base.grids, workflows=slower, catalogs=base.catalogs,
        chances=base.chances,
    )  # fmt: skip
    assert len({cell.key for cell in resolve(changed).cells} & cells) == len(cells) / 2


def test_the_same_run_twice_is_refused() -> None:
    """Two grids may not ask for the same runs."""
    base = small()
    twice = Experiment(
        name="twice",
        grids=(base.grids[0], Grid(workflows="fan", catalogs="two", deadlines=60, planners="heft")),  # type: ignore[index]
        workflows=base.workflows,
        catalogs=base.catalogs,
        chances=base.chances,
    )
    with pytest.raises(InputError, match=r"asked for twice: \(fan, two, second, heft, none\)"):
        resolve(twice)


def test_the_files_of_the_guide_are_understood(tmp_path: Path) -> None:
    """Every TOML block of the guide is an experiment."""
    text = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()
    blocks = [part.partition("```")[0] for part in text.split("```toml\n")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        experiment_of(tomllib.loads(block), where="guide.toml", folder=tmp_path)
