"""Catalogues as CSV: our shipped tables, and the ones that users bring.

Required columns are ``instance_type, vcpus, memory_gib, price_usd_per_hour``; also understood:
``provider, region, category, arch, gpus, gpu_name, network_gbps, spot_usd_per_hour,
interruption_band, speed``. A blank spot price means that spot is not offered, a blank network
figure that it is unknown (the link then counts as unlimited), a blank speed 1.0.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING

from autoscale.errors import InputError, unknown
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.resources import data_path

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED = ("instance_type", "vcpus", "memory_gib", "price_usd_per_hour")
TEXT = ("provider", "region", "category", "arch", "gpu_name", "interruption_band")
NUMBERS = ("gpus", "network_gbps", "spot_usd_per_hour", "speed")


def shipped_catalogs() -> tuple[str, ...]:
    """Return the names of the catalogues that ship with the project."""
    return tuple(sorted(path.stem for path in data_path("catalog").glob("*.csv")))


def load_catalog(name_or_path: str | Path) -> Catalog:
    """Return a shipped catalogue by name (``aws``), or a user's own from a CSV file.

    Raises
    ------
    InputError
        Unknown name, unreadable file, or a bad row (file, row, column and value are named).
    """
    text = str(name_or_path)
    if text in shipped_catalogs():
        return read_catalog_csv(data_path("catalog", f"{text}.csv"), name=text)
    path = Path(text)
    if path.suffix.lower() == ".csv" or path.exists():
        return read_catalog_csv(path)
    known = [*shipped_catalogs()]
    raise InputError(f"{unknown('catalogue', text, known)} (or give the path of a .csv file)")


def read_catalog_csv(path: Path, *, name: str | None = None) -> Catalog:
    """Return the catalogue in a CSV file.

    Raises
    ------
    InputError
        See :func:`load_catalog`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            _check_header(path, reader.fieldnames or ())
            types = tuple(_read_row(path, reader.line_num, row) for row in reader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV text file in UTF-8: {error}") from error
    if not types:
        raise InputError(f"{path}: the catalogue has a header but no rows")
    return Catalog(types, name=name or str(path))


def _check_header(path: Path, found: object) -> None:
    columns = list(found) if isinstance(found, (list, tuple)) else []
    missing = [c for c in REQUIRED if c not in columns]
    if missing:
        raise InputError(
            f"{path}: row 1: expected the columns {', '.join(REQUIRED)}; missing "
            f"{', '.join(missing)}, found {', '.join(map(str, columns)) or 'nothing'}"
        )
    known = [*REQUIRED, *TEXT, *NUMBERS]
    for column in columns:
        if column not in known:
            raise InputError(f"{path}: row 1: {unknown('column', str(column), known)}")


def _read_row(path: Path, row_number: int, row: Mapping[str, str | None]) -> InstanceType:
    def number(column: str, *, blank: float | None = None) -> float | None:
        text = (row.get(column) or "").strip()
        if not text and column not in REQUIRED:
            return blank
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        least = 0 if column == "gpus" else math.ulp(0.0)
        if not least <= value < math.inf:
            expected = "a number >= 0" if column == "gpus" else "a number > 0"
            raise InputError(
                f"{path}: row {row_number}, column {column!r}: expected {expected}, got {text!r}"
            )
        return value

    def whole(column: str) -> int:
        value = number(column, blank=0) or 0
        if value != int(value):
            raise InputError(
                f"{path}: row {row_number}, column {column!r}: expected a whole number, "
                f"got {row.get(column)!r}"
            )
        return int(value)

    name = (row.get("instance_type") or "").strip()
    if not name or None in row:
        problem = "is blank" if not name else "has more fields than the header"
        raise InputError(f"{path}: row {row_number}: the instance type {problem}")
    return InstanceType(
        name=name,
        vcpus=whole("vcpus"),
        memory_gib=number("memory_gib") or 0,
        price_usd_per_hour=number("price_usd_per_hour") or 0,
        gpus=whole("gpus"),
        network_gbps=number("network_gbps"),
        spot_usd_per_hour=number("spot_usd_per_hour"),
        speed=number("speed", blank=1.0) or 0,
        **{c: (row.get(c) or "").strip() for c in TEXT},  # type: ignore[arg-type]
    )
