"""From a sequence of moves to a plan: how far to go, with what plans really cost.

LOSS and GAIN stop where the sum of what the tasks cost meets the budget. Under the execution
model that sum is not what a plan costs. So every assignment on the way stands for a plan: its
tasks are packed onto leases on which they run no slower than on their types, each between when its
parents end and when it must end for the makespan of the assignment. The way is searched for the
place where the plan's own cost meets the budget. In the papers' model the two are the same.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.model import graph
from autoscale.plan.decode import tighten
from autoscale.schedulers.budgeted.listing import (
    ENDLESS_USD,
    TOLERANCE,
    Offer,
    cheapest_pass,
    one_machine,
)
from autoscale.schedulers.list_scheduler import Setting, list_plan, slack_weights
from autoscale.units import COST_TOL_USD

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, Int32Array
    from autoscale.model.problem import Problem
    from autoscale.plan.plan import Plan

LARGE_TASKS = 2_000
"""From this many tasks on, fewer places on the way are tried."""

TRIES, FEW_TRIES = 24, 3
"""Places tried, and horizons tried beyond the cheap end."""

STRETCH, WIDE_STRETCH, STRETCHES = 2.0, 4.0, 12
"""What the horizon is multiplied by, and how often at most, where the cheapest types are too dear;
the greater factor is for large workflows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Assignments from dear and quick to cheap and slow, or back.

    Parameters
    ----------
    given
        What the tasks may run on.
    start
        Where each task begins, as a position in its row of types.
    task, to
        The moves.
    gain
        Whether the way leads from cheap to quick.
    """

    given: Offer
    start: Int32Array
    task: Int32Array
    to: Int32Array
    gain: bool

    def __len__(self) -> int:
        return int(self.task.size)

    def types_after(self, count: int) -> Any:
        """Return each task's type after so many moves."""
        from autoscale.schedulers.budgeted.moves import kernels

        position = kernels.positions_after(self.start, self.task, self.to, count)
        return self.given.types[self.given.problem.task_class, position]

    def estimate_usd(self) -> FloatArray:
        """Return the sum of the tasks' shares after 0, 1, ... moves."""
        cls = self.given.problem.task_class
        before = np.array(self.start)
        change = np.empty(len(self))
        for y, (i, to) in enumerate(zip(self.task.tolist(), self.to.tolist(), strict=True)):
            row = self.given.type_usd[cls[i]]
            change[y] = row[to] - row[before[i]]
            before[i] = to
        first = float(self.given.type_usd[cls, self.start].sum())
        return first + np.concatenate([[0.0], np.cumsum(change)])

    def plan_after(self, count: int, stretch: float = 1.0) -> Plan:
        """Return the plan after so many moves, its makespan as many times what it could be."""
        return assignment_plan(self.given, self.types_after(count), stretch)


def assignment_plan(given: Offer, types: Any, stretch: float = 1.0) -> Plan:
    """Return the plan in which each task runs on its type or a quicker one, on few leases.

    A quicker type is of use only where others have left room on a lease of it.

    Parameters
    ----------
    given
        What the tasks may run on.
    types
        Catalogue index of each task's type, shape (tasks,).
    stretch
        The makespan may be so many times what the types allow.
    """
    problem = given.problem
    seconds = problem.durations_on(types)
    table = problem.duration_s[problem.task_class]
    allowed = np.where(table <= seconds[:, None] * (1 + TOLERANCE), table, np.inf)
    length = graph.critical_path_s(problem.workflow, seconds)
    narrowed = problem.replace(
        # A little room for rounding: the targets leave critical tasks none.
        deadline_s=problem.boot_s + stretch * length + 1e-9 * (1.0 + length),
        budget_usd=None,
        durations_s=allowed,
    )
    weights = slack_weights(narrowed)
    if len(seconds) >= LARGE_TASKS:
        weights = weights[1:2]
    plans = [
        list_plan(narrowed, _targets_s(narrowed, seconds, weight), Setting()) for weight in weights
    ]
    best = min(plans, key=lambda plan: plan.cost_usd)
    if len(seconds) < LARGE_TASKS:  # a third of the time, for little
        best = tighten(best)
    return best.replace(problem=problem)


def _targets_s(problem: Problem, seconds: FloatArray, weight: FloatArray | None) -> FloatArray:
    """Return when each task should end if it takes so long; see ``list_scheduler.targets_s``."""
    from autoscale.schedulers import kernels

    w, deadline = problem.workflow, problem.deadline_s or 0.0
    if weight is None:
        return graph.latest_finish_s(w, seconds, deadline)
    tail: FloatArray = kernels.share_slack(
        w.child_ptr, w.children, seconds, weight, deadline - problem.boot_s
    )
    return deadline - tail


