"""Running simulations: the public verbs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan
    from simulator.chance import Chance
    from simulator.records import SimulationResult


def simulate(
    plan: Plan,
    chance: Chance | None = None,
    *,
    seed: int = 0,
    run: int = 0,
    early: bool = False,
    events: bool = False,
    limit_s: float = math.inf,
) -> SimulationResult:
    """Play a plan on a simulated cloud and return what happened.

    The plan's leases and order are kept, its planned starts are waited for, and nothing else of
    it is believed: durations, waits, releases and the bill are found again. With all chance off a
    feasible plan is reproduced; one that is not shows as late tasks, longer leases and a higher
    cost. The rule is stated in full in :mod:`simulator.following`.

    Parameters
    ----------
    plan
        The plan, with its problem.
    chance
        What may go otherwise than planned; nothing if None.
    seed, run
        Which luck, and which replication of it; both >= 0. The same pair meets the same luck
        with every plan, and a source of chance meets the same luck whatever others are on.
    early
        Start tasks before their planned start where parents, lease and order allow it.
    events
        Record every event.
    limit_s
        Give up after so many simulated seconds, > 0.

    Returns
    -------
    SimulationResult
        Its ``reason`` says why a run was given up: retries used up, machines that never boot.

    Raises
    ------
    InputError
        When the plan cannot be played at all: it does not belong to its problem (another number
        of tasks, unknown leases or types), a time is not finite, or a task does not fit the type
        of its lease and could never start; a negative seed or run.

    Examples
    --------
    >>> import numpy as np
    >>> from autoscale.model.catalog import Catalog, InstanceType
    >>> from autoscale.model.problem import Problem
    >>> from autoscale.model.workflow import WorkflowBuilder
    >>> from autoscale.plan.decode import decode
    >>> from simulator.chance import Boot, Chance
    >>> from simulator.distributions import Constant
    >>> builder = WorkflowBuilder("two steps").add("first", runtime_s=60)
    >>> workflow = builder.add("second", runtime_s=30, parents=["first"]).build()
    >>> small = InstanceType(name="small", vcpus=1, memory_gib=2, price_usd_per_hour=0.2)
    >>> plan = decode(Problem(workflow=workflow, catalog=Catalog((small,))), [0], [0, 0], [0, 1])
    >>> result = simulate(plan)
    >>> result
    SimulationResult('two steps': $0.01, 3m00s, 1 leases, 50% utilised, every task on time)
    >>> result.reproduces(plan)
    True
    >>> simulate(plan, Chance(boot=Boot(time_s=Constant(value=120)))).makespan_s
    210.0
    """
    check_plan_playable(plan)
    if not limit_s > 0:
        raise InputError(f"limit_s: expected seconds > 0, got {limit_s!r}")
    from simulator.cloud import Cloud
    from simulator.events import EventLog
    from simulator.following import Following
    from simulator.luck import Luck
    from simulator.reporting import result_of_plan

    luck = Luck(chance, plan.problem, seed, run) if chance is not None else None
    cloud = Cloud(plan.problem, luck, EventLog() if events else None)
    driver = Following(plan, cloud, early=early)
    reason = cloud.run(driver, limit_s)
    return result_of_plan(cloud, driver, reason)


def check_plan_playable(plan: Plan) -> None:
    """Refuse a plan that cannot be played, so that the engine always comes to an end."""
    w, where = plan.problem.workflow, f"plan for workflow {plan.problem.workflow.name!r}"
    tasks = (plan.task_lease, plan.task_start_s, plan.task_end_s)
    if any(column.shape != (len(w),) for column in tasks):
        raise InputError(
            f"{where}: expected one lease, start and end for each of its {len(w)} tasks, got "
            f"{', '.join(str(column.size) for column in tasks)}; is it another workflow's plan?"
        )
    leases = (plan.lease_type, plan.lease_start_s, plan.lease_end_s)
    if any(column.shape != (plan.n_leases,) for column in leases):
        raise InputError(
            f"{where}: expected one type, start and end for each lease, got "
            f"{', '.join(str(column.size) for column in leases)}"
        )
    _check_index(where, "task", "lease", plan.task_lease, plan.n_leases)
    _check_index(where, "lease", "instance type", plan.lease_type, len(plan.problem.catalog))
    times = {
        "start of task": plan.task_start_s,
        "start of lease": plan.lease_start_s,
        "end of lease": plan.lease_end_s,
    }
    for what, column in times.items():
        if not np.isfinite(column).all():
            i = int(np.argmin(np.isfinite(column)))
            raise InputError(
                f"{where}: {what} number {i}: expected a finite time in seconds, got {column[i]!r}"
            )
    _check_fit(where, plan)


def _check_index(where: str, what: str, names: str, column: np.ndarray, known: int) -> None:
    bad = (column < 0) | (column >= known)
    if bad.any():
        i = int(np.argmax(bad))
        raise InputError(
            f"{where}: {what} number {i}: expected the number of one of the {known} {names}s, "
            f"got {int(column[i])}"
        )


def _check_fit(where: str, plan: Plan) -> None:
    problem, w = plan.problem, plan.problem.workflow
    kind = plan.lease_type[plan.task_lease]
    fits = (
        (w.vcpus <= problem.catalog.vcpus[kind])
        & (w.memory_bytes <= problem.catalog.memory_bytes[kind])
        & (w.gpus <= problem.catalog.gpus[kind])
    )
    if problem.durations_s is not None:
        given = problem.durations_s[np.arange(len(w)), kind]
        fits &= np.isfinite(given) & (given >= 0)
    if not fits.all():
        i = int(np.argmin(fits))
        raise InputError(
            f"{where}: task {str(w.ids[i])!r} could never start on lease {plan.task_lease[i]}: "
            f"it does not fit {problem.catalog.names[kind[i]]!r}; give it a larger instance type"
        )
