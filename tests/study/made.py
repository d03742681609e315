"""Runs that were never made: frames as experiments return them, with known truths."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

PLANNERS = {"lp": 1.00, "heft": 1.30, "ic-pcp": 1.12, "prolis": 1.10, "cheapest": 0.80}
"""How much each planner pays, as a multiple of what a run costs anyway."""


def made_runs(
    *,
    workflows: int = 4,
    factors: tuple[float, ...] = (1.2, 2.0, 4.0),
    seeds: int = 6,
    planners: dict[str, float] | None = None,
    noise: float = 0.05,
    seed: int = 1,
) -> pd.DataFrame:
    """Return runs of planners on workflows: a setting's and a luck's effect, and some noise.

    ``cheapest`` has no plan for the tightest deadline; one run of ``heft`` fails.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for w in range(workflows):
        base = float(rng.uniform(1, 10))
        for factor in factors:
            for luck in range(seeds):
                shared = base * (1 + 2 / factor) * float(rng.lognormal(0, 0.3))
                for planner, pays in (planners or PLANNERS).items():
                    cost = shared * pays * float(rng.lognormal(0, noise))
                    rows.append(_row(f"w{w}", factor, luck, planner, base, cost))
    frame = pd.DataFrame(rows)
    tight = (frame["planner"] == "cheapest") & (frame["deadline_factor"] == min(factors))
    _without_result(frame, tight, "infeasible", "no plan of this planner meets the deadline")
    first = frame.index[frame["planner"] == "heft"][:1]
    _without_result(frame, frame.index.isin(first), "failed", "ValueError: <b>made up</b>")
    frame.insert(0, "run", np.arange(len(frame)))
    return frame


def _row(
    workflow: str, factor: float, luck: int, planner: str, base: float, cost: float
) -> dict[str, object]:
    deadline_s = 600.0 * factor
    makespan_s = deadline_s * (0.9 + 0.04 * (luck % 4))
    return {
        "workflow": workflow, "catalog": "aws", "deadline_factor": factor,
        "deadline_s": deadline_s, "budget_usd": math.nan, "billing": "second",
        "planner": planner, "chance": "default", "seed": luck, "replication": 0,
        "status": "done", "error": "", "feasible": True,
        "met": makespan_s <= deadline_s, "cost_usd": cost, "planned_cost_usd": cost / 1.1,
        "makespan_s": makespan_s, "planned_makespan_s": 0.9 * deadline_s,
        "lower_bound_usd": 0.7 * base, "gap": 0.1, "utilisation": 0.6, "leases": 5, "tasks": 100,
        "lost_leases": 0, "tardiness_s": max(0.0, makespan_s - deadline_s),
    }  # fmt: skip


def _without_result(frame: pd.DataFrame, where: object, status: str, error: str) -> None:
    frame.loc[where, ["status", "error"]] = [status, error]
    frame.loc[where, "met"] = False
    for name in ("cost_usd", "makespan_s", "utilisation", "gap"):
        frame.loc[where, name] = math.nan


def made_streams(seeds: int = 5) -> pd.DataFrame:
    """Return runs of policies on streams of workflows."""
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "scenario": scenario, "policy": policy, "seed": seed, "replication": 0,
            "status": "done", "error": "", "cost_usd": pays * float(rng.lognormal(2, 0.1)),
            "misses": float(rng.integers(0, 4)), "turnaround_s": float(rng.uniform(100, 900)),
            "regret": pays - 0.9, "met": math.nan,
        }
        for scenario in ("stable", "bursting")
        for seed in range(seeds)
        for policy, pays in (("scs", 1.2), ("lp", 1.0), ("reactive", 1.5))
    )  # fmt: skip
