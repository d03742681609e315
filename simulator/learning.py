"""From files of measurements to a description of chance: what ``autoscale fit`` does.

What a file measures is seen by its columns:

=================================================  =====================================
columns                                            what they give
=================================================  =====================================
``boot_s``                                         ``boot`` and ``boot_failure``
``task``, ``runtime_s``                            ``runtime``
``estimate_s``, ``runtime_s`` (and ``category``)   ``estimate_error``
``life_s``, ``interrupted`` (and ``event``)        ``spot``
a time and a count, see ``market.read_trace``      ``spot``
=================================================  =====================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError
from simulator.chance import Boot, BootFailure, Chance, EstimateError, Runtime, Spot
from simulator.distributions import Constant, factor
from simulator.fitting import fit_boot, fit_estimate_error, fit_runtime_noise, fit_spot
from simulator.market import read_trace
from simulator.measurements import read_measurements, spot_lives

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from simulator.families import Fit


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A description of chance and how it was found.

    Parameters
    ----------
    chance
        The description.
    notes
        Sample and quality of each source, a line of text.
    rows
        The same as figures, one row a file.
    """

    chance: Chance
    notes: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


def learn(paths: Sequence[str | Path], base: Chance | None = None) -> Learned:
    """Return the chance that files of measurements show.

    Parameters
    ----------
    paths
        CSV files, plain or gzipped, or traces of availability; each for another source.
    base
        Sources of which there are no measurements are as in this one; off if None.

    Raises
    ------
    InputError
        A file cannot be read, measures nothing known, or too little; two measure the same.
    """
    learned = Learned(chance=base or Chance())
    taken: dict[str, str | Path] = {}
    for path in paths:
        kind, frame = _measurements(path)
        if kind in taken:
            raise InputError(f"{path}: {kind} was already measured by {taken[kind]}; join the two")
        taken[kind] = path
        try:
            sources, note, row = _FITS[kind](frame, learned.chance)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        row = {"file": str(path), "source": kind, **row}
        learned = Learned(
            chance=learned.chance.replace(**sources),
            notes=learned.notes | {kind: note},
            rows=[*learned.rows, row],
        )
    described = "fitted to " + ", ".join(str(path) for path in paths)
    return Learned(
        chance=learned.chance.replace(source=described), notes=learned.notes, rows=learned.rows
    )


def _measurements(path: str | Path) -> tuple[str, pd.DataFrame]:
    if str(path).removesuffix(".gz").endswith(".json"):
        return "spot", _lives_of_trace(path)
    frame = read_measurements(path)
    columns = {str(name).lower() for name in frame.columns}
    if "boot_s" in columns:
        return "boot", frame
    if {"estimate_s", "runtime_s"} <= columns:
        return "estimate_error", frame if "category" in columns else frame.assign(category="all")
    if {"task", "runtime_s"} <= columns:
        return "runtime", frame
    if {"life_s", "interrupted"} <= columns:
        return "spot", frame
    if columns & {"available", "count"}:
        return "spot", _lives_of_trace(path)
    raise InputError(
        f"{path}: expected columns boot_s; task, runtime_s; estimate_s, runtime_s; life_s, "
        f"interrupted; or a time and available; got {', '.join(map(str, frame.columns))}"
    )


def _lives_of_trace(path: str | Path) -> pd.DataFrame:
    trace = read_trace(path)
    if trace.kind != "available":
        raise InputError(f"{path}: expected counts of machines, got prices; give them as a market")
    return spot_lives(trace.time_s, trace.value, trace.length_s)


def _row(fit: Fit) -> dict[str, Any]:
    names = {"family": fit.distribution.family, "best_family": fit.best_family}
    figures = {"ks": fit.ks, "best_ks": fit.best_ks, "critical_ks": fit.critical_ks}
    mean = {"mean": fit.distribution.expected, "cv": fit.cv}
    return {"sample": fit.n, **mean, **names, **figures}


def _boot(frame: pd.DataFrame, base: Chance) -> tuple[dict[str, Any], str, dict[str, Any]]:
    found = fit_boot(frame)
    usual = base.boot_failure or BootFailure(probability=0)
    probability = found.failure.probability
    failing = BootFailure(
        probability=probability,
        detect_s=usual.detect_s,
        billed=usual.billed,
        attempts=usual.attempts,
    )
    sources = {
        "boot": Boot(time_s=found.time_s.distribution),
        "boot_failure": failing if probability else None,
    }
    note = f"{found.time_s.n} starts and {found.failure.failures} failures"
    return sources, f"{note}, {_quality(found.time_s)}", _row(found.time_s)


def _runtime(frame: pd.DataFrame, base: Chance) -> tuple[dict[str, Any], str, dict[str, Any]]:
    found = fit_runtime_noise(frame)
    lease = base.runtime.lease if base.runtime else Constant(value=1.0)
    sources = {"runtime": Runtime(task=found.factor.distribution, lease=lease)}
    note = f"task: {found.factor.n} executions of {found.groups} tasks"
    return sources, f"{note}, {_quality(found.factor)}", _row(found.factor)


def _estimate(frame: pd.DataFrame, base: Chance) -> tuple[dict[str, Any], str, dict[str, Any]]:
    del base
    found = fit_estimate_error(frame)
    category = factor(found.category_cv) if found.category_cv else Constant(value=1.0)
    sources = {"estimate_error": EstimateError(task=found.task.distribution, category=category)}
    note = f"{found.task.n} tasks of {found.categories} categories, bias {found.bias:.3g}"
    return sources, f"{note}, {_quality(found.task)}", _row(found.task)


def _spot(frame: pd.DataFrame, base: Chance) -> tuple[dict[str, Any], str, dict[str, Any]]:
    found = fit_spot(frame)
    usual = base.spot or Spot()
    spot = Spot(rate_per_hour=found.rate_per_hour, notice_s=usual.notice_s)
    note = (
        f"{found.interruptions} interruptions in {found.machine_hours:.0f} machine hours "
        f"(95 %: {found.low:.3g} to {found.high:.3g} an hour)"
    )
    row = {"sample": found.interruptions, "mean": found.rate_per_hour, "family": "exponential"}
    return {"spot": spot}, note, {**row, "ks": found.ks}


def _quality(fit: Fit) -> str:
    return f"distance {fit.ks:.3f}"


_FITS = {"boot": _boot, "runtime": _runtime, "estimate_error": _estimate, "spot": _spot}
