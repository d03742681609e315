"""From what people write to a problem: the common ground of notebooks and the command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeVar

from autoscale.errors import InputError, unknown
from autoscale.formats import workflows
from autoscale.formats.catalog_csv import load_catalog
from autoscale.model.billing import HOURLY, PER_SECOND, Billing
from autoscale.model.catalog import Catalog
from autoscale.model.limits import (
    AllowedTypes,
    Quota,
    check_limits,
    parse_allowed,
    parse_quota,
)
from autoscale.model.problem import Problem
from autoscale.resources import data_path
from autoscale.units import parse_bandwidth, parse_duration, parse_money

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from autoscale.formats.files import PathLike
    from autoscale.model.workflow import Workflow

HOME_REGIONS = ("us-east-1", "us-central1", "eastus")
"""Regions that are taken, in this order, where none is named."""

EXAMPLE = "example:"
"""Prefix of the names of shipped workflows."""

_SUFFIXES = (".json.gz", ".json")
_T = TypeVar("_T")


def example_names() -> tuple[str, ...]:
    """Return the names of the shipped workflows, as :func:`read_workflow` takes them."""
    files = sorted(path.name for path in data_path("examples").glob("*.json*"))
    return tuple(EXAMPLE + file.split(".json")[0] for file in files)


def read_workflow(path: PathLike, *, default_runtime_s: float | None = None) -> Workflow:
    """Read a workflow from a file, or one that ships with the project.

    Parameters
    ----------
    path
        A file of WfFormat JSON, Pegasus DAX XML or CSV, plain or gzipped; or ``example:NAME``,
        where ``example:montage`` stands for the first example whose name starts so.
    default_runtime_s
        Runtime in seconds of tasks that state none; None makes that an error.

    Raises
    ------
    InputError
        The file cannot be read or describes no valid workflow; no such example.

    Examples
    --------
    >>> read_workflow("example:montage").path
    'example:montage-300'
    """
    text = str(path)
    if not text.startswith(EXAMPLE):
        return workflows.read_workflow(path, default_runtime_s=default_runtime_s)
    names = example_names()
    matching = [name for name in names if name == text] or [n for n in names if n.startswith(text)]
    if not matching or text == EXAMPLE:
        stems = [name.removeprefix(EXAMPLE) for name in names]
        raise InputError(unknown("example", text.removeprefix(EXAMPLE), stems))
    stem = matching[0].removeprefix(EXAMPLE)
    files = [data_path("examples", stem + suffix) for suffix in _SUFFIXES]
    found = next(file for file in files if file.is_file())
    return workflows.read_workflow(found).replace(path=matching[0])


def make_problem(
    workflow: Workflow,
    *,
    deadline: str | float | None = None,
    budget: str | float | None = None,
    catalog: Catalog | PathLike = "aws",
    region: str | None = None,
    types: str | Sequence[str] | None = None,
    purchase: Literal["on-demand", "spot", "both"] = "on-demand",
    billing: str | Billing = "second",
    boot: str | float = 90.0,
    transfers: bool = True,
    storage_bandwidth: str | float | None = None,
    quotas: Sequence[str | Quota] = (),
    allowed: Sequence[str | AllowedTypes] = (),
) -> Problem:
    """Return the problem of planning a workflow on a cloud.

    Parameters
    ----------
    workflow
        What is to run.
    deadline
        Seconds, or text such as ``"2h"``, ``"90m"``, ``"1h30m"``; the workflow's own if None.
    budget
        US dollars, or text such as ``"$5"``; the workflow's own if None.
    catalog
        ``"aws"``, ``"gcp"``, ``"azure"``, ``"ec2-2011"``, the path of a CSV file, or a catalogue.
    region
        Region to lease in; :func:`default_region` if None.
    types
        Only types whose names match one of these patterns, ``"c7*,m7*"`` or a list of them.
    purchase
        On demand, spot, or both.
    billing
        ``"second"`` (at least a minute), ``"hour"``, ``"QUANTUM,MINIMUM"`` as durations, or a rule.
    boot
        Seconds from the request of a lease until it can run tasks, or text.
    transfers
        Whether files are fetched from and stored to the object store.
    storage_bandwidth
        Bytes per second that the object store grants an instance, or text such as ``"500MB/s"``;
        unlimited if None.
    quotas
        What may be leased at any moment: ``"instances=20"``, ``"c7*:vcpus=64"`` or
        :class:`Quota` objects.
    allowed
        Types that a category is confined to: ``"mProject=c7*,m7*"`` or :class:`AllowedTypes`.

    Raises
    ------
    InputError
        Anything unknown or out of range, or a task that fits no type.

    Examples
    --------
    >>> problem = make_problem(read_workflow("example:montage"), deadline="10m", types="c7*")
    >>> problem.deadline_s, problem.catalog.regions
    (600.0, ('us-east-1',))
    """
    offer = catalog if isinstance(catalog, Catalog) else load_catalog(str(catalog))
    offer = offer.in_region(region if region is not None else default_region(offer))
    if types is not None:
        offer = offer.matching(split_patterns(types))
    offer = offer.bought(_purchase(purchase))
    limits = tuple(q if isinstance(q, Quota) else parse_quota(q) for q in quotas)
    rules = tuple(a if isinstance(a, AllowedTypes) else parse_allowed(a) for a in allowed)
    check_limits(workflow, offer, limits, rules)
    return Problem(
        workflow=workflow,
        catalog=offer,
        quotas=limits,
        allowed=rules,
        deadline_s=_optional("deadline", deadline, parse_duration, workflow.deadline_s),
        budget_usd=_optional("budget", budget, parse_money, workflow.budget_usd),
        boot_s=_parsed("boot", boot, parse_duration),
        billing=parse_billing(billing) if isinstance(billing, str) else billing,
        transfers=transfers,
        storage_bandwidth=_optional(
            "storage bandwidth", storage_bandwidth, parse_bandwidth, math.inf
        ),
    )


def default_region(catalog: Catalog) -> str:
    """Return the region that is taken where none is named: a home region, else the first."""
    known = catalog.regions
    return next((region for region in HOME_REGIONS if region in known), known[0])


def split_patterns(types: str | Sequence[str]) -> list[str]:
    """Return the patterns in ``"c7*, m7*"``, or in a list of such texts.

    Raises
    ------
    InputError
        When there is none.
    """
    texts = [types] if isinstance(types, str) else list(types)
    patterns = [p.strip() for text in texts for p in text.split(",") if p.strip()]
    if not patterns:
        raise InputError(f"types: expected patterns such as 'c7*,m7*', got {types!r}")
    return patterns


def parse_billing(text: str) -> Billing:
    """Return the billing rule that ``text`` names: ``second``, ``hour``, or ``QUANTUM,MINIMUM``.

    Raises
    ------
    InputError
        When the text names no rule.

    Examples
    --------
    >>> parse_billing("1m,10m")
    Billing(quantum_s=60.0, minimum_s=600.0)
    """
    named = {"second": PER_SECOND, "hour": HOURLY}
    if text in named:
        return named[text]
    parts = text.split(",")
    if len(parts) == 2:
        quantum, minimum = (_parsed("billing", part, parse_duration) for part in parts)
        return Billing(quantum_s=quantum, minimum_s=minimum)
    raise InputError(
        f"billing: expected 'second', 'hour', or a quantum and a minimum such as '1m,10m', "
        f"got {text!r}"
    )


def _purchase(text: str) -> Literal["on-demand", "spot", "both"]:
    if text in ("on-demand", "spot", "both"):
        return text  # type: ignore[return-value]
    raise InputError(unknown("purchase", str(text), ("on-demand", "spot", "both")))


def _parsed(what: str, value: str | float, parse: Callable[[str], float]) -> float:
    """Return a figure given as a number or as text; errors say which figure it is."""
    if not isinstance(value, str):
        return float(value)
    try:
        return parse(value)
    except InputError as error:
        raise InputError(f"{what}: {str(error).partition(': ')[2]}") from None


def _optional(
    what: str, value: str | float | None, parse: Callable[[str], float], default: _T
) -> float | _T:
    return default if value is None else _parsed(what, value, parse)
