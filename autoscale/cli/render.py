"""Facts as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from autoscale.units import GIB, format_duration, format_money

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from autoscale.cli.facts import Facts

CATEGORIES_SHOWN = 12

LOSS_NAMES = {
    "parents": "waiting for parents",
    "boot": "waiting for a machine to boot",
    "order": "waiting for the task before",
    "capacity": "waiting for room on the machine",
    "reruns": "reruns after failures",
    "computation": "computing longer than estimated",
    "transfers": "transfers longer than planned",
}
"""Reasons for which time is lost, as people read them."""

GOALS = {"deadline": "deadline", "budget": "budget", "pareto": "both", "none": "neither"}
"""What a planner is for, in a word."""


def new_table(*columns: str, left: int = 1, title: str | None = None) -> Table:
    """Return an empty table whose first ``left`` columns are text and the others figures."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right", no_wrap=True)
    return table


def _pairs(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for key, value in rows:
        table.add_row(Text(key, style="dim"), Text(value))
    return table


def plan_parts(facts: Facts) -> list[RenderableType]:
    """Return the leases by type, and the figures that matter."""
    table = new_table("instance type", "leases", "tasks", "hours", "cost", "utilisation")
    for row in facts["by_type"]:
        table.add_row(
            escape(row["instance_type"]),
            f"{row['leases']:,}",
            f"{row['tasks']:,}",
            f"{row['hours']:,.2f}",
            format_money(row["cost_usd"]),
            f"{row['utilisation']:.0%}",
        )
    table.add_section()
    table.add_row(
        "total",
        f"{facts['leases']:,}",
        f"{facts['workflow']['tasks']:,}",
        f"{sum(row['hours'] for row in facts['by_type']):,.2f}",
        format_money(facts["cost_usd"]),
        f"{facts['utilisation']:.0%}",
        style="bold",
    )
    rows = [
        ("workflow", f"{facts['workflow']['name']}, {facts['workflow']['tasks']:,} tasks"),
        ("region", ", ".join(facts["regions"])),
        ("cost", _against(facts["cost_usd"], facts["budget_usd"], "budget")),
        ("makespan", _makespan(facts)),
        ("certificate", _certificate(facts)),
        ("not included", ", ".join(facts["not_included"])),
    ]
    return [table, _pairs(rows)]


def _against(cost: float, budget: float | None, what: str) -> str:
    limit = "" if budget is None else f" of a {what} of {format_money(budget)}"
    return format_money(cost) + limit


def _makespan(facts: Facts) -> str:
    text = format_duration(facts["makespan_seconds"])
    if facts["deadline_seconds"] is None:
        return f"{text}, no deadline given"
    slack = facts["slack_seconds"]
    limit = format_duration(facts["deadline_seconds"])
    if 0 <= slack < 1:
        return f"{text} of {limit}, just in time"
    side = "to spare" if slack >= 0 else "TOO LATE"
    return f"{text} of {limit}, {format_duration(abs(slack))} {side}"


def _certificate(facts: Facts) -> str:
    stated = facts["certificate"]
    if stated["lower_bound"] is None:
        return "none"
    form = format_money if stated["objective"] == "cost" else format_duration
    verb = "costs less than" if stated["objective"] == "cost" else "ends before"
    text = f"no plan {verb} {form(stated['lower_bound'])}"
    if stated["gap"] is not None:
        text += f"; this one is at most {stated['gap']:.1%} above that"
    return text


def front_table(facts: Facts) -> Table:
    """Return the plans of a front, quickest first."""
    table = new_table("deadline", "makespan", "cost", "bound", "gap", "leases", left=0)
    for row in facts["points"]:
        table.add_row(
            format_duration(row["deadline_seconds"]),
            format_duration(row["makespan_seconds"]),
            format_money(row["cost_usd"]),
            format_money(row["lower_bound_usd"]),
            f"{row['gap']:.1%}",
            f"{row['leases']:,}",
        )
    return table


def workflow_parts(facts: Facts) -> list[RenderableType]:
    """Return the figures of a workflow and its categories."""
    largest = facts["largest_task"]
    memory = largest["memory_bytes"] / GIB
    rows = [
        ("workflow", facts["name"]),
        ("tasks", f"{facts['tasks']:,}"),
        ("edges", f"{facts['edges']:,}"),
        ("levels", f"{facts['levels']:,}, the widest of {facts['width']:,} tasks"),
        (
            "work",
            f"{facts['runtime_seconds']:,.6g} s ({format_duration(facts['runtime_seconds'])})",
        ),
        (
            "critical path",
            f"{facts['critical_path_seconds']:,.6g} s "
            f"({format_duration(facts['critical_path_seconds'])}), files left out",
        ),
        (
            "largest task",
            f"{largest['vcpus']} vCPU, "
            + (f"{memory:.3g} GiB" if memory else "memory not stated")
            + f", {largest['gpus']} GPU",
        ),
        (
            "files",
            f"{facts['files']:,} of {_bytes(facts['file_bytes'])}; fetched "
            f"{_bytes(facts['fetched_bytes'])}, stored {_bytes(facts['stored_bytes'])}",
        ),
    ]
    table = new_table("category", "tasks", "work", "share")
    total = facts["runtime_seconds"] or 1.0
    ranked = sorted(facts["categories"], key=lambda c: -c["runtime_seconds"])
    for row in ranked[:CATEGORIES_SHOWN]:
        table.add_row(
            escape(row["category"]),
            f"{row['tasks']:,}",
            format_duration(row["runtime_seconds"]),
            f"{row['runtime_seconds'] / total:.1%}",
        )
    if len(ranked) > CATEGORIES_SHOWN:
        table.add_row(f"... {len(ranked) - CATEGORIES_SHOWN} more")
    return [_pairs(rows), table]


def _bytes(amount: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{amount:.3g} {unit}" if amount < 1000 else f"{amount:,.0f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


def simulation_parts(facts: Facts) -> list[RenderableType]:
    """Return planned and simulated figures side by side."""
    table = new_table("", "planned", "simulated")
    planned, simulated = facts["planned"], facts["simulated"]
    for label, key, form in (
        ("cost", "cost_usd", format_money),
        ("makespan", "makespan_seconds", format_duration),
        ("leases", "leases", "{:,}".format),
        ("utilisation", "utilisation", "{:.1%}".format),
    ):
        table.add_row(label, form(planned[key]), form(simulated[key]))
    if facts["reproduces"]:
        return [table, Text("the simulator reproduces the plan to 1e-6")]
    worst = {k: v for k, v in facts["largest_differences"].items() if v}
    listed = ", ".join(f"{k} {v:.6g}" for k, v in worst.items())
    return [
        table,
        Text(f"the simulator does NOT reproduce the plan; largest differences: {listed}"),
    ]


def chance_parts(facts: Facts) -> list[RenderableType]:
    """Return how cost and makespan are spread, the deadline's chance, and where time was lost."""
    table = new_table("", "plan", "mean", "+-", "P5", "P50", "P95", "worst")
    for label, key, form in (
        ("cost", "cost_usd", format_money),
        ("makespan", "makespan_seconds", format_duration),
    ):
        found = facts[key]
        cells = [_shown(found[name], form) for name in ("p5", "p50", "p95", "worst")]
        half = None if found["high"] is None else found["high"] - found["mean"]
        mean = _shown(found["mean"], form)
        table.add_row(label, form(facts["planned"][key]), mean, _shown(half, form), *cells)
    pairs = [("runs", _runs_shown(facts))]
    if facts["deadline"] is not None:
        d = facts["deadline"]
        pairs.append(
            (
                f"ends by {format_duration(d['seconds'])}",
                f"{d['probability']:.1%} of runs; with {facts['confidence']:.4g} confidence "
                f"{d['low']:.1%} to {d['high']:.1%}",
            )
        )
    pairs.append(
        ("per run", f"{facts['machines']:,.4g} machines, {facts['task_starts']:,.6g} starts")
    )
    pairs += [("given up", f"{n:,} runs: {why}") for why, n in facts["given_up"]["reasons"].items()]
    if facts["makespan_seconds"]["mean"] is None:  # no run was completed: nothing to compare
        return [table, _pairs(pairs)]
    return [table, _pairs(pairs), *_losses(facts["lost_task_seconds"])]


def _shown(value: float | None, form: Callable[[float], str]) -> str:
    return "-" if value is None else form(value)


def _runs_shown(facts: Facts) -> str:
    fewer = "" if facts["runs"] == facts["wanted_runs"] else f" of at most {facts['wanted_runs']:,}"
    sources = ", ".join(facts["sources"]) or "no chance"
    return f"{facts['runs']:,}{fewer}, seed {facts['seed']}; {sources}"


def _losses(lost_s: dict[str, float]) -> list[RenderableType]:
    """Return where time was lost, the largest first; nothing where nothing was."""
    rows = sorted(lost_s.items(), key=lambda row: (-abs(row[1]), row[0]))
    rows = [row for row in rows if abs(row[1]) > 1e-6]
    if not rows:
        return []
    table = new_table("time lost to", "mean per run, summed over tasks")
    for reason, seconds in rows:
        sign = "-" if seconds < 0 else ""
        table.add_row(LOSS_NAMES[reason], f"{sign}{format_duration(abs(seconds))}")
    return [table]


def catalog_table(rows: Sequence[Facts], title: str) -> Table:
    """Return a catalogue as a table."""
    columns = ("instance type", "category", "arch", "vCPU", "GiB", "GPUs", "Gbit/s", "speed")
    table = new_table(*columns, "$/h", "spot $/h", "$/work h", left=3, title=escape(title))
    for row in rows:
        gpus = f"{row['gpus']} {row['gpu_name']}".strip() if row["gpus"] else "-"
        table.add_row(
            escape(row["instance_type"]),
            escape(row["category"]),
            escape(row["arch"]),
            str(row["vcpus"]),
            f"{row['memory_gib']:g}",
            escape(gpus),
            "-" if row["network_gbps"] is None else f"{row['network_gbps']:g}",
            f"{row['speed']:.3f}",
            f"{row['price_usd_per_hour']:.4f}",
            "-" if row["spot_usd_per_hour"] is None else f"{row['spot_usd_per_hour']:.4f}",
            f"{row['usd_per_work_hour']:.4f}",
        )
    return table


def comparison_table(facts: Facts) -> Table:
    """Return planners side by side, the best first; those without a plan say why below."""
    columns = ("cost", "makespan", "gap", "leases", "utilisation", "time")
    table = new_table("planner", *columns)
    for row in facts["planners"]:
        if not row["found"]:
            table.add_row(escape(row["planner"]), "-", "-", "-", "-", "-", _seconds(row))
            continue
        table.add_row(
            escape(row["planner"]),
            format_money(row["cost_usd"]),
            format_duration(row["makespan_seconds"]),
            "-" if row["gap"] is None else f"{row['gap']:,.1%}",
            f"{row['leases']:,}",
            f"{row['utilisation']:.0%}",
            _seconds(row),
        )
    return table


def _seconds(row: Facts) -> str:
    return f"{row['planning_seconds']:,.2f} s"


def planners_table(rows: Sequence[Facts]) -> Table:
    """Return the planners as a table: what each is for, what it does, where it was published."""
    table = new_table("planner", "for", "what it does", left=3)
    table.columns[2].no_wrap = False
    for row in rows:
        source = f" ({row['source']})" if row["source"] else ""
        goal = GOALS[row["goal"]]
        table.add_row(escape(row["planner"]), goal, escape(f"{row['summary']}{source}"))
    return table


def overview_table(rows: Sequence[Facts]) -> Table:
    """Return the shipped catalogues as a table."""
    table = new_table("catalogue", "types", "regions", left=1)
    table.columns[2].justify = "left"
    for row in rows:
        table.add_row(row["catalog"], f"{row['types']:,}", ", ".join(row["regions"]))
    return table
