"""The compiled replay: thousands of replications of a fixed plan, with the engine's own numbers.

:func:`replicate` plays a plan many times and returns one row of figures a run. It takes the
compiled kernel where that knows all sources of chance that are on, and the engine elsewhere; both
follow the rule of :mod:`simulator.following` with the same draws, so that a row is the same
whoever played it. A run in which something may have to be given up is left to the engine, which
says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.units import TIME_TOL_S
from simulator.chance import Chance
from simulator.following import holds_s, phases_s, plan_keys
from simulator.luck import Draws, keys_of
from simulator.machine import LOST, MOST_MACHINES
from simulator.running import check_plan_playable, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from autoscale.model.arrays import FloatArray
    from autoscale.plan.plan import Plan
    from simulator.records import SimulationResult

FIGURES = (
    "cost_usd",
    "makespan_s",
    "attempts",
    "machines",
    "lost_machines",
    "busy_vcpu_s",
    "leased_vcpu_s",
    "wait_parents_s",
    "wait_boot_s",
    "wait_order_s",
    "wait_capacity_s",
    "rerun_s",
    "compute_s",
    "transfer_s",
)
"""Figures of a run. Lost machines are those that failed or were interrupted; vCPU-seconds are as in
the records. The last seven are sums over tasks, against the plan: seconds by which tasks
started later for each reason, between their first start and the one that succeeded, and by which
their computation and their transfers took longer (negative: shorter)."""

NEVER = math.inf
_FAMILY_OFF = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Replications:
    """What happened in many runs of a plan, one row a run.

    Parameters
    ----------
    plan
        What was played.
    figures
        Shape (runs, figures), columns as in :data:`FIGURES`. A run that was given up has an
        infinite makespan and costs what was spent until then.
    reasons
        Why runs were given up, by run.
    wanted
        How many runs were asked for; there are fewer after an interruption or an early stop.
    interrupted
        Whether Ctrl-C ended them.
    """

    plan: Plan
    figures: FloatArray
    reasons: dict[int, str] = field(default_factory=dict)
    wanted: int
    interrupted: bool = False

    def __len__(self) -> int:
        return int(self.figures.shape[0])

    def __getitem__(self, name: str) -> FloatArray:
        column: FloatArray = self.figures[:, FIGURES.index(name)]
        return column

    def to_frame(self) -> pd.DataFrame:
        """Return one row a run: its figures and, where it was given up, why."""
        import pandas as pd

        frame = pd.DataFrame(self.figures, columns=list(FIGURES)).rename_axis("run").reset_index()
        for name in ("attempts", "machines", "lost_machines"):
            frame[name] = frame[name].astype(np.int64)
        frame["reason"] = [self.reasons.get(run, "") for run in range(len(self))]
        return frame


def kernel_knows(chance: Chance) -> bool:
    """Return whether the compiled kernel knows all sources of chance that are on."""
    network, spot = chance.network, chance.spot
    shared = network is not None and (network.sharing != "fixed" or network.cache)
    return not shared and not (spot is not None and spot.markets)


class Kernel:
    """A plan and its chance, laid out for the compiled kernel.

    Parameters
    ----------
    plan
        A plan that can be played.
    chance
        Sources that the kernel knows.
    seed
        Which luck.
    early
        Start tasks before their planned start where all else allows it.
    """

    def __init__(self, plan: Plan, chance: Chance, seed: int, *, early: bool = False) -> None:
        self.plan = plan
        w, problem = plan.problem.workflow, plan.problem
        n = len(w)
        order = np.lexsort((np.arange(n), plan_keys(plan)))
        fetch_s, compute_s, store_s = phases_s(problem, plan.lease_type[plan.task_lease])
        duration_s = fetch_s + compute_s + store_s
        need = np.stack([w.vcpus, w.memory_bytes, w.gpus], axis=1).astype(np.int64)
        need[duration_s <= TIME_TOL_S] = 0
        self._columns = (
            order,
            plan.task_lease[order].astype(np.int64),
            np.ascontiguousarray(plan.task_start_s[order], dtype=np.float64),
            np.full(n, -np.inf) if early else np.ascontiguousarray(plan.task_start_s[order]),
            fetch_s[order],
            compute_s[order],
            store_s[order],
            np.ascontiguousarray(need[order]),
            *_parents_in(order, plan),
            w.category.astype(np.int64),
        )
        self._leases = self._lease_columns(duration_s, need)
        self._luck = _coded(Draws.of(chance, problem.boot_s, seed))
        self._seed = seed
        self._rules = _rules(plan, chance)
        self._scratch = (
            np.empty(n),
            *(np.empty(n) for _ in range(3)),
            np.empty(len(w.categories)),
            np.empty(plan.n_leases, dtype=np.int64),
            np.empty(plan.n_leases),
        )
        self._spots = _is_spot(plan, chance)
        self._grow(2 * plan.n_leases + 64)

    def reseed(self, seed: int) -> None:
        """Take another luck; what is laid out of the plan stays."""
        if seed != self._seed:
            self._luck = (keys_of(seed), *self._luck[1:])
            self._seed = seed

    def _lease_columns(self, duration_s: FloatArray, need: Any) -> tuple[Any, ...]:
        plan = self.plan
        catalog = plan.problem.catalog
        capacity = np.stack(
            [catalog.vcpus, np.floor(catalog.memory_bytes), catalog.gpus], axis=1
        ).astype(np.int64)[plan.lease_type]
        tasks = np.bincount(plan.task_lease, minlength=plan.n_leases)
        holding = np.bincount(plan.task_lease[need[:, 0] > 0], minlength=plan.n_leases)
        price = np.array([t.price_usd_per_hour for t in catalog.types])[plan.lease_type]
        return (
            np.ascontiguousarray(capacity),
            np.ascontiguousarray(plan.lease_start_s, dtype=np.float64),
            holds_s(plan, duration_s),
            np.ascontiguousarray(plan.lease_end_s, dtype=np.float64),
            price,
            tasks,
            np.minimum(capacity[:, 0], holding),
        )

    def _grow(self, machines: int) -> None:
        """Make room for so many machines in a run."""
        room = int(self._leases[6].max(initial=0))
        ends = min(int(self._leases[6].sum()) + machines * room, 64 * machines + 8 * room)
        ends = max(ends, int(self._leases[6].sum()) * machines // max(1, self.plan.n_leases))
        self._pool = (np.empty((machines, 10)), np.empty((machines, 5), dtype=np.int64))
        self._heap = (
            np.empty(ends + room),
            np.empty(ends + room, dtype=np.int64),
            np.zeros(machines, dtype=np.int64),
            np.empty(machines, dtype=np.int64),
            np.empty((machines, 3), dtype=np.int64),
        )

    def play(self, run: int, times: FloatArray | None = None) -> FloatArray | None:
        """Play one run and return its figures, or None where the engine must decide.

        Parameters
        ----------
        run
            Number of the replication, >= 0.
        times
            Shape (tasks, 3), filled with first start, start and end of each task; or None.
        """
        from simulator import kernels

        out = np.empty(len(FIGURES))
        if times is None:
            times = np.empty((0, 3))
        capacity, start, hold, end, price, tasks, room = self._leases
        leases = (capacity, start, hold, end, price, tasks, self._spots, room)
        while True:
            ending = kernels.replay(
                run, self._columns, leases, self._luck, self._rules, self._pool, self._heap,
                self._scratch, out, times,
            )  # fmt: skip
            if ending == kernels.OK:
                return out
            if ending == kernels.UNDECIDED:
                return None
            self._grow(2 * self._pool[0].shape[0])


def _parents_in(order: Any, plan: Plan) -> tuple[Any, Any]:
    """Return the parents' CSR with tasks numbered by their place in ``order``."""
    w = plan.problem.workflow
    place = np.empty(len(w), dtype=np.int64)
    place[order] = np.arange(len(w))
    counts = np.diff(w.parent_ptr)[order]
    ptr = np.zeros(len(w) + 1, dtype=np.int64)
    np.cumsum(counts, out=ptr[1:])
    within = np.arange(ptr[-1]) - np.repeat(ptr[:-1], counts)
    taken = np.repeat(w.parent_ptr[:-1][order], counts) + within
    return ptr, place[w.parents[taken]]


