"""The schedulers of the literature: how fast they are, and how they do on many workflows.

usage: python benchmarks/schedulers.py speed [--sizes 10000,100000] [--planners heft,prolis]
       python benchmarks/schedulers.py table --csv rows.csv WORKFLOW [WORKFLOW ...]
       python benchmarks/schedulers.py summary --csv rows.csv

``speed`` takes the processor's time of schedulers alone on generated workflows, compiled parts made
beforehand; those for budgets get ``factor`` times what the cheapest plan on one machine costs.
``table`` plans every workflow with every planner at several deadlines and under both billings,
planner lp within its own small limit; a row is written as soon as it is known and rows that the
file has are skipped, so that a run that was broken off goes on. ``summary`` prints each planner's
wins, ties and losses against every other (planner lp apart), how it does against planner lp, its
median cost over lp's and over the certified bound, and the time that it took.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from autoscale.api import make_problem, read_workflow
from autoscale.errors import AutoscaleError
from autoscale.lp.types import reduced
from autoscale.optimize.compare import compare
from autoscale.optimize.planner import PLANNERS
from autoscale.optimize.warm import warm_kernels
from autoscale.schedulers import about_scheduler, get_scheduler
from autoscale.workloads import generate

FAST = (
    "heft,cpop,ic-pcp,ic-pcpd2,prolis,jit-c,greedy,gain-deadline,list,spss,bheft,hbcs,mslbl,"
    "loss2,loss3,gain-budget,grp-heft"
)
"""Planners that place tasks one after another."""

COLUMNS = [
    "workflow", "tasks", "billing", "factor", "deadline_s", "planner", "found", "cost_usd",
    "makespan_s", "bound_usd", "seconds", "reason",
]  # fmt: skip

Case: TypeAlias = tuple[str, str, str]
"""Workflow, billing and deadline factor."""

SAME = 1e-6
"""Relative difference up to which two costs are a tie."""


def speed(sizes: list[int], families: list[str], planners: list[str], factor: float) -> None:
    """Print how long schedulers take on generated workflows, seconds of one core."""
    warm_kernels(many=True)
    print("| planner | workflow | tasks | cost USD | makespan s | planned s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for family in families:
        for size in sizes:
            problem, _ = reduced(make_problem(generate(family, size)))
            path_s = problem.least_makespan_s - problem.boot_s
            in_time = problem.replace(deadline_s=problem.boot_s + factor * path_s)
            cheapest = get_scheduler("cheapest")(problem, rng=np.random.default_rng(0))
            in_budget = problem.replace(budget_usd=factor * cheapest.cost_usd)
            for name in planners:
                goal = in_budget if about_scheduler(name).goal == "budget" else in_time
                compare(make_problem(generate("chain", 3)).replace(deadline_s=1e6), [name])
                began = time.process_time()
                plan = get_scheduler(name)(goal, rng=np.random.default_rng(0))
                print(
                    f"| {name} | {family} | {size:,} | {plan.cost_usd:.4g} | "
                    f"{plan.makespan_s:,.0f} | {time.process_time() - began:.2f} |",
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
    """Print how planners compare, over everything and by billing and deadline."""
    rows = rows_of(path)
    groups = sorted({(row["billing"], row["factor"]) for row in rows})
    print_part("all", rows)
    for billing, factor in groups:
        part = [row for row in rows if (row["billing"], row["factor"]) == (billing, factor)]
        print_part(f"{billing} billing, f = {factor}", part)


def print_part(title: str, part: list[dict[str, str]]) -> None:
    """Print the table of some rows, the planner with the most wins over others first."""
    cost = {
        (case_of(row), row["planner"]): float(row["cost_usd"])
        for row in part
        if row["found"] == "True"
    }
    names = sorted({row["planner"] for row in part})
    bound: dict[Case, float] = {}
    for row in part:  # the largest certified by anyone
        usd = float(row["bound_usd"] or "nan")
        bound[case_of(row)] = max(bound.get(case_of(row), 0.0), 0.0 if usd != usd else usd)
    duels = {name: duels_of(name, names, list(bound), cost) for name in names}
    print(f"\n{title}: {len(bound)} cases\n")
    print(
        "| planner | wins | ties | losses | cheapest of all | against lp: less, same, more "
        "| plans found | median cost / lp | median gap | median s | 95% within s |"
    )
    print("| --- " * 11 + "|")
    for name in sorted(names, key=lambda name: -duels[name][0] + duels[name][2]):
        mine = [row for row in part if row["planner"] == name]
        print(f"| `{name}` | " + " | ".join(cells_of(name, mine, duels[name], cost, bound)) + " |")


def case_of(row: dict[str, str]) -> Case:
    """Return which problem a row is about."""
    return row["workflow"], row["billing"], row["factor"]


def duels_of(
    name: str, names: list[str], cases: list[Case], cost: dict[tuple[Case, str], float]
) -> tuple[int, int, int]:
    """Return (wins, ties, losses) against every other planner but lp, over all cases.

    No plan loses to a plan; where neither has one the two tie.
    """
    wins = ties = losses = 0
    for case in cases:
        own = cost.get((case, name), math.inf)
        for other in names:
            if other in (name, "lp"):
                continue
            usd = cost.get((case, other), math.inf)
            same = own == usd or abs(own - usd) <= SAME * usd
            wins += not same and own < usd
            ties += same
            losses += not same and own > usd
    return wins, ties, losses


def cells_of(
    name: str,
    mine: list[dict[str, str]],
    duels: tuple[int, int, int],
    cost: dict[tuple[Case, str], float],
    bound: dict[Case, float],
) -> list[str]:
    """Return a planner's cells of the summary."""
    total = max(1, sum(duels))
    least: dict[Case, float] = {}
    for (case, planner), usd in cost.items():
        if planner != "lp":
            least[case] = min(least.get(case, math.inf), usd)
    found = [(case_of(row), float(row["cost_usd"])) for row in mine if row["found"] == "True"]
    best = sum(usd <= least.get(case, math.inf) * (1 + SAME) for case, usd in found)
    over_lp = [usd / cost[case, "lp"] for case, usd in found if (case, "lp") in cost]
    against = (
        sum(r < 1 - SAME for r in over_lp),
        sum(abs(r - 1) <= SAME for r in over_lp),
        sum(r > 1 + SAME for r in over_lp),
    )
    gaps = [usd / bound[case] - 1 for case, usd in found if bound[case] > 0]
    seconds = [float(row["seconds"]) for row in mine]
    return [
        *(f"{number / total:.0%}" for number in duels),
        str(best),
        "-" if name == "lp" else ", ".join(map(str, against)),
        f"{len(found) / len(mine):.0%}",
        f"{statistics.median(over_lp):.3f}" if over_lp else "-",
        f"{statistics.median(gaps):.1%}" if gaps else "-",
        f"{statistics.median(seconds):.3f}",
        f"{sorted(seconds)[int(0.95 * (len(seconds) - 1))]:.2f}",
    ]


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
