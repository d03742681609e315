"""Runs of policies on streams: common random numbers, figures, and policies that misbehave."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.errors import InputError
from autoscale.model.billing import HOURLY
from autoscale.policies.protocol import Decision
from simulator.chance import Chance, Runtime
from simulator.distributions import factor
from simulator.streaming.plotting import plot_fleets
from simulator.streaming.report import JobRecords, PolicyRun
from simulator.streaming.running import run_stream
from simulator.streaming.scenario import Cloud, DeadlineRule
from simulator.streaming.sources import JobClass, Patterned, Together
from tests.policies.simple import OneEach, failing, one_each, pool
from tests.streaming.small import OFFER, small, two_steps

if TYPE_CHECKING:
    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState

NOISY = Chance(runtime=Runtime(task=factor(0.3)))


class LateFailing(OneEach):
    """Works like another for half an hour, then releases what it does not hold."""

    name = "late failing"

    def __call__(self, state: ClusterState) -> Decision:
        return Decision(releases=(99,)) if state.now_s > 1800 else super().__call__(state)


def test_every_policy_meets_the_same_luck() -> None:
    """Tasks take the same on machines of one type, whatever the policy and its place in line."""
    s = small(chance=NOISY, cloud=Cloud(catalog=OFFER, boot_s=60.0))
    report = run_stream(s, {"one": one_each, "pool": pool, "again": one_each}, seeds=[4, 5])
    for seed in (4, 5):
        runs = {r.policy: r for r in report.runs if r.seed == seed}
        first, again = runs["one"].figures, runs["again"].figures
        assert first == again
        np.testing.assert_array_equal(runs["one"].jobs.arrival_s, runs["pool"].jobs.arrival_s)
    kept = {r.policy: r.result for r in report.runs if r.seed == 4}
    assert kept["one"] is not None
    assert kept["pool"] is not None
    np.testing.assert_allclose(kept["one"].tasks.compute_s, kept["pool"].tasks.compute_s)
    assert all(r.result is None for r in report.runs if r.seed == 5)


def test_the_figures_of_a_run_worked_by_hand() -> None:
    """One lease a task, each 60 s of boot and 150 s of work on the fast type of two vCPUs."""
    kind = JobClass(name="two", workflow=two_steps(), deadline=DeadlineRule(after_s=400.0))
    s = small(source=Patterned(pattern=small().source.pattern, classes=(kind,)))
    report = run_stream(s, {"one": one_each})
    row = report.to_frame().iloc[0]
    n = len(s.stream(0).jobs)
    assert row["launches"] == 2 * n
    assert row["cost_usd"] == pytest.approx(2 * n * 210 * 0.5 / 3600)
    assert row["turnaround_mean_s"] == pytest.approx(420)
    assert (row["missed"], row["missed_share"]) == (n, 1.0)
    assert row["tardiness_mean_s"] == pytest.approx(20)
    assert row["tardiness_max_s"] == pytest.approx(20)
    assert row["vcpu_hours"] == pytest.approx(2 * n * 210 * 2 / 3600)
    assert row["utilisation"] == pytest.approx(150 / 210 / 2)
    assert row["hopeless"] == row["rejected"] == 0
    assert row["regret"] == pytest.approx(row["cost_usd"] / row["bound_usd"] - 1)
    assert row["score"] == 0


def test_weighted_turnaround() -> None:
    jobs = JobRecords(
        kinds=("a", "b", "c"),
        arrival_s=np.array([0.0, 10.0, 20.0]),
        deadline_s=np.array([np.nan, 15.0, 90.0]),
        end_s=np.array([100.0, 20.0, np.nan]),
        priority=np.array([1.0, 3.0, 5.0]),
        hopeless=np.zeros(3, dtype=bool),
    )
    assert jobs.missed.tolist() == [False, True, True]
    np.testing.assert_array_equal(jobs.tardiness_s, [0, 5, np.nan])
    run = PolicyRun(
        policy="x", seed=0, jobs=jobs, rejected=0, stopped=None, result=None, decisions=0,
        figures={"cost_usd": 1.0}, deciding_s=0.0, slowest_decision_s=0.0, money=np.zeros((0, 3)),
    )  # fmt: skip
    row = run.row(small(), None)
    assert row["turnaround_weighted_s"] == pytest.approx((100 * 1 + 10 * 3) / 4)
    assert row["missed_share"] == 1.0
    assert row["ended"] == 2
    assert row["score"] == 1.0
    assert math.isnan(row["regret"])


def test_an_hours_budget_counts_what_the_hour_pays_for() -> None:
    """Two leases of an hour each, one from 0:30: the first hour pays for one and a half."""
    s = small(budget_usd_per_hour=1.0, cloud=Cloud(catalog=OFFER, billing=HOURLY))
    run = run_stream(s, {"one": one_each}).runs[0]
    import dataclasses

    money = np.array([[0.0, 3600.0, 1.0], [1800.0, 3600.0, 1.0]])
    assert dataclasses.replace(run, money=money).over_budget_usd(s) == pytest.approx(0.5)
    apart = np.array([[0.0, 3600.0, 1.0], [3600.0, 3600.0, 1.0]])
    assert dataclasses.replace(run, money=apart).over_budget_usd(s) == pytest.approx(0)
    in_all = small(budget_usd=run.figures["cost_usd"] - 0.25)
    assert run.over_budget_usd(in_all) == pytest.approx(0.25)


def test_a_policy_that_misbehaves_is_stopped_and_its_records_are_kept() -> None:
    policies: dict[str, Any] = {
        "one": one_each, "bad": failing, "late": lambda terms: LateFailing(),
    }  # fmt: skip
    report = run_stream(small(), policies, seeds=[0, 1])
    stopped = {(r.policy, r.seed): r for r in report.runs if r.stopped}
    assert {p for p, _ in stopped} == {"bad", "late"}
    late = stopped["late", 1]
    assert late.stopped is not None
    assert late.stopped.startswith("policy 'late failing' at ")
    assert "releases lease 99" in late.stopped
    assert late.result is not None
    assert late.figures["cost_usd"] > 0
    assert (~np.isnan(late.jobs.end_s)).any()
    summary = report.summary().set_index("policy")
    assert summary.loc["bad", ["runs", "stopped"]].tolist() == [0, 2]
    assert summary.loc["one", ["runs", "stopped"]].tolist() == [2, 0]
    assert math.isnan(summary.loc["late", "cost_usd"])


def test_an_interrupt_keeps_the_runs_that_were_completed() -> None:
    def interrupting(terms: Terms) -> Any:
        class Stop(OneEach):
            def __call__(self, state: ClusterState) -> Decision:
                raise KeyboardInterrupt

        return Stop()

    report = run_stream(small(), {"one": one_each, "stop": interrupting}, seeds=[0, 1])
    assert report.interrupted
    assert [(r.policy, r.seed) for r in report.runs] == [("one", 0)]
    with pytest.raises(KeyboardInterrupt):
        run_stream(small(), {"stop": interrupting})


def test_means_and_intervals() -> None:
    """The mean over runs with the interval of Student's t, as scipy has it."""
    from scipy import stats

    report = run_stream(small(), {"one": one_each}, seeds=range(4), bound=False)
    cost = report.to_frame()["cost_usd"]
    row = report.summary(0.9).iloc[0]
    low, high = stats.t.interval(0.9, 3, loc=cost.mean(), scale=stats.sem(cost))
    assert row["cost_usd"] == pytest.approx(cost.mean())
    assert (row["cost_usd_low"], row["cost_usd_high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["jobs"] == report.to_frame()["jobs"].sum()
    assert math.isnan(row["regret_median"])


def test_an_ensemble_ends_at_its_deadline() -> None:
    """What has not ended by then is missed, and leases are paid until then."""
    given = tuple(two_steps(f"w{i}", 1000.0).replace(priority=2.0**-i) for i in range(1, 4))
    s = small(source=Together(given=given), horizon_s=1061.0, budget_usd=1.0)
    run = run_stream(s, {"one": one_each}).runs[0]
    assert run.stopped is None
    assert run.figures["launches"] == 6
    row = run.row(s, None)
    assert row["ended"] == 0
    longer = s.replace(horizon_s=1120.0)
    row = run_stream(longer, {"one": one_each}).to_frame().iloc[0]
    assert (row["ended"], row["missed"], row["score"]) == (3, 0, 0.5 + 0.25 + 0.125)


def test_fleet_against_demand_is_drawn() -> None:
    """A panel a policy; the demand's area is what tasks waited and ran, in vCPU-seconds."""
    report = run_stream(small(), {"one": one_each, "pool": pool}, seeds=[0, 1])
    figure = plot_fleets(report).figure
    assert [ax.get_title(loc="left").split(":")[0] for ax in figure.axes] == ["one", "pool"]
    for ax, run in zip(figure.axes, report.runs, strict=False):
        time, level = ax.lines[0].get_data()
        unit_s = 60.0
        assert run.result is not None
        tasks = run.result.tasks
        area = float((np.diff(time) * level[:-1]).sum()) * unit_s
        assert area == pytest.approx(float((tasks.end_s - tasks.ready_s).sum()))
    with pytest.raises(InputError, match="no records of seed 1"):
        plot_fleets(report, seed=1)


@pytest.mark.parametrize(
    ("policies", "seeds", "message"),
    [
        ([], [0], "expected at least one policy and one seed"),
        ({"one": one_each}, [], "expected at least one policy and one seed"),
        (["no-such"], [0], "unknown policy 'no-such'"),
    ],
)
def test_wrong_requests_are_refused(policies: Any, seeds: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_stream(small(), policies, seeds=seeds)
