"""The command ``diff``: what differs between two plans, as facts and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.cli.entry import DONE
from autoscale.cli.output import emit, emit_json
from autoscale.units import format_duration, format_money

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from autoscale.cli.facts import Facts
    from autoscale.cli.options import Reading
    from autoscale.plan.diff import Figure, PlanDiff


def run_diff(workflow: str, a: str, b: str, reading: Reading, *, as_json: bool) -> int:
    """Compare two plan files and return the exit code."""
    from autoscale.formats.plan_json import read_plan
    from autoscale.plan.diff import diff_plans

    read = reading.read(workflow)
    found = diff_plans(read_plan(a, read), read_plan(b, read))
    report = diff_facts(found)
    if as_json:
        emit_json(report)
    else:
        emit(*diff_parts(report, a, b))
    return DONE


def diff_facts(found: PlanDiff) -> Facts:
    """Return the differences as plain data."""
    return {
        "same": found.same,
        "workflow": {"name": found.workflow, "tasks": found.tasks},
        "figures": {f.name: _figure(f) for f in found.figures},
        "money_usd": {f.name: _figure(f) for f in found.money},
        "leases": {f.name: _figure(f) for f in found.leases},
        "tasks": {
            "other_type": found.other_type,
            "other_lease": found.other_lease,
            "other_time": found.other_time,
            "largest": [
                {
                    "task": t.task,
                    "start_a": t.start_a_s,
                    "start_b": t.start_b_s,
                    "type_a": t.type_a,
                    "type_b": t.type_b,
                }
                for t in found.largest
            ],
        },
        "settings": {s.name: {"a": s.a, "b": s.b} for s in found.settings},
    }


def _figure(figure: Figure) -> Facts:
    return {"a": figure.a, "b": figure.b, "change": figure.change}


def diff_parts(facts: Facts, a: str, b: str) -> list[RenderableType]:
    """Return the tables for people."""
    from rich.text import Text

    name, tasks = facts["workflow"]["name"], facts["workflow"]["tasks"]
    head = f"{name}, {tasks:,} tasks\na: {a}\nb: {b}\n"
    if facts["same"]:
        return [Text(head + "the plans are the same")]
    parts: list[RenderableType] = [Text(head), _figures_table(facts), _tasks_text(facts)]
    if facts["tasks"]["largest"]:
        parts.append(_moved_table(facts))
    if facts["settings"]:
        parts.append(_settings_table(facts))
    return parts


def _figures_table(facts: Facts) -> RenderableType:
    from rich.markup import escape

    from autoscale.cli.render import new_table

    table = new_table("", "a", "b", "change")
    shown: dict[str, tuple[str, Callable[[float], str]]] = {
        "cost_usd": ("cost", format_money),
        "makespan_s": ("makespan", format_duration),
        "leases": ("leases", "{:,.0f}".format),
        "utilisation": ("utilisation", "{:.1%}".format),
        "gap": ("gap", "{:.1%}".format),
    }
    for key, (label, form) in shown.items():
        table.add_row(label, *_cells(facts["figures"][key], form))
    table.add_section()
    for name, figure in facts["money_usd"].items():
        table.add_row(f"for {name}", *_cells(figure, format_money))
    table.add_section()
    for name, figure in facts["leases"].items():
        table.add_row(escape(f"leases of {name}"), *_cells(figure, "{:,.0f}".format))
    return table


def _cells(figure: Facts, form: Callable[[float], str]) -> list[str]:
    """Return both values and the change, signed and, where it says something, in percent."""
    values = ["-" if figure[side] is None else form(figure[side]) for side in ("a", "b")]
    change = figure["change"]
    if change is None or change == 0:
        return [*values, ""]
    text = ("+" if change > 0 else "-") + form(abs(change))
    before = figure["a"]
    if text.endswith("%"):
        text = text.replace("%", " points")
    elif before:
        text += f" ({change / before:+.1%})"
    return [*values, text]


def _tasks_text(facts: Facts) -> RenderableType:
    from rich.text import Text

    moved, total = facts["tasks"], facts["workflow"]["tasks"]
    return Text(
        f"of {total:,} tasks, {moved['other_type']:,} run on another type, "
        f"{moved['other_lease']:,} on another lease, {moved['other_time']:,} at another time\n"
    )


def _moved_table(facts: Facts) -> RenderableType:
    from rich.markup import escape

    from autoscale.cli.render import new_table

    table = new_table(
        "task", "type in a", "type in b", "starts in a", "in b", left=3, title="Moved furthest"
    )
    for row in facts["tasks"]["largest"]:
        table.add_row(
            escape(row["task"]),
            escape(row["type_a"]),
            escape(row["type_b"]),
            format_duration(row["start_a"]),
            format_duration(row["start_b"]),
        )
    return table


def _settings_table(facts: Facts) -> RenderableType:
    from rich.markup import escape

    from autoscale.cli.render import new_table

    table = new_table("other rules", "a", "b", left=3)
    for name, sides in facts["settings"].items():
        table.add_row(escape(name), escape(sides["a"]), escape(sides["b"]))
    return table
