"""How planning scales: generated Montage and 1000Genome of up to a million tasks.

usage: python benchmarks/scale.py [--sizes 1000,10000] [--families montage] [--factor 1.5]

Every run is a process of its own, so that its peak memory is its own; kernels are compiled
beforehand by a small run, as they are for anyone after the first plan.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

LIMITS_S = {1_000: 10.0, 10_000: 30.0, 100_000: 60.0, 1_000_000: 220.0}
"""Time limit by number of tasks."""

HEADER = """\
| workflow | tasks | deadline s | cost USD | bound USD | gap | first plan s | within 5 % s \
| planned s | generated s | peak GB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def limit_s(size: int) -> float:
    """Return the time limit for a size: that of the next size in the table."""
    return next((limit for most, limit in LIMITS_S.items() if size <= most), 220.0)


def measure(family: str, size: int, factor: float, billing: str) -> dict[str, Any]:
    """Return the figures of one run; times count from the call of ``solve``."""
    from autoscale.api import make_problem
    from autoscale.optimize.planner import solve
    from autoscale.workloads import generate

    began = time.perf_counter()
    workflow = generate(family, size)
    generated_s = time.perf_counter() - began
    problem = make_problem(workflow, billing=billing)
    path_s = problem.least_makespan_s - problem.boot_s
    problem = problem.replace(deadline_s=problem.boot_s + factor * path_s)
    news: list[tuple[float, float]] = []
    began = time.perf_counter()

    def note(line: str) -> None:
        cost = line.split(", at least")[0].replace("$", "").replace(",", "")
        news.append((time.perf_counter() - began, float(cost)))

    plan = solve(problem, time_limit_s=limit_s(size), on_progress=note)
    planned_s = time.perf_counter() - began
    near = [at for at, cost in news if cost <= 1.05 * plan.cost_usd]
    return {
        "family": family,
        "tasks": len(workflow),
        "deadline_s": problem.deadline_s,
        "cost": plan.cost_usd,
        "bound": plan.certificate.lower_bound if plan.certificate else 0.0,
        "gap": plan.gap,
        "first_s": news[0][0] if news else planned_s,
        "near_s": min(near, default=planned_s),
        "planned_s": planned_s,
        "generated_s": generated_s,
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def row(r: dict[str, Any]) -> str:
    """Return one line of the table."""
    return (
        f"| {r['family']} | {r['tasks']:,} | {r['deadline_s']:,.0f} | {r['cost']:.4g} "
        f"| {r['bound']:.4g} | {r['gap']:.1%} | {r['first_s']:.1f} | {r['near_s']:.1f} "
        f"| {r['planned_s']:.1f} | {r['generated_s']:.1f} | {r['memory_gb']:.2f} |"
    )


def main() -> None:
    """Print the table, one process a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--families", default="montage,1000genome")
    parser.add_argument("--factor", type=float, default=1.5, help="deadline by critical path")
    parser.add_argument("--billing", default="second")
    parser.add_argument("--one", help="FAMILY:SIZE, prints JSON")
    options = parser.parse_args()
    if options.one:
        family, size = options.one.split(":")
        print(json.dumps(measure(family, int(size), options.factor, options.billing)))
        return
    print(HEADER, flush=True)
    shared = ["--factor", str(options.factor), "--billing", options.billing]
    for size in options.sizes.split(","):
        for family in options.families.split(","):
            command = [sys.executable, __file__, "--one", f"{family}:{size}", *shared]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{family} {size}: {done.stderr.strip()[-400:]}", file=sys.stderr)
                continue
            print(row(json.loads(done.stdout.splitlines()[-1])), flush=True)


if __name__ == "__main__":
    main()
