"""Comparisons, ranks, profiles, enough runs: scipy, closed forms, Demsar's published example."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from autoscale.errors import InputError
from simulator.study import (
    Study,
    adjusted,
    compare,
    critical_difference,
    paired_difference,
    performance_profile,
    precision,
    rank,
    ratios,
    runs_needed,
)
from tests.study.made import PLANNERS, made_runs, made_streams

DEMSAR = {
    "adult": (0.763, 0.768, 0.771, 0.798),
    "breast cancer": (0.599, 0.591, 0.590, 0.569),
    "breast cancer wisconsin": (0.954, 0.971, 0.968, 0.967),
    "cmc": (0.628, 0.661, 0.654, 0.657),
    "ionosphere": (0.882, 0.888, 0.886, 0.898),
    "iris": (0.936, 0.931, 0.916, 0.931),
    "liver disorders": (0.661, 0.668, 0.609, 0.685),
    "lung cancer": (0.583, 0.583, 0.563, 0.625),
    "lymphography": (0.775, 0.838, 0.866, 0.875),
    "mushroom": (1.000, 1.000, 1.000, 1.000),
    "primary tumor": (0.940, 0.962, 0.965, 0.962),
    "rheum": (0.619, 0.666, 0.614, 0.669),
    "voting": (0.972, 0.981, 0.9754, 0.9750),  # the paper's ranks tell them apart
    "wine": (0.957, 0.978, 0.946, 0.970),
}
"""Table 6 of Demsar (2006): areas under ROC curves of four classifiers on 14 data sets."""

NAMES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")


def published() -> pd.DataFrame:
    table = pd.DataFrame.from_dict(DEMSAR, orient="index", columns=list(NAMES))
    return 1 - table  # an area lost: less is better


def test_ranks_and_tests_of_the_published_example() -> None:
    """Section 3.2.4: ranks 3.143, 2.000, 2.893, 1.964; chi2 9.28; F 3.69; CD 1.25 (0.10: 1.12)."""
    found = rank(published())
    ranks = dict(zip(found.entrants, found.mean_rank, strict=True))
    assert [round(ranks[name], 3) for name in NAMES] == [3.143, 2.0, 2.893, 1.964]
    assert found.entrants[0] == "C4.5+m+cf"
    assert found.settings == 14
    # The paper leaves ties out of the formulas; scipy corrects chi-square for them.
    ties = 1 - ((4**3 - 4) + 3 * (2**3 - 2)) / (14 * (4**3 - 4))
    chi2 = found.statistic * ties
    assert round(chi2, 2) == 9.28
    assert round(13 * chi2 / (14 * 3 - chi2), 2) == 3.69
    corrected = 13 * found.statistic / (14 * 3 - found.statistic)
    assert found.p_value == pytest.approx(stats.f.sf(corrected, 3, 39))
    assert round(found.critical_difference, 2) == 1.25
    assert round(critical_difference(4, 14, level=0.9), 2) == 1.12
    # "the difference between best and worst is below the critical difference" at 0.05 ...
    assert found.groups == (found.entrants,)
    # ... and at 0.10 C4.5 is told apart from both C4.5+m and C4.5+m+cf.
    tenth = rank(published(), level=0.9)
    assert tenth.groups == (tenth.entrants[:3], tenth.entrants[2:])


def test_two_entrants_are_ranked_by_the_sign_test() -> None:
    table = pd.DataFrame({"a": [1.0, 1, 1, 1, 1, 1, 2, 3], "b": [2.0, 2, 2, 2, 2, 2, 1, 3]})
    found = rank(table)
    assert found.p_value == pytest.approx(stats.binomtest(6, 7).pvalue)
    assert found.wins == (7, 2)
    assert found.critical_difference == pytest.approx(stats.norm.ppf(0.975) / math.sqrt(8))


def test_no_result_is_last_and_no_run_is_left_out() -> None:
    table = pd.DataFrame(
        {"a": [1.0, math.inf, 1.0], "b": [2.0, 5.0, math.nan], "c": [math.inf, math.inf, 1.0]}
    )
    found = rank(table)
    assert (found.settings, found.left_out) == (2, 1)
    assert dict(zip(found.entrants, found.mean_rank, strict=True)) == {
        "a": 1.75,
        "b": 1.5,
        "c": 2.75,
    }
    assert found.entrants[0] == "b"
    assert found.wins == (1, 1, 0)
    same = rank(pd.DataFrame({"a": [1.0, 2], "b": [1.0, 2], "c": [1.0, 2]}))
    assert (same.p_value, same.groups) == (1.0, (("a", "b", "c"),))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=6, max_size=60), st.integers(2, 5))
def test_friedman_is_scipys_and_groups_are_the_largest(values: list[int], k: int) -> None:
    n = len(values) // k
    table = pd.DataFrame(
        np.array(values[: n * k], dtype=float).reshape(n, k), columns=list("abcde"[:k])
    )
    found = rank(table)
    if k > 2 and n > 1 and len(set(values[: n * k])) > 1:
        expected = stats.friedmanchisquare(*table.to_numpy().T).statistic
        if expected == expected:
            assert found.statistic == pytest.approx(expected)
    place = {name: i for i, name in enumerate(found.entrants)}
    together = {frozenset(pair) for g in found.groups for pair in itertools.combinations(g, 2)}
    for a, b in itertools.combinations(found.entrants, 2):
        near = abs(found.mean_rank[place[a]] - found.mean_rank[place[b]])
        assert (near < found.critical_difference) == (frozenset((a, b)) in together)
    for g, h in itertools.permutations(found.groups, 2):
        assert not set(g) <= set(h)


def test_paired_differences_are_scipys() -> None:
    rng = np.random.default_rng(5)
    x = rng.gamma(3, 2, 40)
    y = x * rng.lognormal(0.1, 0.2, 40)
    found = paired_difference(x, y, level=0.9)
    told = stats.ttest_rel(x, y)
    interval = told.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_t == pytest.approx(told.pvalue)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(x, y, zero_method="zsplit").pvalue)
    log = paired_difference(x, y, relative=True)
    assert log.mean == pytest.approx(stats.gmean(x) / stats.gmean(y) - 1)
    swapped = paired_difference(y, x, relative=True)
    assert 1 + swapped.low == pytest.approx(1 / (1 + log.high))


def test_pairs_without_a_result_are_left_out_and_few_pairs_say_nothing() -> None:
    found = paired_difference(np.array([1.0, math.inf, 3, 4]), np.array([2.0, 1, math.nan, 5]))
    assert (found.pairs, found.left_out, found.mean) == (2, 2, -1.0)
    assert found.p_t == 0.0
    one = paired_difference(np.array([1.0]), np.array([2.0]))
    assert one.mean == -1
    assert math.isnan(one.low)
    assert math.isnan(one.p_wilcoxon)
    none = paired_difference(np.array([math.nan]), np.array([2.0]))
    assert math.isnan(none.mean)
    same = paired_difference(np.ones(5), np.ones(5))
    assert (same.mean, same.p_t, same.p_wilcoxon) == (0, 1, 1)


def holm_by_definition(p: list[float]) -> list[float]:
    """Each p-value times those not yet rejected, never below the one before."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    result, floor = [0.0] * len(p), 0.0
    for step, i in enumerate(order):
        floor = max(floor, min(1.0, p[i] * (len(p) - step)))
        result[i] = floor
    return result


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrected_p_values(p: list[float]) -> None:
    values = np.array(p)
    assert adjusted(values).tolist() == pytest.approx(holm_by_definition(p))
    assert (adjusted(values) <= adjusted(values, "bonferroni") + 1e-12).all()
    assert adjusted(values, "fdr").tolist() == pytest.approx(
        stats.false_discovery_control(values, method="by").tolist()
    )
    assert adjusted(values, "none").tolist() == p
    with_gap = adjusted(np.append(values, math.nan))
    assert with_gap[:-1].tolist() == adjusted(values).tolist()
    assert math.isnan(with_gap[-1])


