"""Scenarios as TOML files; ``docs/streams.md`` describes every key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from autoscale.api import EXAMPLE, default_region, parse_billing, read_workflow, split_patterns
from autoscale.errors import InputError, unknown
from autoscale.formats.arrivals import read_arrivals
from autoscale.formats.catalog_csv import load_catalog, shipped_catalogs
from autoscale.formats.files import read_bytes
from autoscale.model.limits import check_limits, parse_allowed, parse_quota
from autoscale.resources import data_path
from autoscale.units import parse_bandwidth
from autoscale.workloads.applications import KNOWN
from autoscale.workloads.arrivals import Cycle, Growing, OnOff, Stable
from autoscale.workloads.ensembles import Sizes
from simulator.chance import Chance, chance_of, read_chance, shipped_chances
from simulator.streaming.entries import REQUIRED, Entries
from simulator.streaming.scenario import Cloud, DeadlineRule, Estimates, Late, Scenario
from simulator.streaming.sources import JobClass, Patterned, Recipe, Source, Together, Traced

if TYPE_CHECKING:
    from autoscale.model.workflow import Workflow
    from autoscale.workloads.arrivals import Pattern

TOP = (
    "name", "note", "horizon", "late", "stream", "ensemble", "classes", "cloud", "chance",
    "estimates", "terms",
)  # fmt: skip
TRACE = ("trace", "columns", "time_scale", "first", "deadline")
CLASS = (
    "name", "application", "tasks", "runtime_mean", "runtime_cv", "vcpus", "memory_gib", "fresh",
    "seed", "workflow", "runtime_scale", "deadline", "priority", "share",
)  # fmt: skip
GENERATED = ("tasks", "runtime_mean", "runtime_cv", "vcpus", "memory_gib", "fresh", "seed")
CLOUD = (
    "catalog", "region", "types", "purchase", "billing", "boot", "transfers", "storage_bandwidth",
    "quotas", "allow",
)  # fmt: skip
ENSEMBLE = (
    "application", "workflows", "sizes", "smallest", "largest", "by_size", "runtime_mean",
    "runtime_cv", "files",
)  # fmt: skip


def shipped_scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios that ship with the project."""
    return tuple(sorted(path.stem for path in data_path("scenarios").glob("*.toml")))


def read_scenario(name_or_path: str | Path) -> Scenario:
    """Return a shipped scenario by name, or a user's own from a TOML file.

    Raises
    ------
    InputError
        Unknown name, unreadable file, or a wrong entry: file, table and key are named, what was
        expected and what was found.
    """
    text = str(name_or_path)
    if text in shipped_scenarios():
        path = data_path("scenarios", f"{text}.toml")
    else:
        path = Path(text)
        if path.suffix.lower() != ".toml" and not path.exists():
            known = unknown("scenario", text, shipped_scenarios())
            raise InputError(f"{known} (or give the path of a .toml file)")
    try:
        document = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from None
    return scenario_of(document, where=str(path), folder=path.parent)


def scenario_of(document: Any, *, where: str, folder: Path) -> Scenario:
    """Return the scenario that a document describes.

    Parameters
    ----------
    document
        As read from TOML.
    where
        What messages call it; the scenario's name, without its ending, where it states none.
    folder
        Where the files that it names lie.

    Raises
    ------
    InputError
        A wrong entry.
    """
    top = Entries(document, where, TOP)
    source = _source(top, where, folder)
    cloud = _cloud(Entries(top.raw("cloud", {}), f"{where}: [cloud]", CLOUD), source, folder)
    estimates = Entries(top.raw("estimates", {}), f"{where}: [estimates]", ("bias", "cv"))
    terms = Entries(top.raw("terms", {}), f"{where}: [terms]", ("budget_per_hour", "budget"))
    scenario: Scenario = top.made(
        Scenario,
        name=top.text("name", Path(where).stem),
        note=top.text("note", ""),
        horizon_s=top.seconds("horizon", REQUIRED),
        late=top.text("late", "best-effort", choices=get_args(Late)),
        source=source,
        cloud=cloud,
        chance=_chance(top.raw("chance", {}), where, folder),
        estimates=Estimates(
            bias=estimates.number("bias", 0.0, above=-1),
            cv=estimates.number("cv", 0.0, least=0),
        ),
        budget_usd_per_hour=terms.money("budget_per_hour"),
        budget_usd=terms.money("budget"),
        doubts=tuple(dict.fromkeys(_doubts(source))),
    )
    top.made(lambda: scenario.luck)
    return scenario


def _doubts(source: Source) -> list[str]:
    """Return what was doubtful in the files that a source was read from."""
    found = list(source.arrivals.notes) if isinstance(source, Traced) else []
    return found + [note for workflow in source.examples for note in workflow.notes]