def plan_on_the_way(way: Way, *, time_limit_s: float = math.inf) -> Plan:
    """Return the plan where the budget is met; see :func:`_searched`."""
    problem = way.given.problem
    plan = _searched(way, time_limit_s)
    settled = tighten(plan.replace(problem=problem.replace(deadline_s=None)))
    return settled.replace(problem=problem)


def _searched(way: Way, time_limit_s: float) -> Plan:
    """Return the plan nearest the quick end whose cost is within the budget.

    Beyond the cheap end the tasks get more time, to share fewer leases; if nothing is within the
    budget, the cheapest plan of all is returned.

    Parameters
    ----------
    way
        The assignments to look through.
    time_limit_s
        Seconds after which no further plan is made.
    """
    ends = time.perf_counter() + time_limit_s
    problem = way.given.problem
    budget = ENDLESS_USD if problem.budget_usd is None else problem.budget_usd + COST_TOL_USD
    estimate = way.estimate_usd() if not way.gain else way.estimate_usd()[::-1]

    def plan_at(place: int) -> Plan:
        return way.plan_after(len(way) - place if way.gain else place)

    if estimate[0] <= 2.0 * budget:  # beyond, the quick end is out of reach
        quick = plan_at(0)
        if quick.cost_usd <= budget:
            return quick
    cheap = last = plan_at(len(way))
    if cheap.cost_usd > budget:
        return _stretched(way, cheap, budget, ends)
    tries = TRIES if len(problem.workflow) < LARGE_TASKS else FEW_TRIES
    low, high, best, at = 0, len(way), cheap, len(way)
    for number in range(tries):
        if high - low <= 1 or time.perf_counter() > ends:
            break
        # Where the estimate, corrected by what the last plan cost, meets the budget.
        wanted = budget * estimate[at] / last.cost_usd
        guess = int(np.searchsorted(-estimate, -wanted))
        at = (low + high) // 2 if number % 3 == 2 else min(max(guess, low + 1), high - 1)
        last = plan_at(at)
        if last.cost_usd <= budget:
            high = at
            # Of equally quick plans the nearest to the quick end, where the papers stop.
            best = last if last.makespan_s <= best.makespan_s else best
        else:
            low = at
    return best


def _stretched(way: Way, cheap: Plan, budget_usd: float, ends: float) -> Plan:
    """Return the quickest plan on the cheapest types within the budget, or the cheapest found."""
    place = 0 if way.gain else len(way)
    factor = STRETCH if way.start.size < LARGE_TASKS else WIDE_STRETCH
    low, high, best = 1.0, 1.0, cheap
    for _ in range(STRETCHES):
        if best.cost_usd <= budget_usd or time.perf_counter() > ends:
            break
        low, high = high, factor * high
        best = min(best, way.plan_after(place, high), key=lambda plan: plan.cost_usd)
    if best.cost_usd > budget_usd:
        floor = min(best, cheapest_pass(way.given), key=lambda plan: plan.cost_usd)
        return floor if floor.cost_usd <= budget_usd else one_machine(way.given.problem, floor)
    for _ in range(FEW_TRIES):
        if time.perf_counter() > ends:
            break
        middle = math.sqrt(low * high)
        tried = way.plan_after(place, middle)
        if tried.cost_usd <= budget_usd:
            high = middle
            best = min(best, tried, key=lambda plan: plan.makespan_s)
        else:
            low = middle
    return best


EXACT_MOVES = 20_000
"""Up to so many possible moves, weights are renewed after every single one."""

ROUNDS = 64
"""Times that weights are renewed beyond that."""


def way_of(given: Offer, *, gain: bool, renewed: bool, enough_s: float = -math.inf) -> Way:
    """Return the way of LOSS2 (neither), LOSS3 (renewed) or GAIN (both).

    Parameters
    ----------
    given
        What the tasks may run on.
    gain
        From cheap to quick instead of from quick to cheap.
    renewed
        Whether weights are computed anew after every move; in batches beyond ``EXACT_MOVES``.
    enough_s
        GAIN's way ends where the critical path is no longer than that, seconds.
    """
    from autoscale.schedulers.budgeted.moves import kernels

    problem, types, share = given.problem, given.types, given.type_usd
    width = (types >= 0).sum(axis=1)[problem.task_class]
    if renewed:
        moves = int(width.sum()) - width.size
        batch = 1 if moves <= EXACT_MOVES else -(-moves // ROUNDS)
        if gain:
            task, to = kernels.renewed_gains(given.x, types, share, batch, enough_s)
        else:
            task, to = kernels.renewed_losses(given.x, types, share, batch)
    else:
        task, to = kernels.static_losses(given.x, types, share)
    start = (width - 1 if gain else np.zeros_like(width)).astype(np.int32)
    return Way(given=given, start=start, task=task, to=to, gain=gain)