def _coded(draws: Draws) -> tuple[Any, ...]:
    """Return the draws as arrays; a stream without a distribution always draws infinity."""
    family, figures, ptr = [], [], [0]
    p: list[float] = []
    v: list[float] = []
    for coded in draws.coded:
        family.append(coded.family if coded else _FAMILY_OFF)
        figures.append(coded.figures if coded else (NEVER, 0.0, 0.0))
        if coded:
            p.extend(coded.probabilities)
            v.extend(coded.values)
        ptr.append(len(p))
    tables = (np.array(ptr, dtype=np.int64), np.array(p, dtype=float), np.array(v, dtype=float))
    return draws.keys, np.array(family, dtype=np.int64), np.array(figures), *tables


def _rules(plan: Plan, chance: Chance) -> FloatArray:
    boot, failure, billing = chance.boot_failure, chance.task_failure, plan.problem.billing
    return np.array(
        [
            boot.probability if boot else 0.0,
            boot.detect_s if boot else 0.0,
            float(boot.billed) if boot else 1.0,
            boot.attempts if boot else 0.0,
            failure.probability if failure else 0.0,
            chance.spot.notice_s if chance.spot else 0.0,
            failure.retries if failure else 0.0,
            billing.quantum_s,
            billing.minimum_s,
            MOST_MACHINES,
        ],
        dtype=np.float64,
    )


