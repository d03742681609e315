"""Plan data -> Plan: every key of plan.json checked, each error naming file, key and row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError, unknown
from autoscale.model.arrays import frozen
from autoscale.model.billing import Billing
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.limits import parse_allowed, parse_quota
from autoscale.model.problem import Problem
from autoscale.plan.plan import Certificate, Plan, Provenance

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.workflow import Workflow

TOTALS_TOL = 1e-6
"""How far, relative, stated costs and times may be from what the columns give."""


def plan_from_document(document: dict[str, Any], workflow: Workflow, where: str) -> Plan:
    """Return the plan that the data describe; see ``plan_json.read_plan``.

    Parameters
    ----------
    document
        plan.json as plain data.
    workflow
        The workflow that was planned.
    where
        What messages call the source.

    Raises
    ------
    InputError
        Anything missing, mistyped, out of range or inconsistent.
    """
    top = _Section(document, where, "")
    _check_workflow(top, workflow)
    names, catalog = _instance_types(top)
    problem = _problem(top, workflow, catalog)
    lease_type, lease_times, lease_cost = _leases(top, names)
    task_lease, task_times = _assignments(top, workflow, lease_type.size)
    plan = Plan(
        problem=problem,
        lease_type=frozen(lease_type, np.int32),
        lease_start_s=frozen(lease_times[0], np.float64),
        lease_end_s=frozen(lease_times[1], np.float64),
        task_lease=frozen(task_lease, np.int32),
        task_start_s=frozen(task_times[0], np.float64),
        task_end_s=frozen(task_times[1], np.float64),
        certificate=_certificate(top),
        provenance=_provenance(top),
    )
    _check_totals(top, plan, lease_cost)
    return plan


class _Section:
    """An object of the file with its place, for messages."""

    def __init__(self, data: Any, where: str, key: str) -> None:
        if not isinstance(data, dict):
            raise InputError(f"{where}: key {key!r}: expected an object, got {_shown(data)}")
        self.data, self.where, self.key = data, where, key

    def place(self, key: str) -> str:
        return f"{self.where}: key {(self.key + '.' if self.key else '') + key!r}"

    def get(self, key: str) -> Any:
        if key not in self.data:
            raise InputError(f"{self.place(key)} is missing")
        return self.data[key]

    def section(self, key: str) -> _Section:
        return _Section(self.get(key), self.where, f"{self.key}.{key}" if self.key else key)

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            raise InputError(f"{self.place(key)}: expected a string, got {_shown(value)}")
        return value

    def number(self, key: str, *, nullable: bool = False) -> float | None:
        value = self.get(key)
        if value is None and nullable:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            expected = "a number or null" if nullable else "a number"
            raise InputError(f"{self.place(key)}: expected {expected}, got {_shown(value)}")
        return float(value)

    def figure(self, key: str) -> float:
        value = self.number(key)
        assert value is not None
        return value

    def whole(self, key: str) -> int:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"{self.place(key)}: expected a whole number, got {_shown(value)}")
        return value

    def column(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            raise InputError(f"{self.place(key)}: expected a list, got {_shown(value)}")
        return value

    def numbers(self, key: str) -> FloatArray:
        """Return a column of finite numbers."""
        values = self.column(key)
        for row, value in enumerate(values):
            if type(value) not in (int, float) or not math.isfinite(value):
                raise InputError(
                    f"{self.place(key)}, row {row}: expected a finite number, got {_shown(value)}"
                )
        return np.array(values, dtype=np.float64)

    def columns(self, *keys: str) -> None:
        """Refuse columns of unequal length."""
        lengths = {key: len(self.column(key)) for key in keys}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{key} {n}" for key, n in lengths.items())
            raise InputError(
                f"{self.where}: key {self.key!r}: columns differ in length: {listed} rows"
            )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_workflow(top: _Section, workflow: Workflow) -> None:
    section = top.section("workflow")
    section.text("name")
    section.get("path")
    tasks = section.whole("tasks")
    if tasks != len(workflow):
        raise InputError(
            f"{section.place('tasks')}: the plan is for {tasks} tasks, but workflow "
            f"{workflow.name!r} has {len(workflow)}; is it the workflow that was planned?"
        )


def _instance_types(top: _Section) -> tuple[dict[str, int], Catalog]:
    section = top.section("instance_types")
    types = tuple(_instance_type(section.section(name), name) for name in section.data)
    catalog = Catalog(types, name=f"{top.where}: key 'instance_types'")
    return {name: k for k, name in enumerate(section.data)}, catalog


def _instance_type(section: _Section, name: str) -> InstanceType:
    purchase = section.text("purchase")
    provider, region = section.text("provider"), section.text("region")
    plain = name.removesuffix(f"/{provider}/{region}")
    try:
        return InstanceType(
            name=plain.removesuffix(f"@{purchase}"),
            provider=provider,
            region=region,
            vcpus=section.whole("vcpus"),
            memory_gib=section.figure("memory_gib"),
            gpus=section.whole("gpus"),
            price_usd_per_hour=section.figure("price_usd_per_hour"),
            speed=section.figure("speed"),
            network_gbps=section.number("network_gbps", nullable=True),
            purchase=purchase,  # type: ignore[arg-type]
        )
    except InputError as error:
        if str(error).startswith(section.where):
            raise
        raise InputError(f"{section.where}: key {section.key!r}: {error}") from None


def _problem(top: _Section, workflow: Workflow, catalog: Catalog) -> Problem:
    model, goal = top.section("execution_model"), top.section("goal")
    billing = model.section("billing")
    transfers = model.get("transfers")
    if not isinstance(transfers, bool):
        raise InputError(
            f"{model.place('transfers')}: expected true or false, got {_shown(transfers)}"
        )
    if model.figure("reference_speed") != 1.0:
        raise InputError(
            f"{model.place('reference_speed')}: expected 1.0, got {model.get('reference_speed')!r}"
        )
    bandwidth = model.number("storage_bandwidth_bytes_per_second", nullable=True)
    figures: dict[str, Any] = {
        "boot_s": model.figure("boot_seconds"),
        "deadline_s": goal.number("deadline_seconds", nullable=True),
        "budget_usd": goal.number("budget_usd", nullable=True),
        "storage_bandwidth": math.inf if bandwidth is None else bandwidth,
    }
    figures |= _limits(top)
    quantum, minimum = billing.figure("quantum_seconds"), billing.figure("minimum_seconds")
    try:
        return Problem(
            workflow=workflow,
            catalog=catalog,
            billing=Billing(quantum_s=quantum, minimum_s=minimum),
            transfers=transfers,
            **figures,
        )
    except InputError as error:
        raise InputError(f"{top.where}: {error}") from None


def _limits(top: _Section) -> dict[str, Any]:
    """Return quotas and allowed types, where the plan was made within any."""
    if "limits" not in top.data:
        return {}
    section = top.section("limits")
    out: dict[str, Any] = {}
    for key, name, parse in (
        ("quotas", "quotas", parse_quota),
        ("allowed_types", "allowed", parse_allowed),
    ):
        try:
            out[name] = tuple(parse(str(text)) for text in section.column(key))
        except InputError as error:
            raise InputError(f"{section.place(key)}: {error}") from None
    return out


def _leases(
    top: _Section, names: dict[str, int]
) -> tuple[IntArray, tuple[FloatArray, FloatArray], FloatArray]:
    section = top.section("leases")
    section.columns("instance_type", "start", "end", "cost_usd")
    used = section.column("instance_type")
    for row, name in enumerate(used):
        if name not in names:
            what = unknown("instance type", str(name), list(names))
            raise InputError(f"{section.place('instance_type')}, row {row}: {what}")
    kinds = np.array([names[name] for name in used], dtype=np.int64)
    return kinds, (section.numbers("start"), section.numbers("end")), section.numbers("cost_usd")


def _assignments(
    top: _Section, workflow: Workflow, n_leases: int
) -> tuple[IntArray, tuple[FloatArray, FloatArray]]:
    """Return the columns in the workflow's order."""
    section = top.section("assignments")
    section.columns("task", "lease", "start", "end")
    row_of = _row_of_task(section, workflow)
    lease = section.column("lease")
    for row, value in enumerate(lease):
        if type(value) is not int or not 0 <= value < n_leases:
            raise InputError(
                f"{section.place('lease')}, row {row}: expected the index of one of "
                f"{n_leases} leases, got {_shown(value)}"
            )
    times = section.numbers("start"), section.numbers("end")
    return np.array(lease, dtype=np.int64)[row_of], (times[0][row_of], times[1][row_of])


