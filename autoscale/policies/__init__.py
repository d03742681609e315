"""Online policies, one a module: what an operator could see -> what an operator could do.

A module ``NAME_policy`` of this package is a policy: it has the function ``make``, which returns a
fresh policy for one run, and the constant ``ABOUT`` (:class:`~autoscale.policies.about.About`). A
dash in a policy's name is an underscore in its module's. Nothing else needs to know of a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from autoscale.modules import Registry

if TYPE_CHECKING:
    from autoscale.policies.about import About, Terms
    from autoscale.policies.protocol import Policy

_REGISTRY = Registry(__name__, tuple(__path__), "_policy", "policy")

POLICIES = _REGISTRY.names
"""Name of every policy; the modules are not imported for it."""


def make_policy(name: str, terms: Terms) -> Policy:
    """Return a fresh policy by name, for one run.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones; terms without what the policy needs.
    """
    return cast("Policy", _REGISTRY.module(name).make(terms))


def about_policy(name: str) -> About:
    """Return what a policy says of itself.

    Raises
    ------
    InputError
        Unknown name, with the nearest known ones.
    """
    return cast("About", _REGISTRY.module(name).ABOUT)