def _is_spot(plan: Plan, chance: Chance) -> Any:
    spot = chance.spot
    bought = np.array([t.purchase == "spot" for t in plan.problem.catalog.types])
    kinds = bought | (spot.everything if spot else False)
    return kinds[plan.lease_type] & (spot is not None)


def figures_of(plan: Plan, result: SimulationResult) -> FloatArray:
    """Return the figures of a run of the engine, in the order of :data:`FIGURES`."""
    tasks = result.tasks
    kinds = plan.lease_type[plan.task_lease]
    fetch_s, compute_s, store_s = phases_s(plan.problem, kinds)
    late = {
        "cost_usd": result.cost_usd,
        "makespan_s": result.makespan_s,
        "attempts": tasks.attempts.sum(),
        "machines": result.n_leases,
        "lost_machines": np.isin(result.leases.outcome, LOST).sum(),
        "busy_vcpu_s": result.leases.busy_vcpu_s.sum(),
        "leased_vcpu_s": result.leased_vcpu_s.sum(),
        "wait_parents_s": np.nansum(tasks.wait_parents_s),
        "wait_boot_s": np.nansum(tasks.wait_boot_s),
        "wait_order_s": np.nansum(tasks.wait_order_s),
        "wait_capacity_s": np.nansum(tasks.wait_capacity_s),
        "rerun_s": np.nansum(tasks.rerun_s),
        "compute_s": np.nansum(tasks.compute_s - compute_s),
        "transfer_s": np.nansum(tasks.fetch_s + tasks.store_s - fetch_s - store_s),
    }
    return np.array([float(late[name]) for name in FIGURES])


def replicate(
    plan: Plan,
    chance: Chance | None = None,
    *,
    runs: int = 1000,
    seed: int = 0,
    early: bool = False,
    stop: Callable[[FloatArray], bool] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Replications:
    """Play a plan many times under chance.

    Parameters
    ----------
    plan
        The plan, with its problem.
    chance
        What may go otherwise than planned; nothing if None.
    runs
        How many replications, >= 1. Run ``r`` is ``simulate(plan, chance, seed=seed, run=r)``.
    seed
        Which luck, >= 0.
    early
        Start tasks before their planned start where all else allows it.
    stop
        Called with the figures so far, at run counts that grow by a tenth each time; True ends.
    on_progress
        Called with the number of runs so far.

    Returns
    -------
    Replications
        Ctrl-C ends early: the runs until then are returned.

    Raises
    ------
    InputError
        No runs, a plan that cannot be played, a negative seed.
    """
    if not runs >= 1 or int(runs) != runs:
        raise InputError(f"runs: expected a whole number >= 1, got {runs!r}")
    check_plan_playable(plan)
    chance = chance if chance is not None else Chance()
    kernel = Kernel(plan, chance, seed, early=early) if kernel_knows(chance) else None
    figures = np.empty((runs, len(FIGURES)))
    reasons: dict[int, str] = {}
    done, look, interrupted = 0, 100, False
    try:
        while done < runs:
            row = kernel.play(done) if kernel is not None else None
            if row is None:
                result = simulate(plan, chance, seed=seed, run=done, early=early)
                row = figures_of(plan, result)
                if result.reason is not None:
                    reasons[done] = result.reason
            figures[done] = row
            done += 1
            if done == look:
                look += max(1, look // 10)
                if stop is not None and stop(figures[:done]):
                    break
            if on_progress is not None:
                on_progress(done)
    except KeyboardInterrupt:
        if done == 0:
            raise
        interrupted = True
    return Replications(
        plan=plan,
        figures=figures[:done],
        reasons=reasons,
        wanted=runs,
        interrupted=interrupted,
    )
