"""The schedulers of the literature: how fast they are, and how they do on many workflows.

usage: python benchmarks/schedulers.py speed [--sizes 10000,100000] [--planners heft,prolis]
       python benchmarks/schedulers.py table --csv rows.csv WORKFLOW [WORKFLOW ...]
       python benchmarks/schedulers.py summary --csv rows.csv

``speed`` times planners on generated workflows, one core, compiled parts made beforehand.
``table`` plans every workflow with every planner at several deadlines and under both billings,
planner lp within its own small limit; a row is written as soon as it is known and rows that the
file has are skipped, so that a run that was broken off goes on. ``summary`` prints, per billing
and deadline, each planner's wins, ties and losses against the best of the others (planner lp
apart), its median cost over lp's and over the certified bound, and the time that it took.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from autoscale.api import make_problem, read_workflow
from autoscale.errors import AutoscaleError
from autoscale.optimize.compare import compare
from autoscale.optimize.planner import PLANNERS
from autoscale.workloads import generate

FAST = "bheft,gain-deadline,greedy,hbcs,heft,cpop,ic-pcp,ic-pcpd2,jit-c,list,mslbl,prolis"
"""Planners that place tasks one after another."""

COLUMNS = [
    "workflow", "tasks", "billing", "factor", "deadline_s", "planner", "found", "cost_usd",
    "makespan_s", "bound_usd", "seconds", "reason",
]  # fmt: skip

SAME = 1e-6
"""Relative difference up to which two costs are a tie."""


def speed(sizes: list[int], families: list[str], planners: list[str], factor: float) -> None:
    """Print how long planners take on generated workflows."""
    print("| planner | workflow | tasks | cost USD | makespan s | planned s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for family in families:
        for size in sizes:
            problem = make_problem(generate(family, size))
            path_s = problem.least_makespan_s - problem.boot_s
            problem = problem.replace(deadline_s=problem.boot_s + factor * path_s)
            for name in planners:
                found = compare(problem, [name], time_limit_s=600.0).outcomes[0]
                print(
                    f"| {name} | {family} | {size:,} | {found.cost_usd:.4g} | "
                    f"{found.makespan_s:,.0f} | {found.seconds:.2f} |",
                    flush=True,
                )


def table(given: argparse.Namespace) -> None:
    """Plan every workflow with every planner, and append a row each to the file."""
    known = {key_of(row) for row in rows_of(given.csv)} if given.csv.exists() else set()
    new = not given.csv.exists()
    with given.csv.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        if new:
            writer.writeheader()
        for path in given.workflows:
            for billing in given.billings.split(","):
                for factor in map(float, given.factors.split(",")):
                    names = [
                        name
                        for name in given.planners.split(",")
                        if (path.name, billing, f"{factor:g}", name) not in known
                    ]
                    for row in measured(path, billing, factor, names, given):
                        writer.writerow(row)
                        stream.flush()


def measured(
    path: Path, billing: str, factor: float, names: list[str], given: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return a row for each planner on one workflow, deadline and billing."""
    if not names:
        return []
    try:
        problem = make_problem(read_workflow(path), billing=billing, region=given.region)
    except AutoscaleError as error:
        print(f"{path.name}: {error}", file=sys.stderr)
        return []
    path_s = problem.least_makespan_s - problem.boot_s
    problem = problem.replace(deadline_s=problem.boot_s + factor * path_s)
    rows = []
    for name in names:
        limit = given.lp_limit if name == "lp" else given.time_limit
        found = compare(problem, [name], time_limit_s=limit)
        outcome = found.outcomes[0]
        bound = math.nan if found.certificate is None else found.certificate.lower_bound
        figures = (outcome.found, outcome.cost_usd, outcome.makespan_s, bound, outcome.seconds)
        head = (path.name, len(problem.workflow), billing, f"{factor:g}", problem.deadline_s, name)
        row = dict(zip(COLUMNS, (*head, *figures, outcome.reason), strict=True))
        rows.append(row)
        print(f"{path.name} {billing} f={factor:g} {name}: {outcome.seconds:.2f} s", flush=True)
    return rows


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that was written."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def key_of(row: dict[str, str]) -> tuple[str, str, str, str]:
    """Return what tells a row from others."""
    return row["workflow"], row["billing"], row["factor"], row["planner"]


