"""The command ``explain``: where a plan's money and time go, as facts and as tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoscale.cli.entry import DONE
from autoscale.cli.output import (
    PICTURES,
    check_writable,
    emit,
    emit_json,
    note,
    progress,
    save_picture,
)
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from autoscale.cli.facts import Facts
    from autoscale.cli.options import Reading
    from autoscale.model.catalog import Catalog
    from autoscale.optimize.explain import Explanation
    from autoscale.optimize.shadow_prices import ShadowPrices
    from autoscale.plan.chain import Link
    from autoscale.plan.plan import Plan

LINKS_SHOWN = 12
"""Rows of the critical chain in the table; of a longer one the middle is left out."""

LONGEST_NAME = 30
"""Characters of a task's name in the table at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """The options of ``autoscale explain``."""

    workflow: str
    plan: str
    prices: bool
    catalog: str | None
    region: str | None
    types: str | None
    plot: str | None
    json: bool


def run_explain(request: ExplainRequest, reading: Reading) -> int:
    """Carry the request out and return the exit code."""
    from autoscale.formats.plan_json import read_plan
    from autoscale.optimize.explain import explain_plan
    from autoscale.plan.check import check_plan

    check_writable("--plot", request.plot, kinds=PICTURES)
    plan = read_plan(request.plan, reading.read(request.workflow))
    violations = check_plan(plan.problem, plan)
    if violations:
        note(f"the plan breaks the rules, which may make this meaningless: {violations[0]}")
    offer = _offer(request, plan) if request.prices else None
    with progress("explaining"):
        found = explain_plan(plan, prices=request.prices, offer=offer)
    if request.prices and found.prices is None:
        note("no time for the linear relaxation: what more time and other types are worth is open")
    if request.plot is not None:
        from autoscale.plotting import plot_money

        save_picture(plot_money(found), request.plot)
    report = explanation_facts(found)
    if request.json:
        emit_json(report)
    else:
        emit(*explanation_parts(report))
    return DONE


def _offer(request: ExplainRequest, plan: Plan) -> Catalog | None:
    """Return what could be leased besides: what is asked for, or what the plan's cloud offers."""
    from autoscale.api import split_patterns
    from autoscale.formats.catalog_csv import load_catalog

    used = [plan.problem.catalog[k] for k in sorted(set(plan.lease_type.tolist()))]
    if not used:
        return None
    provider, region = used[0].provider, used[0].region
    name = request.catalog or _catalog_of(provider, region)
    if name is None:
        note(
            f"no shipped catalogue is of {provider or 'an unnamed provider'}, region "
            f"{region or 'unnamed'}: only the plan's own types are looked at; see --catalog"
        )
        return None
    offer = load_catalog(name).in_region(request.region or region)
    if request.types is not None:
        offer = offer.matching(split_patterns(request.types))
    bought = {t.purchase for t in used}
    return offer.bought(bought.pop() if len(bought) == 1 else "both")


def _catalog_of(provider: str, region: str) -> str | None:
    """Return the shipped catalogue of a provider's region, or None."""
    from autoscale.formats.catalog_csv import load_catalog, shipped_catalogs

    for name in shipped_catalogs():
        if any(t.provider == provider and t.region == region for t in load_catalog(name)):
            return name
    return None


def explanation_facts(found: Explanation) -> Facts:
    """Return an explanation as plain data."""
    plan = found.plan
    return {
        "workflow": {
            "name": plan.problem.workflow.name,
            "path": plan.problem.workflow.path,
            "tasks": len(plan.problem.workflow),
        },
        "cost_usd": plan.cost_usd,
        "makespan_seconds": plan.makespan_s,
        "money_usd": found.money.by_category(),
        "by_type": [
            {
                "instance_type": row.instance_type,
                "leases": row.leases,
                "cost_usd": row.money.total_usd,
                "money_usd": row.money.by_category(),
            }
            for row in found.by_type
        ],
        "critical_chain": [_link_facts(plan, link) for link in found.chain],
        "relaxation": None if found.prices is None else _prices_facts(found.prices),
    }


def _link_facts(plan: Plan, link: Link) -> Facts:
    w = plan.problem.workflow
    category = w.categories[int(w.category[link.task])] if link.task >= 0 else None
    return {
        "kind": link.kind,
        "start": link.start_s,
        "end": link.end_s,
        "seconds": link.seconds,
        "task": str(w.ids[link.task]) if link.task >= 0 else None,
        "category": category,
        "lease": link.lease,
        "instance_type": plan.problem.catalog[int(plan.lease_type[link.lease])].key,
        "after": link.after,
    }