def _source(top: Entries, where: str, folder: Path) -> Source:
    given = [key for key in ("stream", "ensemble") if key in top]
    if len(given) != 1:
        found = " and ".join(f"[{key}]" for key in given) or "neither"
        raise InputError(f"{where}: expected either [stream] or [ensemble], found {found}")
    if given == ["ensemble"]:
        if "classes" in top:
            raise InputError(f"{where}: [[classes]]: an [ensemble] has none")
        table = Entries(top.raw("ensemble"), f"{where}: [ensemble]", ENSEMBLE)
        return _ensemble(table, folder)
    listed = top.raw("classes", [])
    if not isinstance(listed, list):
        raise top.wrong("classes", "tables [[classes]]", listed)
    classes = tuple(
        _class(Entries(table, f"{where}: [[classes]] {number}", CLASS), folder)
        for number, table in enumerate(listed, start=1)
    )
    names = [c.name for c in classes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{where}: [[classes]]: {name!r} is the name of more than one")
    return _stream(top.raw("stream"), f"{where}: [stream]", classes, folder)


def _stream(given: Any, where: str, classes: tuple[JobClass, ...], folder: Path) -> Source:
    if isinstance(given, dict) and "trace" in given:
        return _traced(Entries(given, where, TRACE), classes, folder)
    kind = given.get("pattern") if isinstance(given, dict) else None
    if not isinstance(kind, str) or kind not in PATTERNS:
        found = unknown("pattern", kind, tuple(PATTERNS)) if isinstance(kind, str) else None
        expected = f"expected a pattern ({', '.join(PATTERNS)}) or a trace, got {given!r}"
        raise InputError(f"{where}: {found or expected}")
    if not classes:
        raise InputError(f"{where}: a pattern needs at least one table [[classes]]")
    make, known = PATTERNS[kind]
    table = Entries(given, where, ("pattern", *known))
    figures = {
        name: table.seconds(key, REQUIRED)
        if name.endswith("_s")
        else table.number(key, 0.0 if key.startswith("off_") else REQUIRED, least=0)
        for key, name in known.items()
    }
    pattern: Pattern = table.made(make, **figures)
    return Patterned(pattern=pattern, classes=classes)


PATTERNS: dict[str, tuple[Any, dict[str, str]]] = {
    "stable": (Stable, {"rate_per_hour": "rate_per_hour"}),
    "growing": (
        Growing,
        {"rate_per_hour": "rate_per_hour", "end_rate_per_hour": "end_rate_per_hour"},
    ),
    "cycle": (
        Cycle,
        {
            "rate_per_hour": "rate_per_hour",
            "peak_rate_per_hour": "peak_rate_per_hour",
            "period": "period_s",
        },
    ),
    "on-off": (
        OnOff,
        {
            "rate_per_hour": "rate_per_hour",
            "on": "on_s",
            "off": "off_s",
            "off_rate_per_hour": "off_rate_per_hour",
        },
    ),
}
"""The patterns: their class, and the key of each of its figures."""


def _traced(table: Entries, classes: tuple[JobClass, ...], folder: Path) -> Traced:
    columns = table.raw("columns", {})
    if not isinstance(columns, dict) or not all(isinstance(v, str) for v in columns.values()):
        raise table.wrong("columns", "a table of texts, our column = the file's", columns)
    arrivals = table.made(read_arrivals, folder / table.text("trace", REQUIRED), columns)
    if not classes and not (arrivals.runtime_s >= 0).all():
        raise InputError(
            f"{table.place('trace')}: {arrivals.name} has jobs without a runtime; say with "
            "[[classes]] what runs"
        )
    known = [c.name for c in classes]
    for kind in dict.fromkeys(arrivals.kinds) if classes and any(arrivals.kinds) else ():
        if kind not in known:
            raise InputError(f"{table.place('trace')}: {unknown('class', kind, known)}")
    if classes and "deadline" in table:
        raise InputError(f"{table.place('deadline')}: with [[classes]], each has its own")
    return Traced(
        arrivals=arrivals,
        classes=classes,
        time_scale=table.number("time_scale", 1.0, above=0),
        first_s=table.seconds("first", 0.0, zero=True),
        deadline=_deadline(table),
    )


def _deadline(table: Entries) -> DeadlineRule | None:
    """Return the rule of ``deadline = "2h"`` or ``deadline = { factor = 2 }``."""
    given = table.raw("deadline")
    if given is None:
        return None
    if isinstance(given, dict):
        inner = Entries(given, table.place("deadline"), ("factor",))
        return DeadlineRule(factor=inner.number("factor", REQUIRED, above=0))
    return DeadlineRule(after_s=table.seconds("deadline"))


def _class(table: Entries, folder: Path) -> JobClass:
    if ("application" in table) == ("workflow" in table):
        raise InputError(f"{table.where}: expected either an application or a workflow")
    recipe = _recipe(table) if "application" in table else None
    if recipe is None:
        for key in GENERATED:
            if key in table:
                raise InputError(f"{table.place(key)}: is for applications, not for workflows")
        workflow = _imported(table, folder)
    else:
        workflow = _generated(table, recipe)
    return JobClass(
        name=table.text("name", workflow.name),
        workflow=workflow,
        recipe=recipe if table.flag("fresh", default=False) else None,
        deadline=_deadline(table),
        priority=table.number("priority", 1.0, above=0),
        share=table.number("share", 1.0, above=0),
    )


def _recipe(table: Entries) -> Recipe:
    if "runtime_scale" in table:
        raise InputError(f"{table.place('runtime_scale')}: is for workflows; give runtime_mean")
    return Recipe(
        application=table.text("application", choices=KNOWN),
        tasks=table.whole("tasks", REQUIRED),
        runtime_mean_s=table.seconds("runtime_mean"),
        runtime_cv=table.number("runtime_cv", least=0),
        vcpus=table.whole("vcpus", 1),
        memory_gib=table.number("memory_gib", 0.0, least=0),
        seed=table.whole("seed", 0, least=0),
    )


def _generated(table: Entries, recipe: Recipe) -> Workflow:
    import numpy as np

    workflow: Workflow = table.made(recipe.make, np.random.default_rng(recipe.seed))
    return workflow


def _imported(table: Entries, folder: Path) -> Workflow:
    named: str = table.text("workflow", REQUIRED)
    path = named if named.startswith(EXAMPLE) else folder / named
    workflow: Workflow = table.made(read_workflow, path)
    scale = table.number("runtime_scale", 1.0, above=0)
    if scale == 1:
        return workflow
    runtime_s = workflow.runtime_s * scale
    runtime_s.flags.writeable = False
    return workflow.replace(runtime_s=runtime_s)


def _ensemble(table: Entries, folder: Path) -> Together:
    files = table.texts("files")
    if files:
        for key in table.keys:
            if key != "files":
                raise InputError(f"{table.place(key)}: has no meaning with files")
        named = [f if f.startswith(EXAMPLE) else folder / f for f in files]
        read = [table.made(read_workflow, path) for path in named]
        return Together(
            given=tuple(w.replace(priority=2.0 ** -(rank + 1)) for rank, w in enumerate(read))
        )
    source = Together(
        application=table.text("application", "montage", choices=KNOWN),
        workflows=table.whole("workflows", 20),
        sizes=table.text("sizes", "pareto", choices=get_args(Sizes)),
        smallest=table.whole("smallest", 50),
        largest=table.whole("largest", 1000),
        by_size=table.flag("by_size", default=True),
        runtime_mean_s=table.seconds("runtime_mean"),
        runtime_cv=table.number("runtime_cv", least=0),
    )
    table.made(lambda: source.examples)
    return source


def _cloud(table: Entries, source: Source, folder: Path) -> Cloud:
    name = table.text("catalog", "aws")
    path = name if name in shipped_catalogs() else _beside(table, name, folder)
    offer = table.made(load_catalog, path)
    offer = table.made(offer.in_region, table.text("region", default_region(offer)))
    types = table.texts("types")
    if types:
        offer = table.made(lambda: offer.matching(split_patterns(types)))
    choices = ("on-demand", "spot", "both")
    offer = table.made(offer.bought, table.text("purchase", "on-demand", choices=choices))
    bandwidth = table.raw("storage_bandwidth")
    if bandwidth is not None:
        bandwidth = table.made(parse_bandwidth, str(bandwidth))
    cloud = Cloud(
        catalog=offer,
        boot_s=table.seconds("boot", 90.0, zero=True),
        billing=table.made(parse_billing, table.text("billing", "second")),
        transfers=table.flag("transfers", default=True),
        quotas=tuple(table.made(parse_quota, text) for text in table.texts("quotas")),
        allowed=tuple(table.made(parse_allowed, text) for text in table.texts("allow")),
        **({} if bandwidth is None else {"storage_bandwidth": bandwidth}),
    )
    table.made(_check_cloud, cloud, source)
    return cloud


def _beside(table: Entries, name: str, folder: Path) -> Path:
    """Return the path of a catalogue that lies beside the scenario."""
    if not name.endswith(".csv"):
        raise InputError(
            f"{table.place('catalog')}: {unknown('catalogue', name, shipped_catalogs())} "
            "(or give the path of a .csv file)"
        )
    return folder / name


def _check_cloud(cloud: Cloud, source: Source) -> None:
    """Refuse limits on what no job has, and jobs that fit no type."""
    examples = source.examples
    categories = dict.fromkeys(name for w in examples for name in w.categories)
    for rule in cloud.allowed:
        if rule.category not in categories:
            raise InputError(f"allow {rule}: {unknown('category', rule.category, [*categories])}")
    for workflow in examples:
        own = tuple(rule for rule in cloud.allowed if rule.category in workflow.categories)
        check_limits(workflow, cloud.catalog, cloud.quotas, own)
        cloud.problem(workflow)


def _chance(given: Any, where: str, folder: Path) -> Chance:
    """Return the chance of ``chance = "aws"``, of a file beside the scenario, or of its table."""
    if not isinstance(given, str):
        table = Entries(given, f"{where}: [chance]", tuple(given) if given else ())
        return chance_of({key: table.raw(key) for key in table.keys}, where=table.where,
                         folder=folder)  # fmt: skip
    named = given if given in shipped_chances() else folder / given
    try:
        return read_chance(named)
    except InputError as error:
        raise InputError(f"{where}: chance: {error}") from None
