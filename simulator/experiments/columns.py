"""The columns of an experiment's result table, one row a run; ``runs.parquet`` has them all.

Wall times are not among them: the table is the same, byte for byte, whatever ran it and how
often it was interrupted. Where a column does not apply it is missing (NaN, or an empty text).
"""

from __future__ import annotations

DESIGN = {
    "run": "int64",
    "workflow": "str",
    "catalog": "str",
    "deadline_factor": "float64",
    "deadline_s": "float64",
    "budget_usd": "float64",
    "billing": "str",
    "planner": "str",
    "scenario": "str",
    "policy": "str",
    "chance": "str",
    "seed": "int64",
    "replication": "int64",
}
"""What was run. ``run`` counts from 0 in the order of the file: workflow, catalogue, billing,
goal, planner, chance, seed, replication, the last the quickest. ``workflow``, ``catalog``,
``planner``, ``chance``, ``scenario`` and ``policy`` are the names that the experiment gives them;
streams have the last two in place of workflow and planner. ``deadline_factor`` is ``f`` of
``deadline = boot + f * critical path on the fastest types``, where the deadline was given so.
``seed`` and ``replication`` say which luck: equal pairs met the same luck, whoever planned."""

OUTCOME = {
    "status": "str",
    "error": "str",
    "feasible": "bool",
    "met": "bool",
    "cost_usd": "float64",
    "planned_cost_usd": "float64",
    "makespan_s": "float64",
    "planned_makespan_s": "float64",
    "lower_bound_usd": "float64",
    "lower_bound_s": "float64",
    "gap": "float64",
    "utilisation": "float64",
    "leases": "float64",
    "tasks": "float64",
    "lost_leases": "float64",
    "tardiness_s": "float64",
    "misses": "float64",
    "turnaround_s": "float64",
    "regret": "float64",
}
"""What came of it. ``status`` is ``done``, ``failed`` (an error, in ``error``) or ``infeasible``
(the planner found no plan for the goal; why is in ``error``). A run that was done but given up
(retries used up, say) has the reason in ``error`` and an infinite makespan. ``feasible``: there is
a plan for the goal. ``met``: the run was completed within the deadline and the budget, where
given. ``lower_bound_usd`` (or, where only a budget was given, ``lower_bound_s``) is the largest
bound that any planner of the experiment certified for the problem, and ``gap`` how far the planned
cost (makespan) is above it. ``leases`` counts machines, replacements included; ``lost_leases``
those that failed or were interrupted. ``tardiness_s`` is how late the run was, 0 in time.
For streams, ``misses`` is the share of jobs with a deadline that missed it, ``turnaround_s`` and
``tardiness_s`` are means over jobs, and ``regret`` is the cost relative to the cheapest policy of
the experiment on the same stream with the same luck, minus 1, whatever that one missed; a run that
was stopped has failed."""

LOST = {
    "attempts": "float64",
    "wait_parents_s": "float64",
    "wait_boot_s": "float64",
    "wait_order_s": "float64",
    "wait_capacity_s": "float64",
    "rerun_s": "float64",
    "compute_s": "float64",
    "transfer_s": "float64",
}
"""Where time was lost; see :data:`simulator.replay.FIGURES`."""

COLUMNS = {**DESIGN, **OUTCOME, **LOST}
"""Every column with its type, in order."""

STATUSES = ("done", "failed", "infeasible")
"""Values of the column ``status``."""