def _prices_facts(prices: ShadowPrices) -> Facts:
    return {
        "deadline_seconds": prices.deadline_s,
        "lower_bound_usd": prices.bound_usd,
        "types_on_offer": prices.offered,
        "types_not_dominated": prices.not_dominated,
        "more_time": [
            {
                "extra_seconds": more.extra_s,
                "lower_bound_usd": more.bound_usd,
                "relaxation_saves_usd": more.saves_usd,
                "plan_saves_at_most_usd": more.saves_at_most_usd,
            }
            for more in prices.more_time
        ],
        "runner_ups": [
            {
                "instance_type": r.instance_type,
                "price_usd_per_hour": r.price_usd_per_hour,
                "enters_at_usd_per_hour": r.enters_at_usd_per_hour,
                "fall": r.fall,
                "in_relaxation": r.in_relaxation,
            }
            for r in prices.runner_ups
        ],
        "quotas": [
            {
                "quota": q.quota,
                "limit": q.limit,
                "peak": q.peak,
                "binding": q.binding,
                "one_more_saves_usd": q.worth_usd,
            }
            for q in prices.quotas
        ],
    }


def explanation_parts(facts: Facts) -> list[RenderableType]:
    """Return the tables for people."""
    from rich.text import Text

    parts: list[RenderableType] = [*_money_parts(facts), *_chain_parts(facts)]
    if facts["relaxation"] is not None:
        parts += _time_parts(facts["relaxation"])
        parts += _runner_up_parts(facts["relaxation"])
        parts += _quota_parts(facts["relaxation"])
    name, tasks = facts["workflow"]["name"], facts["workflow"]["tasks"]
    headline = (
        f"{name}, {tasks:,} tasks: {format_money(facts['cost_usd'])}, "
        f"{format_duration(facts['makespan_seconds'])}\n"
    )
    return [Text(headline), *parts]


def _money_parts(facts: Facts) -> list[RenderableType]:
    from rich.markup import escape

    from autoscale.cli.render import new_table

    names = list(facts["money_usd"])
    usd = _as_exact_as(facts["cost_usd"])
    table = new_table("instance type", "leases", *names, "cost", title="Where the money goes")
    for row in facts["by_type"]:
        cells = [usd(row["money_usd"][name]) for name in names]
        label = escape(row["instance_type"])
        table.add_row(label, f"{row['leases']:,}", *cells, usd(row["cost_usd"]))
    table.add_section()
    leases = sum(row["leases"] for row in facts["by_type"])
    cells = [usd(facts["money_usd"][name]) for name in names]
    table.add_row("total", f"{leases:,}", *cells, usd(facts["cost_usd"]), style="bold")
    total = facts["cost_usd"] or 1.0
    shares = [f"{facts['money_usd'][name] / total:.1%}" for name in names]
    table.add_row("share", "", *shares, "100.0%")
    return [table]


def _as_exact_as(total_usd: float) -> Callable[[float], str]:
    """Return a form for amounts that shows four digits of the total, and all in line."""
    digits = 2 if not total_usd > 0 else max(2, 3 - math.floor(math.log10(total_usd)))
    return lambda usd: f"${usd:,.{digits}f}"


def _chain_parts(facts: Facts) -> list[RenderableType]:
    from rich.markup import escape
    from rich.text import Text

    from autoscale.cli.render import new_table

    links = facts["critical_chain"]
    table = new_table(
        "from", "what", "on", "because", "seconds", left=4, title="What takes the time"
    )
    rows = _merged(links)
    half = LINKS_SHOWN // 2
    for number, row in enumerate(rows):
        if len(rows) > LINKS_SHOWN and half <= number < len(rows) - half:
            if number == half:
                left_out = rows[half:-half]
                seconds = sum(r["seconds"] for r in left_out)
                table.add_row("...", f"{len(left_out):,} more links", "", "", f"{seconds:,.1f}")
            continue
        what, why = escape(_end(_what(row))), escape(_because(row))
        on = escape(f"lease {row['lease']}, {row['instance_type']}")
        table.add_row(format_duration(row["start"]), what, on, why, f"{row['seconds']:,.1f}")
    by_kind: dict[str, float] = {}
    for link in links:
        by_kind[link["kind"]] = by_kind.get(link["kind"], 0.0) + link["seconds"]
    words = {"task": "tasks running", "held back": "held back by the plan"}
    words["request"] = "before the lease is requested"
    listed = ", ".join(f"{words.get(k, k)} {format_duration(s)}" for k, s in by_kind.items())
    return [table, Text(f"{format_duration(facts['makespan_seconds'])} in all: {listed}\n")]


