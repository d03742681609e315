"""Modules that are imported when they are needed, and modules that are found by their names."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType


def lazy(
    package: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package that imports names on first use.

    The command line does not pay for what it does not call.

    Parameters
    ----------
    package
        Its full name.
    homes
        Module within the package -> names that are found there.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    return get, lambda: sorted(home)


@dataclass(frozen=True, slots=True)
class Registry:
    """Modules of a package that are found by their names: nothing else needs to know a new one.

    Parameters
    ----------
    package
        Its full name.
    path
        Its ``__path__``.
    suffix
        How a module's name ends that belongs; a dash in what it is called is an underscore there.
    kind
        What it holds, for messages.
    """

    package: str
    path: Iterable[str]
    suffix: str
    kind: str

    @property
    def names(self) -> tuple[str, ...]:
        """Name of everything that is there; the modules are not imported for it."""
        found = (module.name for module in iter_modules(self.path))
        return tuple(
            sorted(
                name.removesuffix(self.suffix).replace("_", "-")
                for name in found
                if name.endswith(self.suffix)
            )
        )

    def module(self, name: str) -> ModuleType:
        """Return the module of that name.

        Raises
        ------
        InputError
            Unknown name, with the nearest known ones.
        """
        if name not in self.names:
            raise InputError(unknown(self.kind, name, list(self.names)))
        return import_module(f"{self.package}.{name.replace('-', '_')}{self.suffix}")
