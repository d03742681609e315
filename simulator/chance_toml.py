"""Chance as TOML text, the inverse of :func:`simulator.chance.chance_of`."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError
from simulator.distributions import Distribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.chance import Chance


def to_toml(chance: Chance, notes: Mapping[str, str] | None = None) -> str:
    """Return the text of a description of chance; figures have six digits.

    Parameters
    ----------
    chance
        What to write; without markets, whose traces are files of their own.
    notes
        Comments by source, one line or several, written above its table.

    Raises
    ------
    InputError
        The chance has markets.

    Examples
    --------
    >>> from simulator.chance import Boot, Chance
    >>> from simulator.distributions import Lognormal
    >>> boot = Boot(time_s=Lognormal(mean=40, cv=0.3, shift=12))
    >>> print(to_toml(Chance(boot=boot, source="measured"), {"boot": "9 machines"}), end="")
    source = "measured"
    <BLANKLINE>
    [boot] # 9 machines
    time_s = { family = "lognormal", mean = 40, cv = 0.3, shift = 12 }
    """
    parts = [f"source = {json.dumps(chance.source, ensure_ascii=False)}\n"]
    for name in chance.sources:
        note = (notes or {}).get(name, "")
        above = "".join(f"# {line}\n" for line in note.splitlines()[:-1])
        beside = f" # {note.splitlines()[-1]}" if note else ""
        parts.append(f"{above}[{name}]{beside}\n{_table(getattr(chance, name))}")
    return "\n".join(parts)


def _table(source: Any) -> str:
    lines = []
    for field in fields(source):
        value = getattr(source, field.name)
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        if value == default:
            continue
        if field.name == "markets":
            raise InputError("chance: markets cannot be written; their traces are files")
        lines.append(f"{field.name} = {_value(value)}\n")
    return "".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:.6g}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(v) for v in value)}]"
    if isinstance(value, Distribution):
        return f"{{ {', '.join(f'{k} = {_value(v)}' for k, v in _figures(value).items())} }}"
    raise InputError(f"chance: cannot write {value!r}")


def _figures(distribution: Distribution) -> dict[str, Any]:
    stated = distribution.to_dict()
    return {key: value for key, value in stated.items() if key != "shift" or value}
