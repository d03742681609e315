"""Durations, money and bandwidths as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.errors import InputError
from autoscale.units import (
    format_duration,
    format_money,
    parse_bandwidth,
    parse_duration,
    parse_money,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1e3", 1000),
        (" 90m ", 5400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("2.5h", 9000),
        (".5h", 1800),
        ("2 hours", 7200),
        ("1 day 6 hours", 108000),
        ("1d6h", 108000),
        ("45 min", 2700),
        ("3 Minutes", 180),
        ("1:30:00", 5400),
        ("0:00:01.5", 1.5),
        ("0", 0),
    ],
)
def test_durations_mean_what_people_mean(text: str, seconds: float) -> None:
    """Each way to write a duration gives the seconds worked out by hand."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "abc", "nan", "inf", "-5", "-5m", "1e999", "5x", "1h1h", "h", "5 5m", "1:75:00", "5m3"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nonsense, negatives, repeats and what is not finite are refused with what was found."""
    with pytest.raises(InputError, match="duration: expected") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)


@given(st.floats(0, 1e12))
def test_plain_seconds_are_themselves(seconds: float) -> None:
    """A number alone is seconds, bit for bit."""
    assert parse_duration(repr(seconds)) == seconds


@given(st.integers(100, 10_000_000))
def test_formatted_durations_read_back(seconds: int) -> None:
    """What is printed can be given back, and means the same to the second."""
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "usd"),
    [("5", 5), ("$5", 5), ("$1,200.50", 1200.5), ("5 USD", 5), (" 0.05 ", 0.05), ("1e-3", 0.001)],
)
def test_money_means_what_people_mean(text: str, usd: float) -> None:
    """Each way to write an amount gives the dollars worked out by hand."""
    assert parse_money(text) == usd


@pytest.mark.parametrize("text", ["", "five", "-5", "$-5", "nan", "inf", "5 EUR", "$", "1e999"])
def test_what_is_no_money_is_refused(text: str) -> None:
    """Nonsense, negatives, other currencies and what is not finite are refused."""
    with pytest.raises(InputError, match="money: expected an amount"):
        parse_money(text)


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [
        ("1e9", 1e9),
        ("250", 250),
        ("500MB/s", 5e8),
        ("500 mb/s", 5e8),
        ("10Gbit/s", 1.25e9),
        ("10 Gbps", 1.25e9),
        ("10Gbit", 1.25e9),
        ("8bit/s", 1),
        ("3B/s", 3),
    ],
)
def test_bandwidths_mean_what_people_mean(text: str, bytes_per_s: float) -> None:
    """Bytes and bits, decimal multiples, worked out by hand."""
    assert parse_bandwidth(text) == bytes_per_s


@pytest.mark.parametrize(
    "text", ["", "fast", "0", "-1", "nan", "inf", "5MB", "5 s", "1e999", "bit"]
)
def test_what_is_no_bandwidth_is_refused(text: str) -> None:
    """Nonsense, zero, negatives, sizes and what is not finite are refused."""
    with pytest.raises(InputError, match="bandwidth: expected"):
        parse_bandwidth(text)


def test_small_amounts_keep_their_digits() -> None:
    """An amount below a dollar shows four digits, so that cheap plans can be told apart."""
    assert [format_money(x) for x in (0.018765, 1234.5, 0)] == ["$0.01877", "$1,234.50", "$0.00"]
    assert format_duration(math.inf) == "inf"
