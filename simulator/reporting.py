"""From the state that a run leaves behind to its records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.records import LeaseRecords, SimulationResult, TaskRecords, waits_s

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, Int32Array
    from simulator.cloud import Cloud
    from simulator.deciding import Deciding
    from simulator.following import Following


def lease_records(cloud: Cloud) -> tuple[LeaseRecords, Int32Array]:
    """Return the machines' records in order of leases, and the row of each machine."""
    machines = sorted(cloud.machines, key=lambda m: (m.lease, m.attempt))
    row_of = np.empty(len(machines), dtype=np.int32)
    row_of[[m.number for m in machines]] = np.arange(len(machines))

    def floats(name: str) -> FloatArray:
        return np.array([getattr(m, name) for m in machines], dtype=np.float64)

    def numbers(name: str) -> Int32Array:
        return np.array([getattr(m, name) for m in machines], dtype=np.int32)

    records = LeaseRecords(
        type=numbers("type"),
        lease=numbers("lease"),
        attempt=numbers("attempt"),
        requested_s=floats("requested_s"),
        ready_s=floats("ready_s"),
        released_s=floats("released_s"),
        outcome=numbers("outcome"),
        billed_s=floats("billed_s"),
        cost_usd=floats("cost_usd"),
        tasks=numbers("tasks").astype(np.int64),
        busy_vcpu_s=floats("busy_vcpu_s"),
    )
    return records, row_of


def _result(
    cloud: Cloud, reason: str | None, lease: Int32Array, ready_s: FloatArray,
    waits: dict[str, FloatArray],
) -> SimulationResult:  # fmt: skip
    leases, row_of = lease_records(cloud)
    machine = np.array(
        [-1 if m is None else row_of[m.number] for m in cloud.machine_of], dtype=np.int32
    )
    return SimulationResult(
        problem=cloud.problem,
        tasks=TaskRecords(
            lease=lease,
            machine=machine,
            attempts=np.array(cloud.attempts, dtype=np.int32),
            ready_s=ready_s,
            first_start_s=np.array(cloud.first_start_s),
            start_s=np.array(cloud.start_s),
            fetch_s=np.array(cloud.fetch_s),
            compute_s=np.array(cloud.compute_s),
            store_s=np.array(cloud.store_s),
            end_s=np.array(cloud.end_s),
            **waits,
        ),
        leases=leases,
        events=cloud.log.records().renumbered(row_of) if cloud.log else None,
        reason=reason,
    )


def result_of_plan(cloud: Cloud, driver: Following, reason: str | None) -> SimulationResult:
    """Return the records of a run that followed a plan."""
    plan, ready_s = driver.plan, np.array(driver.ready_s)
    waits = waits_s(
        plan.task_start_s,
        np.array(cloud.first_start_s),
        parents=ready_s,
        boot=np.array(driver.usable_s),
        order=np.array(driver.before_s),
    )
    return _result(cloud, reason, plan.task_lease, ready_s, waits)


def result_of_policy(cloud: Cloud, driver: Deciding, reason: str | None) -> SimulationResult:
    """Return the records of a run that a policy decided."""
    ready_s, started_s = driver.ready_s, np.array(cloud.first_start_s)
    none = np.zeros_like(ready_s)
    waits = {f"wait_{name}_s": none for name in ("parents", "boot", "order")}
    waits["wait_capacity_s"] = np.maximum(started_s - ready_s, 0.0)
    return _result(cloud, reason, driver.lease.copy(), ready_s, waits)
