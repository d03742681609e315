"""How good plans are: gap to the certified bound over real workflows, deadlines and billings.

usage: python benchmarks/plan_quality.py WORKFLOW... [--factors 1.1,1.5,2,4]
       [--billing second,hour] [--time-limit 20] [--gap 0] [--csv table.csv]
       [--sample SEED]

Deadlines are boot + f x the critical path on the fastest fitting types, with transfers; the
catalogue is the project's own AWS us-east-1, boot 90 s. Besides planner lp's cost, bound and gap,
the best of the simple planners is listed, planned by the same deadline. With --csv, rows are
added as they come, and those that are there already are not measured again.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import time
from contextlib import suppress
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.api import make_problem
from autoscale.errors import AutoscaleError
from autoscale.formats.workflows import read_workflow
from autoscale.optimize.planner import solve

if TYPE_CHECKING:
    from autoscale.model.problem import Problem

SIMPLE = ("list", "cheapest", "fastest")
"""Schedulers that the planner starts from."""

CLASSIC = ("heft", "ic-pcp", "ic-pcpd2", "prolis", "greedy", "gain-deadline", "jit-c")
"""The literature's list-like schedulers for deadlines."""

QUADRATIC = ("heft", "ic-pcp")
MOST_QUADRATIC = 1500
"""Schedulers left out above so many tasks, for their time."""

COLUMNS = [
    "file",
    "workflow",
    "tasks",
    "f",
    "billing",
    "cost",
    "bound",
    "gap",
    "best_simple",
    "saved",
    "best_classic",
    "classic",
    "saved_classic",
    "seconds",
]


def measure(
    problem: Problem, factor: float, billing: str, limit_s: float, gap: float
) -> dict[str, Any]:
    """Return one row of the table."""
    path_s = problem.least_makespan_s - problem.boot_s
    problem = problem.replace(deadline_s=problem.boot_s + factor * path_s)
    simple, classic = _best(problem, SIMPLE), _best(problem, CLASSIC)
    began = time.perf_counter()
    plan = solve(problem, time_limit_s=limit_s, gap=gap)
    return {
        "workflow": problem.workflow.name,
        "tasks": len(problem.workflow),
        "f": factor,
        "billing": billing,
        "cost": plan.cost_usd,
        "bound": plan.certificate.lower_bound if plan.certificate else 0.0,
        "gap": plan.gap,
        "best_simple": simple[0],
        "saved": 1 - plan.cost_usd / simple[0],
        "best_classic": classic[0],
        "classic": classic[1],
        "saved_classic": 1 - plan.cost_usd / classic[0],
        "seconds": time.perf_counter() - began,
    }


def _best(problem: Problem, names: tuple[str, ...]) -> tuple[float, str]:
    """Return the least cost of some planners and the name; nan where none meets the deadline."""
    found = []
    for name in names:
        if name in QUADRATIC and len(problem.workflow) > MOST_QUADRATIC:
            continue
        with suppress(AutoscaleError):
            found.append((solve(problem, planner=name, time_limit_s=5.0).cost_usd, name))
    return min(found, default=(float("nan"), ""))


def main() -> None:
    """Print the table and, at its end, the figures that sum it up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workflows", nargs="+", type=Path)
    parser.add_argument("--factors", default="1.1,1.5,2,4")
    parser.add_argument("--billing", default="second")
    parser.add_argument("--time-limit", type=float, default=20.0)
    parser.add_argument("--gap", type=float, default=0.0)
    parser.add_argument("--sample", type=int, metavar="SEED", help="in random order")
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    rows = _known(given.csv)
    done = {(row["file"], row["f"], row["billing"]) for row in rows}
    print(" | ".join(COLUMNS))
    factors = [float(text) for text in given.factors.split(",")]
    instances = list(product(given.workflows, factors, given.billing.split(",")))
    if given.sample is not None:
        random.Random(given.sample).shuffle(instances)
    for path, factor, billing in instances:
        if (path.name, factor, billing) in done:
            continue
        row = {"file": path.name}
        problem = _problem(path, billing)
        row |= measure(problem, factor, billing, given.time_limit, given.gap)
        rows.append(row)
        _added(given.csv, row)
        shown = [f"{v:.5g}" if isinstance(v, float) else str(v) for v in row.values()]
        print(" | ".join(shown), flush=True)
    for billing in sorted({row["billing"] for row in rows}):
        of = [row for row in rows if row["billing"] == billing]
        for factor in sorted({row["f"] for row in of}):
            _sum_up(f"{billing}, f = {factor:g}", [row for row in of if row["f"] == factor])
        _sum_up(f"{billing}, all", of)


@lru_cache(maxsize=2)
def _problem(path: Path, billing: str) -> Problem:
    return make_problem(
        read_workflow(path), catalog="aws", region="us-east-1", billing=billing, boot=90
    )


def _known(path: Path | None) -> list[dict[str, Any]]:
    """Return the rows of an earlier run."""
    if path is None or not path.exists():
        return []
    import pandas as pd

    return [
        {str(key): value for key, value in row.items()}
        for row in pd.read_csv(path).to_dict("records")
    ]


def _added(path: Path | None, row: dict[str, Any]) -> None:
    if path is None:
        return
    fresh = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def _sum_up(what: str, rows: list[dict[str, Any]]) -> None:
    gaps = np.array([row["gap"] for row in rows])
    saved = np.array([row["saved"] for row in rows])
    classic = np.array([row["saved_classic"] for row in rows])
    classic = classic[~np.isnan(classic)]
    print(
        f"{what}: {len(rows)} plans, gap median {np.median(gaps):.1%}, 90th percentile "
        f"{np.quantile(gaps, 0.9):.1%}; cheaper than the best simple plan: median "
        f"{np.nanmedian(saved):.1%}, least {np.nanmin(saved):.1%}"
    )
    if classic.size:
        print(
            f"  cheaper than the strongest classic ({classic.size} have one on time): median "
            f"{np.median(classic):.1%}, least {classic.min():.1%}, "
            f"dearer in {(classic < -1e-6).sum()}"
        )


if __name__ == "__main__":
    sys.exit(main())