def _merged(links: list[Facts]) -> list[dict[str, Any]]:
    """Return rows: tasks of one category that follow each other on a lease share one."""
    rows: list[dict[str, Any]] = []
    for link in links:
        last = rows[-1] if rows else None
        alike = ("kind", "category", "lease", "after")
        if last and link["kind"] == "task" and all(last[k] == link[k] for k in alike):
            last["count"] += 1
            last["seconds"] += link["seconds"]
        else:
            rows.append({**link, "count": 1})
    return rows


def _what(row: dict[str, Any]) -> str:
    if row["kind"] == "request":
        return "not requested yet"
    if row["kind"] == "boot":
        return "boots"
    if row["kind"] == "held back":
        return f"{row['task']} not started yet"
    if row["count"] > 1:
        return f"{row['count']} x {row['category']}"
    return str(row["task"])


def _end(text: str) -> str:
    """Return the end of a long name, which tells it from others: other columns need room."""
    return text if len(text) <= LONGEST_NAME else "..." + text[3 - LONGEST_NAME :]


def _because(row: dict[str, Any]) -> str:
    if row["kind"] != "task":
        return "the plan's choice" if row["kind"] in ("request", "held back") else "needed first"
    return {
        "boot": "the lease has booted",
        "parent": "its parent has ended",
        "room": "the lease has room again",
        "plan": "the plan says so",
    }[row["after"]]


def _time_parts(prices: Facts) -> list[RenderableType]:
    from rich.text import Text

    from autoscale.cli.render import new_table

    deadline = format_duration(prices["deadline_seconds"])
    table = new_table(
        "deadline",
        "later by",
        "no plan costs less than",
        "worth",
        "this plan saves at most",
        title="What more time is worth, in the linear relaxation",
    )
    usd = _as_exact_as(prices["lower_bound_usd"])
    table.add_row(deadline, "", usd(prices["lower_bound_usd"]), "", "")
    for more in prices["more_time"]:
        later = prices["deadline_seconds"] + more["extra_seconds"]
        table.add_row(
            format_duration(later),
            format_duration(more["extra_seconds"]),
            usd(more["lower_bound_usd"]),
            usd(more["relaxation_saves_usd"]),
            usd(more["plan_saves_at_most_usd"]),
        )
    return [
        table,
        Text(
            "worth: by how much the relaxation gets cheaper; what plans gain may be more or less, "
            "up to the last column\n"
        ),
    ]


def _quota_parts(prices: Facts) -> list[RenderableType]:
    from rich.markup import escape
    from rich.text import Text

    from autoscale.cli.render import new_table

    if not prices["quotas"]:
        return []
    table = new_table("quota", "limit", "leased at most", "one more is worth", title="Quotas")
    usd = _as_exact_as(prices["lower_bound_usd"])
    for row in prices["quotas"]:
        table.add_row(
            escape(row["quota"]),
            f"{row['limit']:,}",
            f"{row['peak']:,}" + ("" if row["binding"] else " (not binding)"),
            usd(row["one_more_saves_usd"]),
        )
    return [table, Text("worth: the rate at which the relaxation gets cheaper\n")]


def _runner_up_parts(prices: Facts) -> list[RenderableType]:
    from rich.markup import escape
    from rich.text import Text

    from autoscale.cli.render import new_table

    counted = (
        f"{prices['types_on_offer']:,} types on offer, "
        f"{prices['types_not_dominated']:,} that no other makes superfluous"
    )
    if not prices["runner_ups"]:
        return [Text(f"no runner-up types: {counted}")]
    table = new_table(
        "instance type", "$/h", "enters below $/h", "has to fall by", title="Runner-up types"
    )
    for row in prices["runner_ups"]:
        fall = "leased by the relaxation" if row["in_relaxation"] else f"{row['fall']:.1%}"
        table.add_row(
            escape(row["instance_type"]),
            f"{row['price_usd_per_hour']:.4f}",
            f"{row['enters_at_usd_per_hour']:.4f}",
            fall,
        )
    return [
        table,
        Text(
            f"{counted}; at a higher price than the one given, a type stays out of the "
            "relaxation's optimum"
        ),
    ]