def _row_of_task(section: _Section, workflow: Workflow) -> IntArray:
    tasks, index_of = section.column("task"), workflow.index_of
    row_of = np.full(len(workflow), -1, dtype=np.int64)
    for row, task in enumerate(tasks):
        index = index_of.get(task) if isinstance(task, str) else None
        if index is None:
            raise InputError(
                f"{section.place('task')}, row {row}: {_shown(task)} is not a task of workflow "
                f"{workflow.name!r}"
            )
        if row_of[index] >= 0:
            raise InputError(
                f"{section.place('task')}, row {row}: task {task!r} is planned twice, "
                f"first in row {row_of[index]}"
            )
        row_of[index] = row
    missing = np.flatnonzero(row_of < 0)
    if missing.size:
        raise InputError(
            f"{section.place('task')}: {missing.size} tasks of workflow {workflow.name!r} are "
            f"not planned, first {str(workflow.ids[missing[0]])!r}"
        )
    return row_of


def _certificate(top: _Section) -> Certificate | None:
    section = top.section("certificate")
    objective, method = section.text("objective"), section.text("method")
    section.number("gap", nullable=True)
    bound = section.figure("lower_bound")
    if objective not in ("cost", "makespan"):
        raise InputError(
            f"{section.place('objective')}: expected 'cost' or 'makespan', got {objective!r}"
        )
    if not 0 <= bound < math.inf:
        raise InputError(f"{section.place('lower_bound')}: expected a number >= 0, got {bound!r}")
    if method == "none":
        return None
    return Certificate(
        objective=objective,  # type: ignore[arg-type]
        lower_bound=bound,
        method=method,
    )


def _provenance(top: _Section) -> Provenance:
    section = top.section("provenance")
    section.text("version")
    return Provenance(
        planner=section.text("planner"),
        seed=section.whole("seed"),
        solver=section.text("solver"),
        planning_seconds=section.figure("planning_seconds"),
    )


def _check_totals(top: _Section, plan: Plan, lease_cost: FloatArray) -> None:
    """Refuse stated totals that do not follow from the columns and the billing rule."""
    off = np.abs(lease_cost - plan.lease_cost_usd)
    wrong = off > TOTALS_TOL * np.maximum(1.0, plan.lease_cost_usd)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{top.where}: key 'leases.cost_usd', row {row}: says {lease_cost[row]:.9g}, but the "
            f"lease costs {plan.lease_cost_usd[row]:.9g} by the plan's own prices and billing"
        )
    for key, is_value in (("cost_usd", plan.cost_usd), ("makespan_seconds", plan.makespan_s)):
        said = top.figure(key)
        if not abs(said - is_value) <= TOTALS_TOL * max(1.0, is_value):
            raise InputError(
                f"{top.place(key)}: says {said:.9g}, but the plan's columns give {is_value:.9g}"
            )
