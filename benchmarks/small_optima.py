"""How far planner lp is from the proven optimum of small workflows.

usage: python benchmarks/small_optima.py WORKFLOW... [--factors 1.5] [--billing second,hour]
       [--time-limit 20] [--exact-limit 60] [--csv table.csv]

Deadlines and the catalogue are those of plan_quality.py. An optimum counts as proven where planner
exact closes its gap to 0.1 %; elsewhere the distance to the best bound of both is an upper limit.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np

from autoscale.api import make_problem
from autoscale.formats.workflows import read_workflow
from autoscale.optimize.planner import solve

PROVEN = 1e-3
"""Gap below which an optimum counts as proven."""

MOST_TASKS = 30
"""Larger workflows are passed over."""


def measure(
    path: Path, factor: float, billing: str, limit_s: float, exact_s: float
) -> dict[str, Any] | None:
    """Return one row of the table, or None for a workflow that is too large."""
    workflow = read_workflow(path)
    if len(workflow) > MOST_TASKS:
        return None
    problem = make_problem(
        workflow, catalog="aws", region="us-east-1", billing=billing, boot=90, deadline=1e9
    )
    path_s = problem.least_makespan_s - problem.boot_s
    problem = problem.replace(deadline_s=problem.boot_s + factor * path_s)
    lp = solve(problem, time_limit_s=limit_s, gap=0.0)
    exact = solve(problem, planner="exact", time_limit_s=exact_s, gap=0.0)
    bounds = [plan.certificate.lower_bound for plan in (lp, exact) if plan.certificate]
    best, bound = min(lp.cost_usd, exact.cost_usd), max(bounds)
    return {
        "file": path.name,
        "tasks": len(workflow),
        "f": factor,
        "billing": billing,
        "lp": lp.cost_usd,
        "best": best,
        "bound": bound,
        "lp over best": lp.cost_usd / best - 1,
        "lp's gap": lp.gap,
        "best gap": best / bound - 1,
        "proven": best / bound - 1 <= PROVEN,
    }


def main() -> None:
    """Print the table and what sums it up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workflows", nargs="+", type=Path)
    parser.add_argument("--factors", default="1.5")
    parser.add_argument("--billing", default="second,hour")
    parser.add_argument("--time-limit", type=float, default=20.0)
    parser.add_argument("--exact-limit", type=float, default=60.0)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    rows = []
    for path in given.workflows:
        for factor in map(float, given.factors.split(",")):
            for billing in given.billing.split(","):
                row = measure(path, factor, billing, given.time_limit, given.exact_limit)
                if row is None:
                    continue
                rows.append(row)
                shown = [f"{v:.5g}" if isinstance(v, float) else str(v) for v in row.values()]
                print(" | ".join(shown), flush=True)
    if given.csv:
        with given.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    over = np.array([row["lp over best"] for row in rows])
    proven = np.array([row["proven"] for row in rows])
    print(f"{len(rows)} plans, {proven.sum()} optima proven; planner lp over the best plan known:")
    print(f"median {np.median(over):.2%}, largest {over.max():.2%}")
    if proven.any():
        print(f"over proven optima: median {np.median(over[proven]):.2%}")


if __name__ == "__main__":
    main()
