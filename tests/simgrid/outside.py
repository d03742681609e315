"""Asks SimGrid, in a process of its own, when the tasks of a plan start and end."""

from __future__ import annotations

import functools
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.plan.plan import Plan
    from simulator.chance import Network

DRIVER = Path(__file__).with_name("driver.py")
PYTHONS = ("/usr/bin/python3", "python3")


@functools.cache
def python_with_simgrid() -> str | None:
    """Return a Python that can import SimGrid's bindings, or None; Debian's differs from ours."""
    for python in PYTHONS:
        found = shutil.which(python)
        if found is None:
            continue
        tried = subprocess.run([found, "-c", "import simgrid"], capture_output=True)
        if tried.returncode == 0:
            return found
    return None


def order_of(plan: Plan) -> list[list[int]]:
    """Return each lease's tasks by planned start; one never comes before its parents."""
    w = plan.problem.workflow
    key = plan.task_start_s.tolist()
    for i in range(len(w)):
        key[i] = max([key[i], *(key[p] for p in w.parents_of(i).tolist())])
    order: list[list[int]] = [[] for _ in range(plan.n_leases)]
    for i in sorted(range(len(w)), key=lambda i: (key[i], i)):
        order[plan.task_lease[i]].append(i)
    return order


def described(
    plan: Plan, network: str, model: str = "CM02", chance: Network | None = None
) -> dict[str, Any]:
    """Return what the driver reads: the plan's leases, order and earliest starts, no durations."""
    service = chance.service_bandwidth if chance else math.inf
    by_vcpus = chance is not None and chance.weights == "vcpus"
    problem, w = plan.problem, plan.problem.workflow
    types = [problem.catalog[int(k)] for k in plan.lease_type]
    order = order_of(plan)
    links = [min(t.bandwidth_bytes_per_s, problem.storage_bandwidth) for t in types]
    leases = [
        {
            "start_s": float(start),
            "speed": t.speed,
            "vcpus": t.vcpus,
            "memory": float(t.memory_bytes),
            "gpus": t.gpus,
            "bandwidth": link if math.isfinite(link) else None,
            "order": order[number],
        }
        for number, (t, link, start) in enumerate(
            zip(types, links, plan.lease_start_s, strict=True)
        )
    ]
    tasks = [
        {
            "lease": int(lease),
            "not_before_s": float(plan.task_start_s[i]),
            "runtime_s": float(w.runtime_s[i]),
            "vcpus": int(w.vcpus[i]),
            "memory": float(w.memory_bytes[i]),
            "gpus": int(w.gpus[i]),
            "in_bytes": float(w.in_bytes[i]),
            "out_bytes": float(w.out_bytes[i]),
            "rate": min(links[lease] * int(w.vcpus[i]) / types[lease].vcpus, 1e300),
            "flows": int(w.vcpus[i]) if by_vcpus else 1,
            "parents": w.parents_of(i).tolist(),
        }
        for i, lease in enumerate(plan.task_lease.tolist())
    ]
    return {
        "boot_s": problem.boot_s,
        "network": network,
        "model": model,
        "storage_bandwidth": service if math.isfinite(service) else None,
        "leases": leases,
        "tasks": tasks,
    }


def ask(asked: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Return when SimGrid starts and ends every task, seconds.

    Raises
    ------
    RuntimeError
        When SimGrid is not installed, or stops with an error.
    """
    python = python_with_simgrid()
    if python is None:
        raise RuntimeError("SimGrid is not here; Debian has it as python3-simgrid")
    run = subprocess.run(
        [python, str(DRIVER)], input=json.dumps(asked), capture_output=True, text=True
    )
    if run.returncode:
        raise RuntimeError(f"SimGrid stopped: {run.stderr.strip()[-3500:]}")
    answer = json.loads(run.stdout)
    return np.array(answer["start_s"]), np.array(answer["end_s"])
