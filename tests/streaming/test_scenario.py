"""Scenarios: what they draw, and what is refused in their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.errors import InputError
from autoscale.workloads import Stable
from simulator.chance import Chance, EstimateError
from simulator.distributions import Uniform
from simulator.luck import Luck
from simulator.streaming import read_scenario, shipped_scenarios
from simulator.streaming.scenario import DeadlineRule, Estimates
from simulator.streaming.sources import JobClass, Patterned
from simulator.streams import merged
from tests.streaming.small import small, two_steps

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.streaming.scenario import Stream

GOOD = """
horizon = "2h"
late = "reject"
[stream]
pattern = "stable"
rate_per_hour = 20
[[classes]]
application = "pipeline"
tasks = 3
deadline = "1h"
[[classes]]
name = "wide"
application = "parallel"
tasks = 6
runtime_mean = "10m"
deadline = { factor = 2.5 }
priority = 3
share = 2
[cloud]
catalog = "ec2-2011"
types = "m1.*,c1.*"
billing = "hour"
boot = "97s"
[estimates]
bias = 0.2
[terms]
budget_per_hour = 3
"""


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "case.toml"
    path.write_text(text)
    return read_scenario(path)


def plain(stream: Stream) -> list[Any]:
    """Return a stream as plain values."""
    jobs = [
        (j.arrival_s, j.priority, j.problem.deadline_s, j.problem.workflow.runtime_s.tolist())
        for j in stream.jobs
    ]
    return [jobs, stream.kinds, stream.hopeless, stream.rejected]


def test_a_scenario_is_read(tmp_path: Path) -> None:
    s = read(tmp_path, GOOD)
    assert (s.name, s.horizon_s, s.late, s.aim) == ("case", 7200, "reject", "turnaround")
    assert (s.cloud.boot_s, s.cloud.billing.quantum_s) == (97, 3600)
    assert s.terms(4).budget_usd_per_hour == 3
    assert [c.name for c in s.source.classes] == ["pipeline-3", "wide"]
    stream = s.stream(1)
    assert {j.priority for j in stream.jobs} == {1.0, 3.0}
    wide = [j for j, k in zip(stream.jobs, stream.kinds, strict=True) if k == "wide"]
    assert len(wide) > 0.4 * len(stream.jobs)


def test_the_same_seed_draws_the_same_stream() -> None:
    s = read_scenario("cycle")
    assert plain(s.stream(3)) == plain(s.stream(3))
    assert plain(s.stream(3)) != plain(s.stream(4))


def test_a_longer_horizon_and_wrong_estimates_leave_deadlines_as_they_are() -> None:
    """Deadlines are of the true workflows; policies see runtimes that are wrong by the bias."""
    calm, wrong = small(), small(estimates=Estimates(bias=0.2))
    for right, seen in zip(calm.stream(2).jobs, wrong.stream(2).jobs, strict=True):
        assert right.problem.deadline_s == seen.problem.deadline_s == 60 + 3 * 300
        np.testing.assert_allclose(
            seen.problem.workflow.runtime_s, 1.2 * right.problem.workflow.runtime_s
        )


def test_the_truth_is_what_it_would_be_without_errors() -> None:
    """A bias is undone by chance; what tasks take about it has the mean 1 and the cv asked for."""
    jobs = small(estimates=Estimates(bias=-0.2)).stream(0).jobs
    luck = Luck(small(estimates=Estimates(bias=-0.2)).luck, merged(jobs))
    assert luck.truth is not None
    np.testing.assert_allclose(np.array(luck.truth) * 0.8, 1)
    noisy = Estimates(bias=0.5, cv=0.3).added_to(Chance()).estimate_error
    assert noisy is not None
    drawn = noisy.task.quantile((np.arange(100_000) + 0.5) / 100_000) * 1.5
    assert drawn.mean() == pytest.approx(1, abs=1e-3)
    assert drawn.std() == pytest.approx(0.3, abs=3e-3)


def test_deadlines_that_cannot_be_met() -> None:
    """The chain takes 300 s on the fast type: 299 s are too few even on a machine that is ready."""
    for after_s, is_hopeless in ((299.0, True), (300.0, False)):
        kind = JobClass(
            name="two", workflow=two_steps(), deadline=DeadlineRule(after_s=after_s), share=1
        )
        fine = JobClass(name="fine", workflow=two_steps())
        source = Patterned(pattern=Stable(rate_per_hour=30), classes=(kind, fine))
        run_all = small(source=source).stream(0)
        expected = [k == "two" and is_hopeless for k in run_all.kinds]
        assert any(k == "two" for k in run_all.kinds)
        assert list(run_all.hopeless) == expected
        assert run_all.rejected == 0
        fewer = small(source=source, late="reject").stream(0)
        assert fewer.rejected == sum(expected)
        assert len(fewer.jobs) == len(run_all.jobs) - sum(expected)
        assert not any(fewer.hopeless)


def test_a_stream_without_jobs_is_refused() -> None:
    kind = JobClass(name="two", workflow=two_steps(), deadline=DeadlineRule(after_s=1))
    source = Patterned(pattern=Stable(rate_per_hour=30), classes=(kind,))
    with pytest.raises(InputError, match=r"seed 0: there are no jobs to run: .* were rejected"):
        small(source=source, late="reject").stream(0)


@pytest.mark.parametrize("name", shipped_scenarios())
def test_shipped_scenarios_are_small(name: str) -> None:
    s = read_scenario(name)
    stream = s.stream(0)
    assert 10 <= len(stream.jobs) <= 200
    assert 100 <= sum(len(j.problem.workflow) for j in stream.jobs) <= 2500
    assert not any(stream.hopeless)
    assert s.name == name


def test_a_trace_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "arrival_s,runtime_s,vcpus,class,deadline_s\n0,60,1,x,\n600,30,2,y,99\n900,1,1,x,\n"
    )
    head = 'horizon = "1h"\n[cloud]\ncatalog = "ec2-2011"\n[stream]\ntrace = "t.csv"\n'
    s = read(tmp_path, head + 'time_scale = 2\nfirst = "5m"\ndeadline = "10m"\n')
    stream = s.stream(0)
    assert [j.arrival_s for j in stream.jobs] == [600, 1200]
    assert stream.kinds == ("y", "x")
    assert [j.problem.deadline_s for j in stream.jobs] == [99, 600]
    assert stream.jobs[0].problem.workflow.vcpus.tolist() == [2]


def test_what_is_doubtful_in_a_trace_is_told(tmp_path: Path) -> None:
    row = "{} {} 1 {} 1 1 -1 1 1 -1 1 1 1 -1 -1 1 -1 -1\n"
    (tmp_path / "log.swf").write_text(row.format(1, 0, 10) + row.format(2, 5, -1))
    s = read(tmp_path, 'horizon = "1h"\n[stream]\ntrace = "log.swf"\n')
    assert [note.partition(": ")[2] for note in s.doubts] == [
        "1 of 2 jobs are incomplete and left out"
    ]
    assert len(s.stream(0).jobs) == 1


def test_a_trace_of_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("arrival_s,class\n0,a\n10,b\n20,a\n")
    text = 'horizon = "1h"\n[stream]\ntrace = "t.csv"\n'
    for name in "ab":
        text += f'[[classes]]\nname = "{name}"\napplication = "pipeline"\ntasks = 2\n'
    assert read(tmp_path, text).stream(0).kinds == ("a", "b", "a")
    with pytest.raises(InputError, match="trace: unknown class 'b'"):
        read(tmp_path, text.replace('name = "b"', 'name = "c"'))


def test_imported_workflows_and_fresh_ones(tmp_path: Path) -> None:
    head = 'horizon = "2h"\n[stream]\npattern = "stable"\nrate_per_hour = 20\n'
    one = '[[classes]]\nworkflow = "example:sipht"\nruntime_scale = 0.5\n'
    s = read(tmp_path, head + one + '[[classes]]\napplication = "hybrid"\ntasks = 5\nfresh = true')
    jobs = s.stream(0).jobs
    whole = read_scenario("stable").cloud  # any cloud
    assert whole.catalog.name == "aws"
    imported = [j for j in jobs if j.problem.workflow.name == "sipht-100"]
    fresh = [j for j in jobs if j.problem.workflow.name == "hybrid-5"]
    assert imported
    assert len({j.problem.workflow.runtime_s.sum() for j in imported}) == 1
    assert len({j.problem.workflow.runtime_s.sum() for j in fresh}) == len(fresh) > 1


ENSEMBLE = 'horizon = "2h"\n[ensemble]\nworkflows = 3\nsmallest = 20\nlargest = 40\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('late = "reject"', 'latee = "reject"', "unknown key 'latee'; did you mean 'late'"),
        ('horizon = "2h"', "", r"case.toml: horizon: expected a duration > 0.*found nothing"),
        ('horizon = "2h"', 'horizon = "soon"', "horizon: expected a duration > 0.*got 'soon'"),
        ('horizon = "2h"', "horizon = 0", "horizon: expected a duration > 0.*got 0"),
        ('"reject"', '"rejekt"', "late: unknown choice 'rejekt'; did you mean 'reject'"),
        ('"stable"', '"stabel"', r"\[stream\]: unknown pattern 'stabel'; did you mean 'stable'"),
        ("rate_per_hour = 20", "rate_hour = 20", "unknown key 'rate_hour'; did you mean 'rate_per"),
        ("rate_per_hour = 20", "", r"\[stream\] rate_per_hour: expected a number >= 0, found noth"),
        ("rate_per_hour = 20", "rate_per_hour = 0", r"\[stream\]: rate_per_hour: .* > 0, got 0"),
        ("tasks = 3", "tasks = 0", r"\[\[classes\]\] 1: tasks: expected a whole number >= 1, got"),
        ("tasks = 6", "tasks = 2", r"\[\[classes\]\] 2: tasks: expected a whole number >= 3"),
        ('"pipeline"', '"pipe"', r"\[\[classes\]\] 1: application: unknown choice 'pipe'; did"),
        ("tasks = 3", 'tasks = 3\nworkflow = "x"', "either an application or a workflow"),
        ('name = "wide"', 'name = "pipeline-3"', "'pipeline-3' is the name of more than one"),
        ("factor = 2.5", "faktor = 2.5", r"2: deadline: unknown key 'faktor'; did you mean 'fac"),
        ('deadline = "1h"', 'deadline = "-1h"', "1: deadline: expected a duration > 0"),
        ("priority = 3", "priority = 0", "2: priority: expected a number > 0, got 0"),
        ('"ec2-2011"', '"ec2"', r"\[cloud\] catalog: unknown catalogue 'ec2'; did you mean"),
        ("m1.*", "m9.*", r"\[cloud\]: .*unknown instance type or pattern 'm9"),
        ('"hour"', '"hours"', r"\[cloud\]: billing: expected 'second', 'hour'"),
        ('boot = "97s"', "boot = -1", r"\[cloud\] boot: expected a duration >= 0.* got -1"),
        ('boot = "97s"', 'allow = "x=m1.*"', r"\[cloud\]: allow x=m1.\*: unknown category 'x'"),
        ('boot = "97s"', 'transfers = "no"', r"\[cloud\] transfers: expected true or false"),
        ("bias = 0.2", "bias = -1", r"\[estimates\] bias: expected a number > -1, got -1"),
        ("budget_per_hour = 3", "budget_per_hour = 0", r"\[terms\] budget_per_hour: expected an a"),
        ("[terms]", '[chance]\nboott = 1\n[terms]', "unknown source of chance 'boott'"),
        ("[terms]", '[chance.estimate_error]\ntask = 2\n[terms]', "estimate_error. with task alr"),
        ("[stream]", "[ensemble]\n[stream]", r"expected either \[stream\] or \[ensemble\], found"),
        ("horizon", "horizon = ", "not a TOML file"),
    ],
)  # fmt: skip
def test_wrong_entries_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert str(caught.value).startswith(str(tmp_path / "case.toml"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("workflows = 3", "workflow = 3", "unknown key 'workflow'; did you mean 'workflows'"),
        ("smallest = 20", "smallest = 50", "expected 1 <= smallest <= largest, got 50 and 40"),
        ("smallest = 20", 'files = "x.json"', "workflows: has no meaning with files"),
        ("smallest = 20", 'sizes = "normal"', "sizes: unknown choice 'normal'"),
    ],
)
def test_wrong_ensembles_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert read(tmp_path, ENSEMBLE).aim == "ensemble"
    with pytest.raises(InputError, match=message):
        read(tmp_path, ENSEMBLE.replace(old, new))


def test_an_unknown_scenario_names_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown scenario 'stabel'; did you mean 'stable'"):
        read_scenario("stabel")


def test_errors_of_estimates_are_stated_once() -> None:
    chance = Chance(estimate_error=EstimateError(task=Uniform(low=1, high=2)))
    assert Estimates().added_to(chance) is chance
    with pytest.raises(InputError, match="with task already"):
        Estimates(cv=0.1).added_to(chance)