def test_intervals_hold_together_and_false_finds_are_rare() -> None:
    """80 studies of five equal entrants: how often any of ten intervals or tests is wrong."""
    rng = np.random.default_rng(11)
    wrong_interval = wrong_test = 0
    for _ in range(80):
        luck = rng.lognormal(0, 0.5, (12, 1))
        table = pd.DataFrame(luck * rng.lognormal(0, 0.1, (12, 5)), columns=list("abcde"))
        found = compare(table)
        wrong_interval += bool(((found["low"] > 0) | (found["high"] < 0)).any())
        wrong_test += bool(found["better"].ne("").any())
    # 5 % and three standard deviations of a binomial with 80 trials
    assert wrong_interval <= 80 * 0.05 + 3 * math.sqrt(80 * 0.05 * 0.95)
    assert wrong_test <= 80 * 0.05 + 3 * math.sqrt(80 * 0.05 * 0.95)


def test_pairing_finds_what_unpaired_samples_hide() -> None:
    study = Study.of(made_runs(planners={"a": 1.0, "b": 1.05}, workflows=8, seeds=2, noise=0.02))
    table = study.table(each_run=True)
    found = compare(table).iloc[0]
    assert found["low"] < 1 / 1.05 - 1 < found["high"] < 0
    assert found["better"] == "a"
    assert stats.ttest_ind(table["a"], table["b"]).pvalue > 0.5
    against = compare(study.table(), baseline="b", test="t", correction="none")
    assert against[["first", "second"]].to_numpy().tolist() == [["a", "b"]]


