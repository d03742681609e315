"""Descriptions of chance: reading, defaults, and one clear error for everything wrong."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.errors import InputError
from simulator.chance import (
    SOURCES,
    Boot,
    BootFailure,
    Chance,
    InstanceFailure,
    Network,
    Spot,
    TaskFailure,
    chance_of,
    read_chance,
)
from simulator.distributions import Gamma, Lognormal
from simulator.market import Market, Trace, read_trace

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = """
source = "made up"
[boot]
time_s = { family = "lognormal", mean = 40, cv = 0.3, shift = 12 }
[boot_failure]
probability = 0.01
[runtime]
task = { family = "gamma", mean = 1, cv = 0.2 }
[spot]
rate_per_hour = 0.02
[[spot.markets]]
types = "m5.*"
trace = "prices.csv"
bid_usd_per_hour = 0.1
[network]
sharing = "max-min"
service_bandwidth = "10Gbit/s"
"""
PRICES = "time_s,price_usd_per_hour\n10,0.05\n40,0.2\n70,0.06\n110,0.05\n"


def test_a_toml_file_states_the_sources(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(EXAMPLE)
    (tmp_path / "prices.csv").write_text(PRICES)
    chance = read_chance(tmp_path / "c.toml")
    assert chance.sources == ("boot", "boot_failure", "runtime", "spot", "network")
    assert chance.boot == Boot(time_s=Lognormal(mean=40, cv=0.3, shift=12))
    assert chance.boot_failure == BootFailure(probability=0.01)
    assert chance.runtime is not None
    assert chance.runtime.task == Gamma(mean=1, cv=0.2)
    assert chance.network == Network(sharing="max-min", service_bandwidth=1.25e9)
    assert chance.spot is not None
    (market,) = chance.spot.markets
    assert market.trace.time_s.tolist() == [0, 30, 60]
    assert market.trace.length_s == 100
    assert market.open.tolist() == [True, False, True]
    assert chance.without("spot", "network").sources == ("boot", "boot_failure", "runtime")


def test_everything_is_off_by_default() -> None:
    assert Chance().sources == ()
    assert set(SOURCES) == {f for f in Chance.__dataclass_fields__ if f != "source"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TaskFailure(probability=1.5), "TaskFailure.probability: expected a probability"),
        (lambda: TaskFailure(probability=0.1, retries=-1), "retries: expected a whole number >= 0"),
        (lambda: BootFailure(probability=float("nan")), "from 0 to 1, got nan"),
        (lambda: InstanceFailure(rate_per_hour=-1), "expected a rate per hour >= 0, got -1"),
        (lambda: Spot(rate_per_hour="often"), "expected a rate per hour >= 0, got 'often'"),  # type: ignore[arg-type]
        (lambda: Spot(notice_s=-5), "notice_s: expected finite seconds >= 0, got -5"),
        (lambda: Network(sharing="fair"), "expected 'fixed' or 'max-min', got 'fair'"),  # type: ignore[arg-type]
        (lambda: Network(sharing="max-min", service_bandwidth=0), "bytes per second > 0, got 0"),
        (lambda: Network(service_bandwidth=1e9), "is shared with sharing = 'max-min' only"),
        (lambda: Chance().without("spots"), "unknown source 'spots'; did you mean 'spot'"),
    ],
)
def test_figures_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"boots": {}}, "here: unknown source of chance 'boots'; did you mean 'boot'"),
        ({"boot": 90}, "here: [boot]: expected a table, got 90"),
        ({"boot": {}}, "here: [boot]: missing 1 required keyword-only argument: 'time_s'"),
        ({"boot": {"time_s": -1}}, "here: [boot] time_s: constant distribution: value must be"),
        ({"task_failure": {"probability": 2}}, "here: [task_failure]: chance: TaskFailure.prob"),
        ({"task_failure": {"probabilty": 1}}, "unknown key 'probabilty'; did you mean 'prob"),
        ({"spot": {"markets": [{"types": "*"}]}}, "markets 0: expected a table with the path"),
        ({"spot": {"markets": [{"trace": "no.csv"}]}}, "no.csv: no such file"),
    ],
)
def test_wrong_documents_name_the_place(document: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        chance_of(document, where="here")
    assert message in str(caught.value)


def test_unknown_names_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown chance 'nowhere'.*give the path of a"):
        read_chance("nowhere")
    (tmp_path / "c.toml").write_text("[boot\n")
    with pytest.raises(InputError, match=r"c\.toml: not a TOML file"):
        read_chance(tmp_path / "c.toml")


def test_traces_of_availability(tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    text = b'{"metadata": {"gap_seconds": 300}, "data": [4, 4, 0, 2]}'
    path.write_bytes(gzip.compress(text))
    trace = read_trace(path)
    assert (trace.kind, trace.length_s) == ("available", 1200)
    assert trace.time_s.tolist() == [0, 300, 600, 900]
    assert Market(trace=trace, at_least=3).open.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    "rows",
    [
        "unix_time,count\n100,1\n160,0\n160,2\n400,1\n",
        "Timestamp,available\n2021-02-09T00:00:00Z,1\n2021-02-09 00:01:00+00:00,2\n"
        "2021-02-09T00:05:00,9\n",
        "time_s,available\n300,7\n60,2\n0,1\n",  # newest first
    ],
)
def test_traces_of_several_writings(rows: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(rows)
    trace = read_trace(tmp_path / "t.csv")
    assert (trace.time_s.tolist(), trace.value.tolist(), trace.length_s) == ([0, 60], [1, 2], 300)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_s,price\n", "expected a column of times"),
        ("time_s,count\n1,2\n", "at least two rows, got 1"),
        ("time_s,count\n1,2\n2,\n3,1\n", "row 3, column 'count': expected a number >= 0, got ''"),
        ("time_s,count\n1,2\n,3\n", "row 3, column 'time_s': expected seconds or an ISO time"),
        ("time_s,count\n1,2\n3,-1\n", "got '-1'; the trace has a hole"),
        ("time_s,count\n1,2\n3,1\n2,1\n9,1\n", "times go back after 3 s"),
        ('{"data": [1]}', "expected JSON of the form"),
        ('{"metadata": {"gap_seconds": 0}, "data": [1]}', "gap_seconds must be > 0"),
        ('{"metadata": {"gap_seconds": 5}, "data": [1, null]}', "data number 1: expected a number"),
        ('{"metadata": {"gap_seconds": 5}, "data": []}', "at least one, got 0 and 0"),
    ],
)
def test_traces_with_holes_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(InputError) as caught:
        read_trace(tmp_path / "t")
    assert message in str(caught.value)


def test_markets_out_of_range_are_refused() -> None:
    trace = Trace(kind="price", time_s=np.zeros(1), value=np.ones(1), length_s=5.0)
    for given, message in (
        ({}, "needs a bid"),
        ({"bid_usd_per_hour": 0}, "bid_usd_per_hour must be > 0"),
        ({"at_least": 0}, "at_least must be >= 1"),
        ({"bid_usd_per_hour": 1, "start_s": -1}, "start_s must be a finite time"),
    ):
        with pytest.raises(InputError, match=message):
            Market(trace=trace, **given)  # type: ignore[arg-type]


def test_real_traces_are_read(shared: Path) -> None:
    folder = shared / "data" / "spot"
    prices = sorted(folder.glob("aws_2015_*.csv.gz"))
    assert len(prices) == 3
    for path in prices:
        trace = read_trace(path)
        assert trace.kind == "price"
        assert trace.length_s > 20 * 86400
    counts = sorted((folder / "preemption").glob("*.json.gz"))
    assert len(counts) >= 5
    assert all(read_trace(path).value.max() in (1, 4, 16) for path in counts)
