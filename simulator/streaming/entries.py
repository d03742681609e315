"""A table of a TOML document whose entries are read one by one, and none of which is ignored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError, unknown
from autoscale.units import parse_duration, parse_money

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REQUIRED: Any = object()
"""Default of an entry that has to be given."""


class Entries:
    """A table of a document.

    Parameters
    ----------
    given
        As read from TOML.
    where
        What messages call the table: the file and its name.
    known
        The keys that it may have.

    Raises
    ------
    InputError
        It is no table, or has a key that is not known; with the nearest known ones.
    """

    def __init__(self, given: Any, where: str, known: Sequence[str]) -> None:
        self.where = where
        if not isinstance(given, dict):
            raise InputError(f"{where}: expected a table, got {given!r}")
        self._given: Mapping[str, Any] = given
        for key in given:
            if key not in known:
                raise InputError(f"{where}: {unknown('key', key, known)}")

    def __contains__(self, key: str) -> bool:
        return key in self._given

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are given."""
        return tuple(self._given)

    def wrong(self, key: str, expected: str, found: Any = None) -> InputError:
        """Return the error that an entry is not what was expected."""
        what = "found nothing" if key not in self._given else f"got {found!r}"
        return InputError(f"{self.place(key)}: expected {expected}, {what}")

    def place(self, key: str) -> str:
        """Return what messages call an entry."""
        return f"{self.where}{' ' if self.where.endswith(']') else ': '}{key}"

    def raw(self, key: str, default: Any = None) -> Any:
        """Return an entry as it stands."""
        if key in self._given:
            return self._given[key]
        if default is REQUIRED:
            raise self.wrong(key, "a value")
        return default

    def number(
        self,
        key: str,
        default: Any = None,
        *,
        above: float = -math.inf,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> Any:
        """Return a finite number, above ``above`` and from ``least`` to ``most``."""
        if key not in self._given and default is not REQUIRED:
            return default
        found: Any = self._given.get(key)
        number = isinstance(found, (int, float)) and not isinstance(found, bool)
        if not number or not (above < found < math.inf and least <= found <= most):
            expected = "a number"
            expected += f" > {above:g}" if above > -math.inf else ""
            expected += f" >= {least:g}" if least > -math.inf else ""
            expected += f" and <= {most:g}" if most < math.inf else ""
            raise self.wrong(key, expected, found)
        return found

    def whole(self, key: str, default: Any = None, *, least: int = 1) -> Any:
        """Return a whole number, at least ``least``."""
        if key not in self._given and default is not REQUIRED:
            return default
        found = self._given.get(key)
        if isinstance(found, bool) or not isinstance(found, int) or found < least:
            raise self.wrong(key, f"a whole number >= {least}", found)
        return found

    def seconds(self, key: str, default: Any = None, *, zero: bool = False) -> Any:
        """Return a duration in seconds: a number, or text such as ``"2h"``."""
        sign = ">= 0" if zero else "> 0"
        expected = f'a duration {sign}: seconds, or text such as "90m"'
        found = self._units(key, default, parse_duration, expected)
        if isinstance(found, float) and not (found > 0 or (zero and found == 0)):
            raise self.wrong(key, expected, self._given.get(key))
        return found

    def money(self, key: str, default: Any = None) -> Any:
        """Return US dollars > 0: a number, or text such as ``"$5"``."""
        expected = 'an amount > 0 in US dollars: a number, or text such as "$5"'
        found = self._units(key, default, parse_money, expected)
        if isinstance(found, float) and not found > 0:
            raise self.wrong(key, expected, self._given.get(key))
        return found

    def _units(self, key: str, default: Any, parse: Callable[[str], float], expected: str) -> Any:
        if key not in self._given and default is not REQUIRED:
            return default
        found = self._given.get(key)
        if isinstance(found, str):
            try:
                return parse(found)
            except InputError:
                raise self.wrong(key, expected, found) from None
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise self.wrong(key, expected, found)
        if not 0 <= found < math.inf:
            raise self.wrong(key, expected, found)
        return float(found)

    def text(self, key: str, default: Any = None, *, choices: Sequence[str] = ()) -> Any:
        """Return text, one of the choices where there are any."""
        if key not in self._given and default is not REQUIRED:
            return default
        found = self._given.get(key)
        if not isinstance(found, str):
            raise self.wrong(key, "text" if not choices else " or ".join(choices), found)
        if choices and found not in choices:
            raise InputError(f"{self.place(key)}: {unknown('choice', found, choices)}")
        return found

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        found = self._given.get(key, default)
        if not isinstance(found, bool):
            raise self.wrong(key, "true or false", found)
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, or one text."""
        found = self._given.get(key, [])
        listed = [found] if isinstance(found, str) else found
        if not isinstance(listed, list) or not all(isinstance(x, str) for x in listed):
            raise self.wrong(key, "text or a list of texts", found)
        return tuple(listed)

    def made(self, make: Callable[..., Any], *args: Any, **figures: Any) -> Any:
        """Return what is made of the entries; errors say which table they are of."""
        try:
            return make(*args, **figures)
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None
