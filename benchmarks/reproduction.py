"""Whether the simulator, all chance off, reproduces plans of real workflows.

usage: python benchmarks/reproduction.py WORKFLOW... [--planners lp,list,...] [--time-limit 2]

Both billings, deadline twice the critical path after boot. The engine and the replay kernel play
every plan; listed are the largest differences from the plan's cost and makespan, relative.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from autoscale.api import make_problem
from autoscale.errors import AutoscaleError
from autoscale.formats.workflows import read_workflow
from autoscale.optimize.planner import solve
from simulator import simulate
from simulator.replay import replicate

PLANNERS = "lp,list,cheapest,fastest,heft,ic-pcp,prolis,greedy,gain-deadline"


def main() -> None:
    """Print a line a workflow and what sums it up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workflows", nargs="+", type=Path)
    parser.add_argument("--planners", default=PLANNERS)
    parser.add_argument("--time-limit", type=float, default=2.0)
    given = parser.parse_args()
    plans, worst = 0, 0.0
    for path in given.workflows:
        workflow = read_workflow(path)
        before = plans
        for billing in ("second", "hour"):
            problem = make_problem(workflow, billing=billing)
            path_s = problem.least_makespan_s - problem.boot_s
            problem = problem.replace(deadline_s=problem.boot_s + 2 * path_s)
            for name in given.planners.split(","):
                try:
                    plan = solve(problem, planner=name, time_limit_s=given.time_limit)
                except AutoscaleError:
                    continue  # not every scheduler finds a plan for every deadline
                played, again = simulate(plan), replicate(plan, runs=1)
                off = [
                    abs(float(found) - planned) / max(planned, 1e-9)
                    for found, planned in (
                        (played.cost_usd, plan.cost_usd),
                        (played.makespan_s, plan.makespan_s),
                        (again["cost_usd"][0], plan.cost_usd),
                        (again["makespan_s"][0], plan.makespan_s),
                    )
                ]
                plans, worst = plans + 1, max(worst, *off)
                if max(off) > 1e-6:
                    print(f"{path.name} {billing} {name}: off by {max(off):.3g}", flush=True)
        print(f"{path.name}: {len(workflow):,} tasks, {plans - before} plans", flush=True)
    print(f"{plans} plans, each by engine and kernel; largest difference {worst:.3g}")


if __name__ == "__main__":
    main()
