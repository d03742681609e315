"""Units, tolerances, and how people write durations and money.

Inside the project time is seconds, money US dollars, data bytes, and capacity whole vCPUs.
"""

from __future__ import annotations

import math
import re

from autoscale.errors import InputError

TIME_TOL_S = 1e-6
"""Two times closer than this are the same time."""

COST_TOL_USD = 1e-6
"""Two costs closer than this are the same cost."""

GIB = 2**30
"""Bytes in a GiB."""

BYTES_PER_GBIT = 1.25e8
"""Bytes that a link of 1 Gbit/s moves in a second."""

HOUR_S = 3600.0

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "": 1.0}
_DURATION = re.compile(
    r"(\d+(?:\.\d*)?|\.\d+)\s*(days?|hours?|minutes?|seconds?|min|sec|[dhms]|)\s*"
)
_NUMBER = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def parse_duration(text: str) -> float:
    """Return the seconds that ``text`` means.

    Understood are plain seconds (``90``, ``1e3``), units ``d h m s`` with fractions and
    combinations (``90m``, ``1h30m``, ``2.5h``), and clock style (``1:30:00`` is h:m:s).

    Raises
    ------
    InputError
        When the text is not a duration, is negative, or is not finite.

    Examples
    --------
    >>> parse_duration("1h30m"), parse_duration("2.5h"), parse_duration("90")
    (5400.0, 9000.0, 90.0)
    """
    stripped = text.strip().lower()
    if _NUMBER.fullmatch(stripped) and float(stripped) >= 0 and math.isfinite(float(stripped)):
        return float(stripped)
    if re.fullmatch(r"\d+:[0-5]?\d(:[0-5]?\d(\.\d+)?)?", stripped):
        parts = [float(p) for p in stripped.split(":")]
        parts += [0.0] * (3 - len(parts))
        return parts[0] * 3600 + parts[1] * 60 + parts[2]
    pairs = _DURATION.findall(stripped)
    if pairs and "".join(stripped.split()) == "".join(n + u for n, u in pairs):
        names = [unit if unit == "min" else unit[:1] for _, unit in pairs]
        keys = ["m" if name == "min" else name for name in names]
        if len(set(keys)) == len(keys) and ("" not in keys or len(keys) == 1):
            return sum(float(n) * _SECONDS[k] for (n, _), k in zip(pairs, keys, strict=True))
    raise InputError(
        f"duration: expected something like 90, 90m, 1h30m, 2.5h or 1:30:00, got {text!r}"
    )


def parse_money(text: str) -> float:
    """Return the US dollars that ``text`` means (``5``, ``$5``, ``$1,200.50``, ``5 USD``).

    Raises
    ------
    InputError
        When the text is not an amount, is negative, or is not finite.

    Examples
    --------
    >>> parse_money("$1,200.50")
    1200.5
    """
    stripped = text.strip().lower().removesuffix("usd").strip().removeprefix("$").replace(",", "")
    if _NUMBER.fullmatch(stripped):
        amount = float(stripped)
        if math.isfinite(amount) and amount >= 0:
            return amount
    raise InputError(f"money: expected an amount >= 0 such as 5 or $5.50, got {text!r}")


_PER_SECOND = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}
_BANDWIDTH = re.compile(r"(.*?)\s*(?:([kmgt]?b)/s|([kmgt]?)bit(?:/s)?|([kmgt]?)bps|)")


def parse_bandwidth(text: str) -> float:
    """Return the bytes per second that ``text`` means.

    Understood are plain bytes per second (``1e9``), decimal multiples of bytes (``500MB/s``) and
    of bits (``10Gbit/s``, ``10Gbps``).

    Raises
    ------
    InputError
        When the text is not a bandwidth, is not above 0, or is not finite.

    Examples
    --------
    >>> parse_bandwidth("500MB/s"), parse_bandwidth("10Gbit/s"), parse_bandwidth("1e9")
    (500000000.0, 1250000000.0, 1000000000.0)
    """
    match = _BANDWIDTH.fullmatch(text.strip().lower())
    if match and _NUMBER.fullmatch(match[1]):
        bits = match[3] if match[3] is not None else match[4]
        unit = _PER_SECOND[match[2] or "b"] if bits is None else _PER_SECOND[f"{bits}b"] / 8
        value = float(match[1]) * unit
        if 0 < value < math.inf:
            return value
    raise InputError(f"bandwidth: expected something like 1e9, 500MB/s or 10Gbit/s, got {text!r}")


def parse_share(what: str, text: str) -> float:
    """Return the share that ``text`` means (``2%``, ``0.02``).

    Raises
    ------
    InputError
        When the text is not a share, is negative, or is not finite; the message names ``what``.

    Examples
    --------
    >>> parse_share("--gap", "2%"), parse_share("--gap", "0.02")
    (0.02, 0.02)
    """
    stripped = text.strip()
    number = stripped.removesuffix("%").strip()
    if _NUMBER.fullmatch(number) and math.isfinite(float(number)) and float(number) >= 0:
        return float(number) / (100 if stripped.endswith("%") else 1)
    raise InputError(f"{what}: expected a share >= 0 such as 2% or 0.02, got {text!r}")


def format_duration(seconds: float) -> str:
    """Return ``seconds`` as people read it.

    Examples
    --------
    >>> format_duration(5400), format_duration(42.25), format_duration(90061)
    ('1h30m', '42.2s', '1d1h01m01s')
    """
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds < 100:
        return f"{seconds:.3g}s"
    total = round(seconds)
    days, rest = divmod(total, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if not days and not hours:
        return f"{minutes}m{secs:02d}s"
    day = f"{days}d" if days else ""
    return f"{day}{hours}h{minutes:02d}m" + (f"{secs:02d}s" if secs else "")


def format_money(usd: float) -> str:
    """Return dollars with as many digits as small amounts need.

    Examples
    --------
    >>> format_money(12.3456), format_money(0.012345), format_money(0)
    ('$12.35', '$0.01235', '$0.00')
    """
    if usd == 0 or abs(usd) >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.4g}"