def test_profiles_of_a_worked_example() -> None:
    table = pd.DataFrame(
        {"a": [1.0, 2.0, 4.0, 0.0], "b": [2.0, 2.0, 1.0, 0.0], "c": [math.inf, 3.0, 8.0, 1.0]}
    )
    assert ratios(table)["c"].tolist() == [math.inf, 1.5, 8.0, math.inf]
    found = performance_profile(table)
    steps = {
        name: list(zip(g["ratio"], g["share"], strict=True)) for name, g in found.groupby("entrant")
    }
    assert steps["a"] == [(1.0, 0.75), (4.0, 1.0)]
    assert steps["b"] == [(1.0, 0.75), (2.0, 1.0)]
    assert steps["c"] == [(1.0, 0.0), (1.5, 0.25), (8.0, 0.5)]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.floats(0.1, 50), min_size=3, max_size=3), min_size=1, max_size=10))
def test_profiles_do_not_depend_on_units(rows: list[list[float]]) -> None:
    table = pd.DataFrame(rows, columns=list("abc"))
    units = np.arange(1, len(rows) + 1)[:, None] * 4.0  # each setting in a unit of its own
    assert ratios(table).to_numpy() == pytest.approx(ratios(table * units).to_numpy())
    first = performance_profile(table).query("ratio == 1")["share"]
    assert first.sum() >= 1 - 1e-12  # somebody is best
    assert performance_profile(table).groupby("entrant")["share"].max().eq(1).all()


def test_enough_runs_cover_the_truth_as_often_as_they_say() -> None:
    """Stein's rule, 3000 times: a first sample of 10, then as many as it asks for."""
    rng = np.random.default_rng(2)
    hits, trials = 0, 3000
    for _ in range(trials):
        x = rng.normal(5, 2, 10)
        n = int(runs_needed(x, 1.0, relative=False))
        x = np.append(x, rng.normal(5, 2, n - 10))
        hits += abs(x.mean() - 5) <= 1.0
    assert hits / trials >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)


def test_enough_runs_in_closed_form() -> None:
    x = np.array([8.0, 12.0, 9.0, 11.0])
    t, s = stats.t.ppf(0.975, 3), x.std(ddof=1)
    assert runs_needed(x, 0.02) == math.ceil((t * s / 0.2) ** 2)
    assert runs_needed(x, 1e6) == 4
    assert runs_needed(np.ones(5), 0.01) == 5
    assert runs_needed(np.array([-1.0, 1.0]), 0.01) == math.inf
    assert math.isnan(runs_needed(np.array([1.0, math.inf]), 0.01))


