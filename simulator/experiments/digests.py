"""Stable names for what a run depends on: equal contents have equal digests, on any machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

NAMES_ONLY = {
    "Workflow": ("name", "path", "notes"),
    "Catalog": ("name",),
    "Chance": ("source",),
    "Trace": ("name",),
}
"""Fields that say what something is called or where it comes from; no run depends on them."""


def digest(*parts: Any) -> str:
    """Return 32 hexadecimal digits that the contents of the parts determine.

    Parameters
    ----------
    parts
        Numbers, texts, arrays, dataclasses, and tuples, lists and mappings of such.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1), digest("a", 1) == digest("a1"), digest(1) == digest(1.0)
    (True, False, False)
    """
    found = hashlib.sha256()
    _feed(found, parts)
    return found.hexdigest()[:32]


def _feed(found: Any, part: Any) -> None:
    """Add a part's type and contents; every text is preceded by its length."""
    if is_dataclass(part) and not isinstance(part, type):
        kind = type(part).__name__
        told = [f.name for f in fields(part) if f.name not in NAMES_ONLY.get(kind, ())]
        _say(found, "dataclass", kind, str(len(told)))
        for name in told:
            _say(found, name)
            _feed(found, getattr(part, name))
    elif isinstance(part, np.ndarray):
        _feed_array(found, part)
    elif isinstance(part, Mapping):
        _say(found, "mapping", str(len(part)))
        for key in sorted(part):
            _say(found, str(key))
            _feed(found, part[key])
    elif isinstance(part, (tuple, list)):
        _say(found, "sequence", str(len(part)))
        for member in part:
            _feed(found, member)
    elif part is None or isinstance(part, (bool, int, str)):
        _say(found, type(part).__name__, str(part))
    elif isinstance(part, float):
        _say(found, "float", part.hex())
    else:
        raise TypeError(f"no digest is known of a {type(part).__name__}")


def _feed_array(found: Any, array: np.ndarray) -> None:
    if array.dtype.kind in "OTU":
        _feed(found, [str(text) for text in array.tolist()])
        return
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    _say(found, "array", plain.dtype.str, str(plain.shape))
    found.update(plain.tobytes())


def _say(found: Any, *texts: str) -> None:
    for text in texts:
        data = text.encode()
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
