"""Experiments as TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from autoscale.errors import InputError, unknown
from autoscale.formats.files import read_bytes
from autoscale.resources import data_path
from simulator.chance import chance_of
from simulator.experiments.spec import (
    Experiment,
    Grid,
    Offer,
    Planner,
    WorkflowFile,
    field_names,
)
from simulator.streaming.scenario_toml import scenario_of

if TYPE_CHECKING:
    from autoscale.formats.files import PathLike

_T = TypeVar("_T")

KEYS = ("name", "early", "grid", "workflows", "catalogs", "planners", "chances", "scenarios")
"""Top-level keys of the file."""

KINDS: dict[str, type[Any]] = {"workflows": WorkflowFile, "catalogs": Offer, "planners": Planner}
"""What the tables of definitions define."""

EXAMPLE = "example:"
"""Prefix of the names of shipped experiments."""


def example_experiments() -> tuple[str, ...]:
    """Return the names of the shipped experiments, as :func:`read_experiment` takes them."""
    return tuple(EXAMPLE + path.stem for path in sorted(data_path("experiments").glob("*.toml")))


def read_experiment(path: PathLike) -> Experiment:
    """Read an experiment from a TOML file, or one that ships with the project.

    Parameters
    ----------
    path
        The file, or ``example:NAME``. It has a ``[grid]``, or several ``[[grid]]``, with the
        fields of :class:`~simulator.experiments.spec.Grid`, and may define names for workflows,
        catalogues, planners and chances::

            name = "deadlines under chance"
            [grid]
            workflows = ["example:montage", "traces/*.json"]
            deadline_factors = [1.2, 2]
            planners = ["heft", "quick"]
            chances = ["none", "aws"]
            seeds = 20
            [planners.quick]
            planner = "lp"
            time_limit = "5s"

    Raises
    ------
    InputError
        Unreadable, not TOML, or a wrong entry; file, place and value are named.
    """
    text = str(path)
    if text.startswith(EXAMPLE):
        known = example_experiments()
        if text not in known:
            raise InputError(unknown("example experiment", text, known))
        path = data_path("experiments", f"{text.removeprefix(EXAMPLE)}.toml")
    try:
        source = read_bytes(path).decode()
        document = tomllib.loads(source)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from None
    found = experiment_of(document, where=str(path), folder=Path(path).parent)
    return replace(found, source=source)


def experiment_of(document: Mapping[str, Any], *, where: str, folder: Path) -> Experiment:
    """Return the experiment that a document describes.

    Parameters
    ----------
    document
        As read from TOML.
    where
        What messages call the document; its stem is the experiment's name where it gives none.
    folder
        Where relative paths begin.

    Raises
    ------
    InputError
        A wrong entry.
    """
    for key in document:
        if key not in KEYS:
            raise InputError(f"{where}: {_unknown_key(key)}")
    if "grid" not in document:
        raise InputError(f"{where}: expected a table [grid], or several [[grid]], got none")
    name = document.get("name", Path(where).stem)
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: name: expected a text, got {name!r}")
    defined: dict[str, Any] = {
        key: {
            label: _made(kind, table, f"{where}: [{key}.{label}]")
            for label, table in _table(document.get(key, {}), f"{where}: [{key}]").items()
        }
        for key, kind in KINDS.items()
    }
    chances = _described("chances", chance_of, document, where, folder)
    scenarios = _described("scenarios", scenario_of, document, where, folder)
    grids = _grids(document["grid"], where)
    return _named(where, lambda: Experiment(
        name=name, grids=grids, chances=chances, scenarios=scenarios,
        early=document.get("early", False), folder=folder, **defined,
    ))  # fmt: skip


def _described(
    key: str, make: Callable[..., _T], document: Mapping[str, Any], where: str, folder: Path
) -> dict[str, _T]:
    """Return what is written out in tables that have files of their own elsewhere."""
    return {
        label: make(
            _table(table, f"{where}: [{key}.{label}]"),
            where=f"{where}: [{key}.{label}]",
            folder=folder,
        )
        for label, table in _table(document.get(key, {}), f"{where}: [{key}]").items()
    }


def _unknown_key(key: str) -> str:
    """Return a message about a top-level key; many belong into the grid."""
    if key in field_names(Grid):
        return f"key {key!r} belongs into the table [grid]"
    return unknown("key", key, KEYS)


def _grids(given: Any, where: str) -> list[Grid]:
    tables = given if isinstance(given, list) else [given]
    several = len(tables) > 1
    return [
        _made(Grid, table, f"{where}: [grid]" + (f" {number}" if several else ""))
        for number, table in enumerate(tables, start=1)
    ]


def _table(given: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: expected a table, got {given!r}")
    return given


def _made(kind: type[Any], given: Any, where: str) -> Any:
    """Return what a table describes; errors say where."""
    table, known = _table(given, where), field_names(kind)
    for key in table:
        if key not in known:
            raise InputError(f"{where}: {unknown('key', key, known)}")
    required = known[0]
    if kind is not Grid and required not in table:  # the only field without a default
        raise InputError(f"{where}: {required}: expected a value, got none")
    return _named(where, lambda: kind(**table))


def _named(where: str, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
