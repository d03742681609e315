"""Limits beside the goal: quotas on what is leased at once, and types that a category may use."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from autoscale.errors import InputError, unknown

if TYPE_CHECKING:
    from autoscale.model.arrays import BoolArray, IntArray
    from autoscale.model.catalog import Catalog, InstanceType
    from autoscale.model.workflow import Workflow

Unit = Literal["instances", "vcpus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """At most so many instances, or vCPUs, leased at any moment; a booting lease counts.

    Parameters
    ----------
    limit
        Whole number >= 1.
    unit
        What is counted.
    scope
        The types it is on: a name or pattern such as ``c7*``, a family such as ``c7i``, or ``*``
        for all together.

    Raises
    ------
    InputError
        A limit below 1 or not whole, or an unknown unit.
    """

    limit: int
    unit: Unit = "instances"
    scope: str = "*"

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise InputError(f"quota: {unknown('unit', str(self.unit), get_args(Unit))}")
        if not (self.limit >= 1 and int(self.limit) == self.limit):
            raise InputError(f"quota {self}: expected a whole number >= 1, got {self.limit!r}")

    def __str__(self) -> str:
        scope = "" if self.scope == "*" else f"{self.scope}:"
        return f"{scope}{self.unit}={self.limit}"

    def weights(self, catalog: Catalog) -> IntArray:
        """Return what one lease of each type counts, shape (types,); 0 outside the scope."""
        inside = np.array([matches(t, self.scope) for t in catalog])
        counts = catalog.vcpus if self.unit == "vcpus" else np.ones(len(catalog), dtype=np.int64)
        out: IntArray = np.where(inside, counts, 0)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedTypes:
    """The only instance types that tasks of a category may run on.

    Parameters
    ----------
    category
        The category's name.
    patterns
        Names, patterns or families of the types; at least one.
    """

    category: str
    patterns: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.patterns:
            raise InputError(f"allowed types of {self.category!r}: expected at least one pattern")

    def __str__(self) -> str:
        return f"{self.category}={','.join(self.patterns)}"

    def allows(self, kind: InstanceType) -> bool:
        """Return whether the type is among them."""
        return any(matches(kind, pattern) for pattern in self.patterns)


def matches(kind: InstanceType, pattern: str) -> bool:
    """Return whether a type is meant by a name, a pattern or a family."""
    return kind.family == pattern or fnmatch.fnmatchcase(kind.name, pattern)


def parse_quota(text: str) -> Quota:
    """Return the quota that ``[SCOPE:]UNIT=LIMIT`` describes.

    Raises
    ------
    InputError
        When the text is none.

    Examples
    --------
    >>> parse_quota("c7*:vcpus=64")
    Quota(limit=64, unit='vcpus', scope='c7*')
    >>> str(parse_quota("instances=20"))
    'instances=20'
    """
    left, _, limit = text.partition("=")
    scope, colon, unit = left.rpartition(":")
    unit = unit.strip()
    if unit not in get_args(Unit) or not limit.strip().isdecimal() or (colon and not scope.strip()):
        raise InputError(
            f"quota: expected 'instances=20', 'vcpus=64' or 'c7*:vcpus=64', got {text!r}"
        )
    return Quota(limit=int(limit), unit=unit, scope=scope.strip() or "*")  # type: ignore[arg-type]


def parse_allowed(text: str) -> AllowedTypes:
    """Return the rule that ``CATEGORY=PATTERN,PATTERN`` describes.

    Raises
    ------
    InputError
        When the text is none.

    Examples
    --------
    >>> parse_allowed("mProject=c7*,m7i")
    AllowedTypes(category='mProject', patterns=('c7*', 'm7i'))
    """
    category, _, types = text.partition("=")
    patterns = tuple(p.strip() for p in types.split(",") if p.strip())
    if not category.strip() or not patterns:
        raise InputError(f"allow: expected 'CATEGORY=c7*,m7*', got {text!r}")
    return AllowedTypes(category=category.strip(), patterns=patterns)


def check_limits(
    workflow: Workflow,
    catalog: Catalog,
    quotas: tuple[Quota, ...],
    allowed: tuple[AllowedTypes, ...],
) -> None:
    """Refuse limits on what does not exist, and rules given twice.

    Raises
    ------
    InputError
        A scope or pattern that matches no type, an unknown category, or one with two rules; with
        the nearest known names.
    """
    known = [*dict.fromkeys(t.family for t in catalog), *(t.name for t in catalog)]

    def check_pattern(what: str, pattern: str) -> None:
        if not any(matches(t, pattern) for t in catalog):
            message = unknown("instance type, family or pattern", pattern, known)
            raise InputError(f"{what}: {catalog.name}: {message}")

    for quota in quotas:
        check_pattern(f"quota {quota}", quota.scope)
    seen: dict[str, AllowedTypes] = {}
    for rule in allowed:
        if rule.category not in workflow.categories:
            message = unknown("category", rule.category, list(workflow.categories))
            raise InputError(f"allow {rule}: workflow {workflow.name!r}: {message}")
        if rule.category in seen:
            raise InputError(
                f"allow {rule}: category {rule.category!r} has a rule already, "
                f"{seen[rule.category]}; give all its types in one"
            )
        seen[rule.category] = rule
        for pattern in rule.patterns:
            check_pattern(f"allow {rule}", pattern)


def allowed_table(
    workflow: Workflow, catalog: Catalog, allowed: tuple[AllowedTypes, ...]
) -> BoolArray:
    """Return whether each category may use each type, shape (categories, types)."""
    table = np.ones((max(1, len(workflow.categories)), len(catalog)), dtype=bool)
    place = {name: number for number, name in enumerate(workflow.categories)}
    for rule in allowed:
        if rule.category in place:
            table[place[rule.category]] &= [rule.allows(t) for t in catalog]
    return table
