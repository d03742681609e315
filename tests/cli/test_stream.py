"""The commands ``stream`` and ``policies``."""

from __future__ import annotations

import csv
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import autoscale.policies
from autoscale.errors import InputError, unknown
from autoscale.policies.about import About
from tests.policies import simple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

SCENARIO = """
horizon = "1h"
[stream]
pattern = "stable"
rate_per_hour = 10
[[classes]]
application = "pipeline"
tasks = 2
deadline = { factor = 2 }
[cloud]
catalog = "ec2-2011"
types = "c1.*"
boot = "100s"
[chance.runtime]
task = { family = "lognormal", mean = 1, cv = 0.2 }
"""


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tests' own policies the known ones."""
    modules = {}
    for name in ("one-each", "pool", "failing"):
        module = ModuleType(name)
        vars(module)["make"] = getattr(simple, name.replace("-", "_"))
        vars(module)["ABOUT"] = About(aim="deadlines", summary=f"what {name} does", source="test")
        modules[name] = module
    monkeypatch.setattr(autoscale.policies, "POLICIES", tuple(modules))
    monkeypatch.setattr(autoscale.policies, "_REGISTRY", Known(modules))


class Known:
    """A registry of the tests' own policies."""

    def __init__(self, modules: dict[str, ModuleType]) -> None:
        self.modules = modules

    def module(self, name: str) -> ModuleType:
        if name not in self.modules:
            raise InputError(unknown("policy", name, list(self.modules)))
        return self.modules[name]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "case.toml"
    path.write_text(SCENARIO)
    return path


def test_policies_side_by_side(run: Run, scenario: Path, tmp_path: Path) -> None:
    """Table, JSON and files have the same figures; the bound holds."""
    given = ("stream", scenario, "--policy", "one-each,pool", "--seeds", 2, "--seed", 7)
    outcome = run(*given, "--json", "-o", tmp_path / "out", "--csv", tmp_path / "rows.csv")
    assert outcome.code == 0
    facts = outcome.facts
    assert (facts["scenario"], facts["seeds"]) == ("case", [7, 8])
    assert [row["policy"] for row in facts["policies"]] == ["one-each", "pool"]
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [float(r["cost_usd"]) for r in rows] == [r["cost_usd"] for r in facts["runs"]]
    assert (tmp_path / "out" / "runs.csv").read_bytes() == (tmp_path / "rows.csv").read_bytes()
    jobs = list(csv.DictReader((tmp_path / "out" / "jobs.csv").read_text().splitlines()))
    assert len(jobs) == sum(r["jobs"] for r in facts["runs"])
    assert (tmp_path / "out" / "fleet.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "policies.csv").is_file()
    for row in facts["runs"]:
        assert row["bound_usd"] <= row["cost_usd"] or row["missed"]
    means = {r["policy"]: r["cost_usd"] for r in facts["policies"]}
    table = run(*given).out
    assert f"${means['one-each']:,.2f}" in table
    assert "no schedule that meets every deadline costs" in table


def test_a_policy_that_misbehaves(run: Run, scenario: Path) -> None:
    """Exit code 5 when others came to their end, 3 when none did; its name and time are told."""
    outcome = run("stream", scenario, "--seeds", 1, "--no-bound")
    assert outcome.code == 5
    assert "note: seed 0: stopped: policy 'failing' at " in outcome.err
    assert "raised RuntimeError: no idea" in outcome.err
    assert run("stream", scenario, "--policy", "failing", "--seeds", 1).code == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("no-such",), "unknown scenario 'no-such'; known are"),
        (("{path}", "--policy", "one-eech"), "unknown policy 'one-eech'; did you mean 'one-each'"),
        (("{path}", "--policy", ","), "--policy: expected names of policies for deadlines"),
        (("ensemble",), "--policy: expected names of policies for ensemble, got 'all'"),
        (("{path}", "--seeds", "0"), "--seeds, --seed: expected numbers >= 1 and >= 0"),
        (("{path}", "--csv", "x.txt"), "--csv: x.txt: expected a name that ends in .csv"),
        (("{path}", "-o", "{path}"), "case.toml is not a folder"),
        (("{path}", "--confidence", "2"), "expected a level between 0 and 1"),
    ],
)
def test_bad_input(run: Run, scenario: Path, given: tuple[str, ...], message: str) -> None:
    outcome = run("stream", *(g.format(path=scenario) for g in given))
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.out == ""


def test_policies_are_listed(run: Run) -> None:
    table = run("policies").out
    rows = run("policies", "--json").facts
    assert [row["policy"] for row in rows] == ["one-each", "pool", "failing"]
    for row in rows:
        assert f"{row['summary']} (test)" in table
