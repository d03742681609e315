"""Fifty workflows and a plan of each, for comparison with SimGrid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from autoscale.api import example_names, make_problem, read_workflow
from autoscale.errors import InfeasibleError
from autoscale.optimize.planner import solve
from autoscale.workloads import generate
from simulator.chance import Network

if TYPE_CHECKING:
    from pathlib import Path

    from autoscale.plan.plan import Plan

RECORDED = (
    "1000genome-chameleon-2ch-250k-001.json.gz",
    "1000genome-chameleon-8ch-100k-001.json.gz",
    "airrflow-dirt02-001.json.gz",
    "atacseq-dirt02-001.json.gz",
    "bacass-dirt02-001.json",
    "blast-chameleon-large-001.json.gz",
    "blast-chameleon-medium-003.json.gz",
    "blast-chameleon-small-001.json.gz",
    "cutandrun-dirt02-001.json.gz",
    "cycles-chameleon-1l-1c-9p-001.json.gz",
    "cycles-chameleon-1l-3c-9p-001.json.gz",
    "cycles-chameleon-2l-2c-9p-001.json.gz",
    "epigenomics-chameleon-hep-1seq-100k-001.json",
    "epigenomics-chameleon-ilmn-1seq-50k-001.json.gz",
    "epigenomics-chameleon-ilmn-3seq-100k-001.json.gz",
    "fetchngs-dirt02-001.json.gz",
    "helloworld-forkjoin-10-chameleon.json",
    "methylseq-dirt02-001.json.gz",
    "montage-chameleon-2mass-005d-001.json",
    "montage-chameleon-2mass-015d-001.json.gz",
    "montage-chameleon-dss-075d-001.json.gz",
    "scrnaseq-dirt02-001.json.gz",
    "seismology-chameleon-100p-001.json.gz",
    "smrnaseq-dirt02-001.json.gz",
    "srasearch-chameleon-20a-002.json.gz",
    "srasearch-chameleon-50a-001.json.gz",
    "taxprofiler-dirt02-001.json.gz",
)
"""Executions in WfFormat 1.5, of up to 405 tasks."""

SYNTHETIC = (
    "CyberShake_30.xml",
    "CyberShake_100.xml",
    "Epigenomics_24.xml",
    "Epigenomics_46.xml",
    "Epigenomics_100.xml",
    "HEFT_paper.xml",
    "Inspiral_30.xml",
    "Inspiral_100.xml",
    "Montage_25.xml",
    "Montage_100.xml",
    "Sipht_30.xml",
    "floodplain.xml",
)
"""Pegasus DAX."""

GENERATED = ("montage", "cybershake", "random", "fork-join", "chain")

PLANNERS = ("list", "cheapest", "fastest")

DEADLINES = (1.3, 2.0, 4.0)
"""Deadline as a multiple of the least makespan that is possible."""


def names(shared: Path) -> list[str]:
    """Return the fifty workflows; where there are no reference data, those that need none."""
    own = [*example_names(), *(f"generate:{family}" for family in GENERATED)]
    if not shared.is_dir():
        return own
    recorded = [str(shared / "data/workflows/wfformat-1.5" / name) for name in RECORDED]
    return [*recorded, *(str(shared / "data/dax" / name) for name in SYNTHETIC), *own]


def planned(name: str, number: int) -> Plan:
    """Return a plan of a workflow; planners and deadlines take turns by its number."""
    if name.startswith("generate:"):
        workflow = generate(name.partition(":")[2], 200, seed=number)
    else:
        workflow = read_workflow(name)
    problem = make_problem(workflow)
    goal = problem.replace(deadline_s=DEADLINES[number // 3 % 3] * problem.least_makespan_s)
    try:
        return solve(goal, planner=PLANNERS[number % 3])
    except InfeasibleError:
        return solve(problem, planner=PLANNERS[number % 3])


def drifted(plan: Plan, seed: int, cv: float = 0.3) -> Plan:
    """Return the plan for a workflow whose runtimes are other than it believes."""
    workflow = plan.problem.workflow
    sigma = np.sqrt(np.log1p(cv**2))
    factor = np.random.default_rng(seed).lognormal(-(sigma**2) / 2, sigma, len(workflow))
    longer = workflow.replace(runtime_s=workflow.runtime_s * factor)
    return plan.replace(problem=plan.problem.replace(workflow=longer))


def contended(plan: Plan, weights: Literal["vcpus", "equal"], use: float = 0.5) -> Network:
    """Return a network whose service would be busy for a share of the plan, were it never idle."""
    w = plan.problem.workflow
    moved = float((w.in_bytes + w.out_bytes).sum())
    service = max(moved / (use * plan.makespan_s), 1.0)
    return Network(sharing="max-min", weights=weights, service_bandwidth=service)