def test_precision_has_a_row_for_every_setting_and_entrant() -> None:
    study = Study.of(made_runs())
    found = precision(study, width=0.1)
    assert len(found) == 4 * 3 * 5 - 4  # cheapest has no plan for the tightest deadline
    row = found.query("workflow == 'w1' and deadline == 'x2' and entrant == 'lp'").iloc[0]
    runs = made_runs().query("workflow == 'w1' and deadline_factor == 2 and planner == 'lp'")
    x = runs["cost_usd"].to_numpy()
    assert row["mean"] == pytest.approx(x.mean())
    assert row["more"] == runs_needed(x, 0.1) - 6


def test_tables_are_means_over_luck() -> None:
    runs = made_runs()
    study = Study.of(runs.sample(frac=1, random_state=3))  # whatever the order
    assert study.settings == ("workflow", "deadline")
    assert set(study.entrants) == set(PLANNERS)
    table = study.table()
    assert list(table.index[:3]) == [("w0", "x1.2"), ("w0", "x2"), ("w0", "x4")]
    mean = runs.query("workflow == 'w2' and deadline_factor == 4 and planner == 'prolis'")
    assert table.loc[("w2", "x4"), "prolis"] == pytest.approx(mean["cost_usd"].mean())
    assert table.loc[("w0", "x1.2"), "cheapest"] == math.inf
    assert table["heft"].map(math.isinf).sum() == 1  # of the setting with a failed run
    assert study.table(each_run=True).shape == (4 * 3 * 6, 5)
    met = runs.groupby(["workflow", "deadline_factor", "planner"])["met"].mean()
    assert (study.table(least_met=0.9) == math.inf).sum().sum() == (met < 0.9).sum()
    pd.testing.assert_frame_equal(
        Study.of(runs).table()[list(PLANNERS)], table[list(PLANNERS)], check_exact=True
    )


def test_streams_are_compared_by_policy() -> None:
    study = Study.of(made_streams())
    assert study.streams
    assert study.settings == ("scenario",)
    assert rank(study.table()).entrants == ("lp", "scs", "reactive")


def test_budgets_and_deadlines_have_readable_labels_in_order_of_size() -> None:
    runs = pd.DataFrame(
        {"planner": "lp", "workflow": "w", "deadline_s": [7200.0, 600, 90, math.nan]}
    )
    found = Study.of(runs.assign(budget_usd=[1, 2, 3, math.nan])).runs
    assert found["deadline"].tolist() == ["90s", "10m00s", "2h00m", ""]
    assert found["budget"].iloc[-1] == ""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Study.of(pd.DataFrame()), "expected at least one run"),
        (lambda: Study.of(pd.DataFrame({"a": [1]})), "expected a column 'planner' or 'policy'"),
        (
            lambda: Study.of(pd.DataFrame({"planner": ["x"]}), ["b"]),
            "expected a column of the runs",
        ),
        (lambda: Study.of(pd.concat([made_runs()] * 2)), "the same setting, entrant and luck"),
        (lambda: Study.of(made_runs()).table("price"), "figure: expected a column such as"),
        (lambda: rank(pd.DataFrame({"a": [1.0]})), "at least two entrants"),
        (lambda: rank(pd.DataFrame({"a": [1.0], "b": [math.nan]})), "no setting in which all"),
        (lambda: ratios(pd.DataFrame({"a": [-1.0]})), "expected figures >= 0"),
        (
            lambda: compare(Study.of(made_runs()).table(), baseline="ic"),
            "baseline: expected one of",
        ),
        (lambda: paired_difference(np.ones(2), np.ones(3)), "as many of both"),
        (lambda: paired_difference(np.zeros(2), np.ones(2), relative=True), "values > 0"),
        (lambda: adjusted(np.ones(2), "sidak"), "correction: expected one of"),  # type: ignore[arg-type]
        (lambda: runs_needed(np.ones(2), 0), "width: expected a number > 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        make()
