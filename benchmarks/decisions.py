"""How long a policy takes to decide while 10,000 tasks are open.

usage: python benchmarks/decisions.py [--policies lp,scs] [--seed 0]

A burst of workflows (burst.toml) arrives within three seconds; every decision is timed until all
is done, by the second and by the hour; policies that spend a budget have $60 an hour.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.policies import about_policy, make_policy
from autoscale.policies.protocol import RUNNING
from simulator.streaming import read_scenario, run_stream

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState, Decision, Policy

MANY = 10_000
"""So many open tasks are many."""

BUDGET_USD = 60.0
"""Per hour, for policies that spend a budget."""


@dataclass
class Timed:
    """A policy whose decisions are timed; ``seen`` has each one's seconds and open tasks."""

    policy: Policy
    seen: list[tuple[float, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The policy's own."""
        return self.policy.name

    def __call__(self, state: ClusterState) -> Decision:
        """Decide as the policy does."""
        n_open = sum(int((view.status < RUNNING).sum()) for view in state.jobs)
        began = time.perf_counter()
        decision = self.policy(state)
        self.seen.append((time.perf_counter() - began, n_open))
        return decision


def timed(name: str, billing: str, seed: int) -> FloatArray:
    """Return the seconds and open tasks of all decisions of a policy on the burst."""
    scenario = read_scenario(Path(__file__).with_name("burst.toml"))
    rule = HOURLY if billing == "hour" else PER_SECOND
    scenario = scenario.replace(cloud=replace(scenario.cloud, billing=rule))
    if about_policy(name).aim == "turnaround":
        scenario = scenario.replace(budget_usd_per_hour=BUDGET_USD)
    made: list[Timed] = []

    def make(terms: Terms) -> Policy:
        made.append(Timed(make_policy(name, terms)))
        return made[-1]

    run_stream(scenario, {name: make}, seeds=[seed], bound=False, keep=())
    return np.array(made[-1].seen)


def main() -> None:
    """Print a row for each policy and billing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policies", default="lp,lp-budget")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    head = ["policy", "billing", "most open tasks", "decisions", "seconds in all", "slowest"]
    head += [f"with {MANY:,} open: decisions", "median s", "slowest s"]
    print("| " + " | ".join(head) + " |")
    print("| " + " | ".join(["---"] * len(head)) + " |")
    for name in given.policies.split(","):
        for billing in ("second", "hour"):
            seconds, n_open = timed(name, billing, given.seed).T
            many = seconds[n_open >= MANY]
            cells = [name, billing, f"{int(n_open.max()):,}", f"{seconds.size:,}"]
            cells += [f"{seconds.sum():.1f}", f"{seconds.max():.2f}", f"{many.size:,}"]
            cells += [f"{np.median(many):.3f}", f"{many.max():.2f}"] if many.size else ["-", "-"]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
