"""Online policies, one a module: what an operator could see -> what an operator could do.

A module ``NAME_policy`` of this package is a policy: it has the function ``make``, which returns a
fresh policy for one run, and the constant ``ABOUT`` (:class:`~autoscale.policies.about.About`). A
dash in a policy's name is an underscore in its module's. Nothing else needs to know of a new one.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, cast

from autoscale.errors import InputError
from autoscale.model.catalog import unknown

if TYPE_CHECKING:
    from types import ModuleType

    from autoscale.policies.about import About, Terms
    from autoscale.policies.protocol import Policy

SUFFIX = "_policy"

POLICIES = tuple(
    sorted(
        module.name.removesuffix(SUFFIX).replace("_", "-")
        for module in iter_modules(__path__)
        if module.name.endswith(SUFFIX)
    )
)
"""Name of every policy; the modules are not imported for it."""


def make_policy(name: str, terms: Terms) -> Policy:
    """Return a fresh policy by name, for one run.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones; terms without what the policy needs.
    """
    return cast("Policy", _module(name).make(terms))


def about_policy(name: str) -> About:
    """Return what a policy says of itself.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones.
    """
    return cast("About", _module(name).ABOUT)


def _module(name: str) -> ModuleType:
    if name not in POLICIES:
        raise InputError(unknown("policy", name, list(POLICIES)))
    return import_module(f"{__name__}.{name.replace('-', '_')}{SUFFIX}")
