"""Starts from fleets: numbers of machines of a few types, there from the beginning.

A list schedule opens leases one by one, each for the task at hand, and where many short tasks wait
for the same barriers it opens too many: whoever comes late gets a machine of its own. Here the
machines come first: so many of a type, every task where it ends first, and a new machine only for
what would be late for its target. The numbers are those of one type, or what a relaxation rents
and more; they and the way to share slack are then changed again and again in a compiled climb.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.model.arrays import frozen
from autoscale.optimize.portfolio import Offer, Start, preferred_types, share_of_work, stages
from autoscale.plan.decode import capacities, decode, needs, tighten
from autoscale.schedulers.list_scheduler import Setting, lateness_s, new_type_order

if TYPE_CHECKING:
    from autoscale.lp.bound import Bound
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

MACHINES_A_SECOND = 1e7
"""Nominal speed: machines looked at per second."""

SURELY = 0.3
"""Part of the nominal speed that there is in any case."""

STEP = 1.2
"""Numbers of machines that are tried of a type grow by this factor."""

MORE = np.array([1, 1.15, 1.3, 1.5, 1.75, 2, 2.4, 2.8, 3.4, 4, 5, 6.5, 8, 10])
"""Times the numbers of machines that the relaxation rents that are tried."""

HARDLY = 0.02
"""Machines of a type below which the relaxation hardly rents it."""

SCAN = 0.3
"""Part of the effort that these may take before the best of them is changed."""

CLIMBS = 2
"""Fleets from which a climb starts."""


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """A plan on a fleet.

    Parameters
    ----------
    start
        The plan.
    kinds, counts
        Types, and how many machines of each were there from the beginning.
    """

    start: Start
    kinds: IntArray
    counts: IntArray


def fleets_of_one_type(
    problem: Problem, *, cost_usd: float, effort_s: float, clock_limit_s: float
) -> list[Fleet]:
    """Return the best fleet of each type worth preferring, cheapest first.

    Parameters
    ----------
    problem
        With a deadline and without quotas.
    cost_usd
        Only plans that cost less are of interest.
    effort_s
        Effort in nominal seconds.
    clock_limit_s
        Reading of ``time.perf_counter()`` after which nothing further is begun.
    """
    kinds = np.array(preferred_types(problem), dtype=np.int64)
    left = effort_s * MACHINES_A_SECOND
    found = []
    for a in range(kinds.size):
        if time.perf_counter() > clock_limit_s or left <= 0:
            break
        sizes = _sizes(problem, kinds, a)
        # The first types are the cheapest: they may take half of what is left.
        fleet, work = _search(problem, kinds, sizes, 0.5 * left, cost_usd, clock_limit_s)
        left -= work
        found += [fleet] if fleet is not None else []
    return sorted(found, key=_cost)


def climb(
    fleets: list[Fleet], *, seed: int, effort_s: float, cost_usd: float, clock_limit_s: float
) -> list[Fleet]:
    """Return what changing the best fleets leads to.

    Parameters
    ----------
    fleets
        Cheapest first.
    seed
        Seed of the climbs.
    effort_s, cost_usd, clock_limit_s
        See :func:`fleets_of_one_type`.
    """
    found = []
    part = effort_s * MACHINES_A_SECOND / max(1, len(fleets[:CLIMBS]))
    for number, begun in enumerate(fleets[:CLIMBS]):
        if time.perf_counter() > clock_limit_s:
            break
        problem, counts = begun.start.plan.problem, begun.counts[None, :]
        fleet, _ = _search(
            problem, begun.kinds, counts, part, cost_usd, clock_limit_s, climb_seed=seed + number
        )  # fmt: skip
        found += [fleet] if fleet is not None else []
    return sorted(found, key=_cost)


def guided_fleets(
    problem: Problem, bound: Bound, *, seed: int, cost_usd: float, effort_s: float,
    clock_limit_s: float,
) -> list[Fleet]:  # fmt: skip
    """Return what the relaxation's fleet leads to: the numbers of machines that it rents, and more.

    The relaxation knows which types belong together, which fleets of one type do not: some cheap
    ones for the bulk, one with a fast network for what collects it. It is a fluid, though, and
    needs fewer machines than a plan.

    Parameters
    ----------
    problem
        With a deadline.
    bound
        With its relaxation.
    seed, effort_s, cost_usd, clock_limit_s
        See :func:`climb`.
    """
    fleet, x = bound.best.fleet, bound.best.x
    if fleet is None or x is None or problem.quotas:
        return []
    opened = np.minimum(x[fleet.opened], len(problem.workflow))  # a solver may err
    chosen = opened > HARDLY
    kinds = fleet.types.index[chosen].astype(np.int64)
    counts = np.ceil(MORE[:, None] * opened[chosen] - HARDLY).astype(np.int64)
    counts = np.unique(np.clip(counts, 1, len(problem.workflow)), axis=0)
    counts = counts[np.argsort(counts.sum(axis=1), kind="stable")]
    part = SCAN * effort_s * MACHINES_A_SECOND
    found, _ = _search(problem, kinds, counts, part, cost_usd, clock_limit_s)
    if found is None:
        return []
    climbed = climb(
        [found], seed=seed, effort_s=(1 - SCAN) * effort_s, cost_usd=cost_usd,
        clock_limit_s=clock_limit_s,
    )  # fmt: skip
    return sorted([found, *climbed], key=_cost)


def _cost(fleet: Fleet) -> float:
    return fleet.start.plan.cost_usd


def _sizes(problem: Problem, kinds: IntArray, a: int) -> IntArray:
    """Return fleets of one type: from as many as the work needs to as many as it can use."""
    k, w = int(kinds[a]), problem.workflow
    duration = np.where(np.isfinite(problem.duration_s[:, k]), problem.duration_s[:, k], 0.0)
    work = float((duration[problem.task_class] * w.vcpus).sum())
    vcpus = int(problem.catalog.vcpus[k])
    window = max((problem.deadline_s or 0.0) - problem.boot_s, 1e-9)
    few = max(1.0, work / (window * vcpus))
    most = max(few, float(np.bincount(w.level, weights=w.vcpus).max()) / vcpus)
    steps = int(np.log(most / few) / np.log(STEP)) + 2
    sizes = np.unique(np.minimum(np.ceil(few * STEP ** np.arange(steps)), np.ceil(most)))
    fleets = np.zeros((sizes.size, kinds.size), dtype=np.int64)
    fleets[:, a] = sizes
    return fleets


def _search(
    problem: Problem,
    kinds: IntArray,
    counts: IntArray,
    work_limit: float,
    cost_usd: float,
    clock_limit_s: float,
    *,
    climb_seed: int | None = None,
) -> tuple[Fleet | None, float]:
    """Return the best over some fleets and, with a seed, a climb from them; and the work done."""
    from autoscale.optimize.fleets import kernels

    w, billing, stage = problem.workflow, problem.billing, stages(problem)
    # What ends by then on a slow or busy machine too: a compiled search does not read the clock.
    surely = SURELY * MACHINES_A_SECOND * max(0.0, clock_limit_s - time.perf_counter())
    cost, task_lease, lease_type, start, best, work = kernels.fleet_search(
        climb_seed or 0,
        min(work_limit, surely),
        cost_usd,
        climb_seed is not None,
        counts,
        kinds,
        _bases(problem, stage),
        stage,
        int(stage.max()) + 1,
        problem.task_class,
        problem.duration_s,
        problem.fastest_s,
        new_type_order(problem, Setting()),
        *(w.parent_ptr, w.parents, w.child_ptr, w.children),
        *(needs(problem), capacities(problem), problem.catalog.price_per_s),
        *(problem.boot_s, billing.quantum_s, billing.minimum_s, problem.deadline_s),
    )
    if not cost < cost_usd:
        return None, work
    plan = plan_on(problem, task_lease, lease_type, start)
    if lateness_s(plan):
        return None, work
    return Fleet(Start(plan, Setting(), None, Offer.whole(problem)), kinds, best), work


def _bases(problem: Problem, stage: Any) -> FloatArray:
    """Return ways to share slack: stages get time by their work, by its root, or as tasks take."""
    shortest = np.maximum(problem.fastest_s, 1e-9)
    share = share_of_work(problem, stage)
    return np.stack([share / shortest, np.sqrt(share) / shortest, np.ones(stage.size)])


def plan_on(problem: Problem, task_lease: Any, lease_type: Any, start: FloatArray) -> Plan:
    """Return the plan without the machines that have nothing to do."""
    used, number = np.unique(task_lease, return_inverse=True)
    order = np.lexsort((np.arange(start.size), start))
    kinds, lease = frozen(lease_type[used], np.int32), frozen(number, np.int32)
    return tighten(decode(problem, kinds, lease, order, not_before_s=start))
