"""Running a policy on a stream of jobs, or on one workflow."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.model.arrays import frozen, string_array
from autoscale.model.workflow import FileTable, Workflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autoscale.model.problem import Problem
    from autoscale.policies.protocol import Job, Policy
    from simulator.chance import Chance
    from simulator.records import SimulationResult

RULES = (
    "catalog", "boot_s", "billing", "transfers", "storage_bandwidth", "quotas", "allowed",
)  # fmt: skip
"""What all jobs of a stream have in common."""

LIMIT_S = 366 * 86400.0
"""Simulated seconds after which a policy's run is given up unless told otherwise."""


def run_policy(
    jobs: Sequence[Job],
    policy: Policy,
    chance: Chance | None = None,
    *,
    seed: int = 0,
    run: int = 0,
    events: bool = False,
    limit_s: float = LIMIT_S,
    until_s: float = math.inf,
) -> SimulationResult:
    """Let a policy run a stream of jobs on a simulated cloud and return what happened.

    Parameters
    ----------
    jobs
        The stream; all jobs have one catalogue and one set of rules. Tasks are numbered by job in
        the order of arrival, and so are the rows of the records.
    policy
        Decides online; see :mod:`autoscale.policies.protocol`.
    chance
        What may go otherwise than estimated; nothing if None.
    seed, run
        Which luck, and which replication of it; a task, and the n-th machine that is requested,
        meet the same luck with every policy.
    events
        Record every event.
    limit_s
        Give up after so many simulated seconds, > 0.
    until_s
        End the run well then, whatever is left to do, > 0: for jobs that are worth nothing later.

    Returns
    -------
    SimulationResult
        Its ``reason`` says why the run was given up: a policy that misbehaved (with its name and
        the time), one that does nothing more, retries used up.

    Raises
    ------
    InputError
        No jobs, jobs of different catalogues or rules, a negative arrival, seed or run.
    """
    from simulator.cloud import Cloud
    from simulator.deciding import Deciding
    from simulator.events import EventLog
    from simulator.luck import Luck
    from simulator.reporting import result_of_policy

    for name, value in (("limit_s", limit_s), ("until_s", until_s)):
        if not value > 0:
            raise InputError(f"{name}: expected seconds > 0, got {value!r}")
    order = sorted(range(len(jobs)), key=lambda i: (jobs[i].arrival_s, i))
    arrived = tuple(jobs[i] for i in order)
    problem = merged(arrived)
    luck = Luck(chance, problem, seed, run) if chance is not None else None
    cloud = Cloud(problem, luck, EventLog() if events else None)
    driver = Deciding(arrived, policy, cloud, until_s)
    return result_of_policy(cloud, driver, cloud.run(driver, limit_s))


def merged(jobs: tuple[Job, ...]) -> Problem:
    """Return one problem of all jobs' tasks, one job after another, without goals.

    Raises
    ------
    InputError
        See :func:`run_policy`.
    """
    if not jobs:
        raise InputError("jobs: expected at least one")
    first = jobs[0].problem
    for number, job in enumerate(jobs):
        if not 0 <= job.arrival_s < math.inf:
            raise InputError(
                f"job {number}: arrival_s: expected a finite time >= 0, got {job.arrival_s!r}"
            )
        for rule in RULES:
            if getattr(job.problem, rule) != getattr(first, rule):
                raise InputError(
                    f"job {number}: its {rule} is not that of the first; all jobs run on one cloud"
                )
    if len(jobs) == 1:
        return first.replace(deadline_s=None, budget_usd=None)
    stated = [job.problem.durations_s for job in jobs]
    if any(s is None for s in stated) != all(s is None for s in stated):
        raise InputError("jobs: either all or none state their durations outright")
    return replace(
        first,
        workflow=_joined([job.problem.workflow for job in jobs]),
        deadline_s=None,
        budget_usd=None,
        durations_s=None if stated[0] is None else np.concatenate(stated),  # type: ignore[arg-type]
    )


def _joined(parts: list[Workflow]) -> Workflow:
    """Return the workflows side by side; parents still come before their children."""
    sizes = [len(w) for w in parts]
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    names: dict[str, int] = {}
    for w in parts:
        for name in w.categories:
            names.setdefault(name, len(names))
    category = [np.array([names[c] for c in w.categories])[w.category] for w in parts]
    columns: dict[str, Any] = {
        name: frozen(np.concatenate([getattr(w, name) for w in parts]), dtype)
        for name, dtype in (
            ("runtime_s", np.float64), ("vcpus", np.int32), ("memory_bytes", np.int64),
            ("gpus", np.int32), ("level", np.int32), ("in_bytes", np.float64),
            ("out_bytes", np.float64),
        )
    }  # fmt: skip
    parent_ptr, parents = _stacked([(w.parent_ptr, w.parents) for w in parts], first)
    child_ptr, children = _stacked([(w.child_ptr, w.children) for w in parts], first)
    return Workflow(
        name=f"{len(parts)} jobs",
        ids=string_array(f"{j}/{i}" for j, w in enumerate(parts) for i in w.ids.tolist()),
        categories=tuple(names),
        category=frozen(np.concatenate(category), np.int32),
        parent_ptr=parent_ptr,
        parents=parents,
        child_ptr=child_ptr,
        children=children,
        files=_files([w.files for w in parts]),
        **columns,
    )


def _stacked(parts: list[tuple[Any, Any]], first: Any) -> tuple[Any, Any]:
    """Return CSR tables one after another, members of part ``j`` counted from ``first[j]``."""
    counts = np.concatenate([np.diff(ptr) for ptr, _ in parts])
    ptr = np.concatenate([[0], np.cumsum(counts)])
    members = np.concatenate([m + start for (_, m), start in zip(parts, first, strict=True)])
    return frozen(ptr, np.int64), frozen(members, np.int32)


def _files(parts: list[FileTable]) -> FileTable:
    sizes = [len(f) for f in parts]
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    inputs = _stacked([(f.input_ptr, f.inputs) for f in parts], first)
    outputs = _stacked([(f.output_ptr, f.outputs) for f in parts], first)
    names = string_array(f"{j}/{n}" for j, f in enumerate(parts) for n in f.names.tolist())
    size_bytes = frozen(np.concatenate([f.size_bytes for f in parts]), np.int64)
    return FileTable(names, size_bytes, *inputs, *outputs)
