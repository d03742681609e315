"""Chance: every source of it, each by name and each off by default.

A :class:`Chance` says what may differ from the plan; which values a run meets is decided by the
seed alone (:mod:`simulator.luck`). It can be written as a TOML file, see :func:`read_chance`.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autoscale.errors import InputError, unknown
from autoscale.formats.files import read_bytes
from autoscale.resources import data_path
from autoscale.units import parse_bandwidth
from simulator.distributions import Constant, Distribution, distribution_of
from simulator.market import Market, read_trace

if TYPE_CHECKING:
    from collections.abc import Mapping


def _check(what: object, name: str, least: float, most: float, *, expected: str) -> None:
    value = getattr(what, name)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        raise InputError(
            f"chance: {type(what).__name__}.{name}: expected {expected}, got {value!r}"
        )


def _check_probability(what: object, name: str = "probability") -> None:
    _check(what, name, 0, 1, expected="a probability from 0 to 1")


def _check_rate(what: object, name: str = "rate_per_hour") -> None:
    _check(what, name, 0, 1e9, expected="a rate per hour >= 0")


def _check_seconds(what: object, name: str) -> None:
    _check(what, name, 0, 1e12, expected="finite seconds >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """How long machines boot, in place of the plan's fixed time.

    Parameters
    ----------
    time_s
        Seconds from request to ready.
    """

    time_s: Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFailure:
    """Machines that never become ready; another is requested as soon as that is noticed.

    Parameters
    ----------
    probability
        Of each request, from 0 to 1.
    detect_s
        Seconds from the request until the failure is noticed, >= 0.
    billed
        Whether the machine is charged until then.
    attempts
        After this many failures in a row for one lease the run gives up, >= 1.
    """

    probability: float
    detect_s: float = 300.0
    billed: bool = True
    attempts: int = 10

    def __post_init__(self) -> None:
        _check_probability(self)
        _check_seconds(self, "detect_s")
        _check(self, "attempts", 1, 10**6, expected="a whole number >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Noise of computing times: factors on what computing takes, transfers untouched.

    Parameters
    ----------
    task
        Drawn for every attempt of every task.
    lease
        Drawn for every machine: some are slower than others of their type.
    """

    task: Distribution = field(default_factory=lambda: Constant(value=1.0))
    lease: Distribution = field(default_factory=lambda: Constant(value=1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateError:
    """What the planner believed of runtimes was wrong: factors from its estimate to the truth.

    Parameters
    ----------
    task
        Drawn once for every task.
    category
        Drawn once for every category of tasks: errors that the tasks of a program share.
    """

    task: Distribution = field(default_factory=lambda: Constant(value=1.0))
    category: Distribution = field(default_factory=lambda: Constant(value=1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """Tasks that fail, at a moment of their computation that is uniformly distributed.

    Parameters
    ----------
    probability
        Of each attempt, from 0 to 1.
    retries
        How often one task is tried again, >= 0; after that the run gives up.
    """

    probability: float
    retries: int = 3

    def __post_init__(self) -> None:
        _check_probability(self)
        _check(self, "retries", 0, 10**6, expected="a whole number >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFailure:
    """Machines that die, without a memory of their age.

    Parameters
    ----------
    rate_per_hour
        Deaths per machine and hour, from its request on, >= 0.
    """

    rate_per_hour: float

    def __post_init__(self) -> None:
        _check_rate(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Interruptions of leases that are bought on the spot market.

    Parameters
    ----------
    rate_per_hour
        Interruptions per machine and hour, from its request on, >= 0.
    notice_s
        An interruption is announced so many seconds before, >= 0.
    markets
        Traces that govern instance types; the first whose pattern matches counts, on top of the
        rate. While a market is closed, requests wait.
    everything
        Interrupt all leases, not only those of types bought as spot.
    """

    rate_per_hour: float = 0.0
    notice_s: float = 120.0
    markets: tuple[Market, ...] = ()
    everything: bool = False

    def __post_init__(self) -> None:
        _check_rate(self)
        _check_seconds(self, "notice_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How transfers share links, in place of the fixed share.

    Parameters
    ----------
    sharing
        ``"fixed"``: every task has its share of the link, used or not. ``"max-min"``: running
        transfers share the machine's link and the storage service max-min fairly.
    weights
        With max-min sharing, ``"vcpus"``: shares are in proportion to the vCPUs that tasks hold,
        so that contention on the link makes no task slower than planned; ``"equal"``: alike.
    service_bandwidth
        Bytes per second that the storage service grants all machines together, > 0; it counts
        with max-min sharing only.
    cache
        Files that a task on the machine has read or written are on its disk and not fetched again.
    """

    sharing: Literal["fixed", "max-min"] = "fixed"
    weights: Literal["vcpus", "equal"] = "vcpus"
    service_bandwidth: float = math.inf
    cache: bool = False

    def __post_init__(self) -> None:
        choices = {"sharing": ("fixed", "max-min"), "weights": ("vcpus", "equal")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(
                    f"chance: Network.{name}: expected {' or '.join(map(repr, known))}, got "
                    f"{getattr(self, name)!r}"
                )
        if not self.service_bandwidth > 0:
            raise InputError(
                "chance: Network.service_bandwidth: expected bytes per second > 0, got "
                f"{self.service_bandwidth!r}"
            )
        if self.sharing == "fixed" and math.isfinite(self.service_bandwidth):
            raise InputError(
                "chance: Network.service_bandwidth: is shared with sharing = 'max-min' only"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What may go otherwise than planned; a source that is None is off.

    Parameters
    ----------
    boot, boot_failure, runtime, estimate_error, task_failure, instance_failure, spot, network
        The sources.
    source
        Where the figures come from, free text.
    """

    boot: Boot | None = None
    boot_failure: BootFailure | None = None
    runtime: Runtime | None = None
    estimate_error: EstimateError | None = None
    task_failure: TaskFailure | None = None
    instance_failure: InstanceFailure | None = None
    spot: Spot | None = None
    network: Network | None = None
    source: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources that are on."""
        names = (f.name for f in fields(self) if f.name != "source")
        return tuple(name for name in names if getattr(self, name) is not None)

    def replace(self, **changes: Any) -> Chance:
        """Return a copy with some sources changed."""
        return replace(self, **changes)

    def without(self, *names: str) -> Chance:
        """Return a copy with some sources switched off."""
        for name in names:
            if name not in SOURCES:
                raise InputError(f"chance: {unknown('source', name, tuple(SOURCES))}")
        return self.replace(**dict.fromkeys(names))

    @classmethod
    def from_toml(cls, path: str | Path) -> Chance:
        """Return the chance that a TOML file describes; see :func:`read_chance`."""
        return read_chance(path)


SOURCES: dict[str, type[Any]] = {
    "boot": Boot,
    "boot_failure": BootFailure,
    "runtime": Runtime,
    "estimate_error": EstimateError,
    "task_failure": TaskFailure,
    "instance_failure": InstanceFailure,
    "spot": Spot,
    "network": Network,
}
"""The sources of chance by name, which is also their table in TOML."""

DISTRIBUTIONS = ("time_s", "task", "lease", "category")
"""Keys of the sources that hold distributions."""


def shipped_chances() -> tuple[str, ...]:
    """Return the names of the descriptions of chance that ship with the project."""
    return tuple(sorted(path.stem for path in data_path("chance").glob("*.toml")))


def read_chance(name_or_path: str | Path) -> Chance:
    """Return a shipped description of chance by name, or a user's own from a TOML file.

    One table a source, with the fields of its class; a distribution is a number or a table with
    a ``family``; a source without a table is off::

        source = "measured in 2026"
        [boot]
        time_s = { family = "lognormal", mean = 40, cv = 0.3, shift = 12 }
        [runtime]
        task = { family = "gamma", mean = 1, cv = 0.2 }
        [spot]
        rate_per_hour = 0.02
        [[spot.markets]]
        types = "m5.*"
        trace = "m5-prices.csv" # beside this file; see simulator.market.read_trace
        bid_usd_per_hour = 0.096

    Raises
    ------
    InputError
        Unknown name, unreadable file, or a wrong entry (file, table, key and value are named).
    """
    text = str(name_or_path)
    if text in shipped_chances():
        path = data_path("chance", f"{text}.toml")
    else:
        path = Path(text)
        if path.suffix.lower() != ".toml" and not path.exists():
            known = shipped_chances()
            raise InputError(
                f"{unknown('chance', text, known) if known else f'unknown chance {text!r}'} "
                "(or give the path of a .toml file)"
            )
    try:
        document = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from None
    return chance_of(document, where=str(path), folder=path.parent)


def chance_of(document: Mapping[str, Any], *, where: str, folder: Path | None = None) -> Chance:
    """Return the chance that the tables of a document describe.

    Parameters
    ----------
    document
        As read from TOML.
    where
        What messages call the document.
    folder
        Where the traces that it names lie; the current folder if None.

    Raises
    ------
    InputError
        A wrong entry.
    """
    made: dict[str, Any] = {}
    for name, table in document.items():
        if name == "source":
            made[name] = str(table)
        elif name not in SOURCES:
            raise InputError(f"{where}: {unknown('source of chance', name, tuple(SOURCES))}")
        elif not isinstance(table, dict):
            raise InputError(f"{where}: [{name}]: expected a table, got {table!r}")
        else:
            made[name] = _source(SOURCES[name], table, f"{where}: [{name}]", folder or Path())
    return Chance(**made)


def _source(kind: type[Any], table: Mapping[str, Any], where: str, folder: Path) -> Any:
    known = tuple(f.name for f in fields(kind))
    given: dict[str, Any] = {}
    for key, value in table.items():
        place = f"{where} {key}"
        if key not in known:
            raise InputError(f"{where}: {unknown('key', key, known)}")
        if key in DISTRIBUTIONS:
            given[key] = distribution_of(value, place)
        elif key == "markets":
            given[key] = tuple(_market(m, f"{place} {i}", folder) for i, m in enumerate(value))
        elif key == "service_bandwidth" and isinstance(value, str):
            given[key] = parse_bandwidth(value)
        else:
            given[key] = value
    return _made(kind, given, where)


def _market(table: Any, where: str, folder: Path) -> Market:
    if not isinstance(table, dict) or not isinstance(table.get("trace"), str):
        raise InputError(f"{where}: expected a table with the path of a trace, got {table!r}")
    known = tuple(f.name for f in fields(Market))
    for key in table:
        if key not in known:
            raise InputError(f"{where}: {unknown('key', key, known)}")
    market: Market = _made(Market, {**table, "trace": read_trace(folder / table["trace"])}, where)
    return market


def _made(kind: type[Any], given: Mapping[str, Any], where: str) -> Any:
    try:
        return kind(**given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except TypeError as error:
        reason = str(error).rpartition("() ")[2]
        raise InputError(f"{where}: {reason}") from None