def summary(path: Path) -> None:
    """Print wins, ties and losses by billing and deadline."""
    rows = rows_of(path)
    for billing, factor in sorted({(row["billing"], row["factor"]) for row in rows}):
        part = [row for row in rows if (row["billing"], row["factor"]) == (billing, factor)]
        cases = {row["workflow"] for row in part}
        print(f"\n{billing} billing, f = {factor}: {len(cases)} workflows\n")
        print(
            "| planner | wins | ties | losses | no plan | median cost / lp | median gap "
            "| median s | longest s |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for name in sorted({row["planner"] for row in part}):
            print(line_of(name, part))


def line_of(name: str, part: list[dict[str, str]]) -> str:
    """Return one planner's line of the summary."""
    cost = {
        (row["workflow"], row["planner"]): float(row["cost_usd"])
        for row in part
        if row["found"] == "True"
    }
    bound: dict[str, float] = {}
    for row in part:  # the largest certified by anyone
        usd = float(row["bound_usd"] or "nan")
        bound[row["workflow"]] = max(bound.get(row["workflow"], 0.0), 0.0 if usd != usd else usd)
    wins = ties = losses = missed = 0
    over_lp, gaps = [], []
    mine = [row for row in part if row["planner"] == name]
    for row in mine:
        case = row["workflow"]
        if (case, name) not in cost:
            missed += 1
            continue
        own = cost[case, name]
        best = min(
            (usd for (w, p), usd in cost.items() if w == case and p not in (name, "lp")),
            default=math.inf,
        )
        wins += own < best * (1 - SAME)
        ties += abs(own - best) <= SAME * best
        losses += own > best * (1 + SAME)
        if (case, "lp") in cost:
            over_lp.append(own / cost[case, "lp"])
        if bound[case] > 0:
            gaps.append(own / bound[case] - 1)
    seconds = [float(row["seconds"]) for row in mine]
    ratio = f"{statistics.median(over_lp):.3f}" if over_lp else "-"
    gap = f"{statistics.median(gaps):.1%}" if gaps else "-"
    return (
        f"| {name} | {wins} | {ties} | {losses} | {missed} | {ratio} | {gap} | "
        f"{statistics.median(seconds):.3f} | {max(seconds):.2f} |"
    )


def main() -> None:
    """Carry out what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    timed = commands.add_parser("speed")
    timed.add_argument("--sizes", default="10000,100000")
    timed.add_argument("--families", default="montage,epigenomics")
    timed.add_argument("--planners", default=FAST)
    timed.add_argument("--factor", type=float, default=1.5)
    planned = commands.add_parser("table")
    planned.add_argument("workflows", nargs="+", type=Path)
    planned.add_argument("--csv", type=Path, required=True)
    planned.add_argument("--factors", default="1.5,3")
    planned.add_argument("--billings", default="second,hour")
    planned.add_argument("--planners", default=",".join(PLANNERS))
    planned.add_argument("--time-limit", type=float, default=20.0, help="for each planner but lp")
    planned.add_argument("--lp-limit", type=float, default=5.0, help="for planner lp")
    planned.add_argument("--region", default="us-east-1")
    summed = commands.add_parser("summary")
    summed.add_argument("--csv", type=Path, required=True)
    given = parser.parse_args()
    if given.command == "speed":
        sizes = [int(size) for size in given.sizes.split(",")]
        families, planners = given.families.split(","), given.planners.split(",")
        speed(sizes, families, planners, given.factor)
    elif given.command == "table":
        table(given)
    else:
        summary(given.csv)


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"({time.perf_counter() - began:.1f} s)", file=sys.stderr)
