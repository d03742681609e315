"""The facts that commands report, as plain data: tables and ``--json`` say the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.model import graph

if TYPE_CHECKING:
    from autoscale.model.catalog import Catalog
    from autoscale.model.workflow import Workflow
    from autoscale.plan.plan import Plan
    from simulator.records import SimulationResult

Facts = dict[str, Any]


def planner_facts() -> list[Facts]:
    """Return what every planner says of itself."""
    from dataclasses import asdict

    from autoscale.optimize.planner import PLANNERS, about_planner

    return [{"planner": name, **asdict(about_planner(name))} for name in PLANNERS]


def workflow_facts(workflow: Workflow) -> Facts:
    """Return the statistics of a workflow; times on a core of speed 1.0, files left out."""
    work = np.bincount(workflow.category, weights=workflow.runtime_s)
    count = np.bincount(workflow.category, minlength=work.size)
    files = workflow.files
    return {
        "name": workflow.name,
        "path": workflow.path,
        "tasks": len(workflow),
        "edges": workflow.n_edges,
        "levels": workflow.n_levels,
        "width": int(np.bincount(workflow.level).max()),
        "runtime_seconds": math.fsum(workflow.runtime_s),
        "vcpu_seconds": math.fsum(workflow.runtime_s * workflow.vcpus),
        "critical_path_seconds": graph.critical_path_s(workflow, workflow.runtime_s),
        "largest_task": {
            "vcpus": int(workflow.vcpus.max()),
            "memory_bytes": int(workflow.memory_bytes.max()),
            "gpus": int(workflow.gpus.max()),
        },
        "files": len(files),
        "file_bytes": int(files.size_bytes.sum()),
        "fetched_bytes": float(workflow.in_bytes.sum()),
        "stored_bytes": float(workflow.out_bytes.sum()),
        "categories": [
            {"category": name, "tasks": int(count[i]), "runtime_seconds": float(work[i])}
            for i, name in enumerate(workflow.categories)
            if i < count.size and count[i]
        ],
        "notes": list(workflow.notes),
    }


def plan_facts(plan: Plan) -> Facts:
    """Return what a plan costs, takes and leases, and what its figures leave out."""
    problem, certificate = plan.problem, plan.certificate
    bound = None if certificate is None else certificate.lower_bound
    return {
        "workflow": {
            "name": problem.workflow.name,
            "path": problem.workflow.path,
            "tasks": len(problem.workflow),
        },
        "deadline_seconds": problem.deadline_s,
        "budget_usd": problem.budget_usd,
        "cost_usd": plan.cost_usd,
        "makespan_seconds": plan.makespan_s,
        "slack_seconds": plan.slack_s if math.isfinite(plan.slack_s) else None,
        "leases": plan.n_leases,
        "utilisation": plan.utilisation,
        "certificate": {
            "objective": "cost" if certificate is None else certificate.objective,
            "lower_bound": bound,
            "gap": plan.gap if math.isfinite(plan.gap) else None,
            "method": None if certificate is None else certificate.method,
        },
        "regions": list(problem.catalog.regions),
        "planner": plan.provenance.planner,
        "seed": plan.provenance.seed,
        "planning_seconds": plan.provenance.planning_seconds,
        "by_type": _by_type(plan),
        "not_included": not_included(plan),
    }


def _by_type(plan: Plan) -> list[Facts]:
    frame = plan.summary_frame().reset_index()
    return [
        {
            "instance_type": str(row["instance_type"]),
            "leases": int(row["leases"]),
            "tasks": int(row["tasks"]),
            "hours": float(row["hours"]),
            "cost_usd": float(row["cost_usd"]),
            "utilisation": float(row["utilisation"]),
        }
        for row in frame.to_dict("records")
    ]


def not_included(plan: Plan) -> list[str]:
    """Return what the plan's cost and times leave out."""
    kinds = [plan.problem.catalog[k] for k in sorted(set(plan.lease_type.tolist()))]
    left_out = [
        "data leaving the cloud",
        "object storage and its requests",
        "disks",
        "licences and taxes",
        "discounts and commitments",
    ]
    if any(t.purchase == "spot" for t in kinds):
        left_out.append("interruptions of spot instances and changes of their prices")
    if not plan.problem.transfers:
        left_out.append("time to fetch and store files")
    return left_out


def simulation_facts(plan: Plan, result: SimulationResult) -> Facts:
    """Return planned against simulated figures."""
    return {
        "reproduces": bool(result.reproduces(plan)),
        "planned": {
            "cost_usd": plan.cost_usd,
            "makespan_seconds": plan.makespan_s,
            "leases": plan.n_leases,
            "utilisation": plan.utilisation,
        },
        "simulated": {
            "cost_usd": result.cost_usd,
            "makespan_seconds": result.makespan_s,
            "leases": result.n_leases,
            "utilisation": result.utilisation,
        },
        "largest_differences": {k: float(v) for k, v in result.differences(plan).items()},
    }


def catalog_facts(catalog: Catalog) -> list[Facts]:
    """Return one record an instance type."""
    return [
        {
            "instance_type": t.key,
            "provider": t.provider,
            "region": t.region,
            "category": t.category,
            "arch": t.arch,
            "vcpus": t.vcpus,
            "memory_gib": t.memory_gib,
            "gpus": t.gpus,
            "gpu_name": t.gpu_name,
            "network_gbps": t.network_gbps,
            "price_usd_per_hour": t.price_usd_per_hour,
            "spot_usd_per_hour": t.spot_usd_per_hour,
            "interruption_band": t.interruption_band,
            "speed": t.speed,
            "usd_per_work_hour": t.price_usd_per_hour / (t.vcpus * t.speed),
        }
        for t in catalog
    ]
