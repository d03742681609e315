"""How good plans are: gap to the certified bound over real workflows, deadlines and billings.

usage: python benchmarks/plan_quality.py WORKFLOW... [--factors 1.1,1.5,2,4] [--billing second]
       [--time-limit 20] [--csv table.csv]

Deadlines are boot + f x the critical path on the fastest fitting types, with transfers; the
catalogue is the project's own AWS us-east-1, boot 90 s. Besides planner lp's cost, bound and gap,
the best of the simple planners is listed, planned by the same deadline.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
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

COLUMNS = [
    "workflow",
    "tasks",
    "f",
    "billing",
    "cost",
    "bound",
    "gap",
    "best_simple",
    "saved",
    "seconds",
]


def measure(problem: Problem, factor: float, billing: str, limit_s: float) -> dict[str, Any]:
    """Return one row of the table."""
    path_s = problem.least_makespan_s - problem.boot_s
    problem = problem.replace(deadline_s=problem.boot_s + factor * path_s)
    simple = []
    for name in SIMPLE:
        try:
            simple.append(solve(problem, planner=name).cost_usd)
        except AutoscaleError:
            continue
    began = time.perf_counter()
    plan = solve(problem, time_limit_s=limit_s)
    best = min(simple, default=float("nan"))
    return {
        "workflow": problem.workflow.name,
        "tasks": len(problem.workflow),
        "f": factor,
        "billing": billing,
        "cost": plan.cost_usd,
        "bound": plan.certificate.lower_bound if plan.certificate else 0.0,
        "gap": plan.gap,
        "best_simple": best,
        "saved": 1 - plan.cost_usd / best,
        "seconds": time.perf_counter() - began,
    }


def main() -> None:
    """Print the table and, at its end, the figures that sum it up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workflows", nargs="+", type=Path)
    parser.add_argument("--factors", default="1.1,1.5,2,4")
    parser.add_argument("--billing", default="second")
    parser.add_argument("--time-limit", type=float, default=20.0)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    rows = []
    print(" | ".join(COLUMNS))
    for path in given.workflows:
        workflow = read_workflow(path)
        problem = make_problem(
            workflow, catalog="aws", region="us-east-1", billing=given.billing, boot=90
        )
        for factor in map(float, given.factors.split(",")):
            row = measure(problem, factor, given.billing, given.time_limit)
            rows.append(row)
            shown = [f"{v:.5g}" if isinstance(v, float) else str(v) for v in row.values()]
            print(" | ".join(shown), flush=True)
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    for factor in sorted({row["f"] for row in rows}):
        _sum_up(f"f = {factor:g}", [row for row in rows if row["f"] == factor])
    _sum_up("all", rows)


def _sum_up(what: str, rows: list[dict[str, Any]]) -> None:
    gaps = np.array([row["gap"] for row in rows])
    saved = np.array([row["saved"] for row in rows])
    print(
        f"{what}: {len(rows)} plans, gap median {np.median(gaps):.1%}, 90th percentile "
        f"{np.quantile(gaps, 0.9):.1%}; cheaper than the best simple plan: median "
        f"{np.nanmedian(saved):.1%}, least {np.nanmin(saved):.1%}"
    )


if __name__ == "__main__":
    sys.exit(main())
