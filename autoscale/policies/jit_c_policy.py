"""JIT-C: what is ready goes just in time to the cheapest lease that ends it by its latest finish.

Sahni and Vidyarthi, IEEE Transactions on Cloud Computing 6(1), 2018. Chains are bundled. Every task
that becomes ready goes to a running lease that ends it in time within what is paid for, else to the
running lease with the least extra charge, else to a new lease of the cheapest type that is in time,
boot included, else to where it ends first. Latest finishes leave room for what follows on the
fastest types, and for a boot. Idle leases are given back at the end of what is paid for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from autoscale.model import graph
from autoscale.policies.about import About
from autoscale.policies.autoscaler import Autoscaler
from autoscale.policies.lanes import lanes, new_lane
from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, Int32Array
    from autoscale.policies.about import Terms
    from autoscale.policies.dispatching import Key
    from autoscale.policies.fleet import Fleet
    from autoscale.policies.lanes import Lane
    from autoscale.policies.protocol import ClusterState
    from autoscale.policies.work import OpenJob

ABOUT = About(
    aim="deadlines",
    summary="what is ready goes at once to the cheapest lease that ends it by its latest finish",
    source="Sahni and Vidyarthi, IEEE TCC 6(1), 2018 (JIT-C)",
    reconstruction=(
        "steps from the abstract and memory; latest finishes leave room for one boot in place of "
        "looking a tick ahead; jobs that cannot be in time are not rejected but run at once"
    ),
)


class JitC(Autoscaler):
    """JIT-C for one run."""

    name = "jit-c"

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._latest_s: dict[int, FloatArray] = {}
        self._bundle: dict[int, Int32Array] = {}

    def look(self, state: ClusterState) -> None:
        """Bundle the chains of new jobs and find their latest finishes."""
        from autoscale.policies.subdeadlines import kernels

        for job in self.work.ended:
            self._latest_s.pop(job.number, None)
            self._bundle.pop(job.number, None)
        for job in self.work.arrived:
            w, of = job.problem.workflow, job.problem.task_class
            fastest = job.table_s.min(axis=1)[of]
            tail_s = graph.tail_s(w, fastest)
            boot_s = np.where(tail_s > 0, job.problem.boot_s, 0.0)
            self._latest_s[job.number] = job.due_s - tail_s - boot_s
            # Bundled are chains of tasks that fit the same types.
            shape = np.unique(np.isfinite(job.table_s), axis=0, return_inverse=True)[1].reshape(-1)
            self._bundle[job.number], _ = kernels.bundle_of(
                w.parent_ptr, w.parents, w.child_ptr, shape[of]
            )

    def key(self, job: OpenJob, i: int) -> Key:
        """Return the latest finish."""
        return (float(self._latest_s[job.number][i]),)

    def types_of(self, job: OpenJob, i: int) -> list[int]:
        """Return the types that a task fits."""
        return np.flatnonzero(np.isfinite(job.table_s[job.cls[i]])).tolist()

    def wanted(self, state: ClusterState, fleet: Fleet) -> list[int]:
        """Return none: what is idle at the end of what is paid for goes."""
        return [0] * len(state.catalog)

    def awake(self, state: ClusterState) -> bool:
        """Return no: what is ready is placed at once, and nothing else is thought of."""
        return False

    def decide(self, state: ClusterState, fleet: Fleet) -> tuple[list[tuple[int, int]], list[int]]:
        """Place all that is ready, on new leases where no other is in time."""
        assignments: list[tuple[int, int]] = []
        launches: list[int] = []
        if not self.work.fresh:
            return assignments, launches
        held = lanes(state, self.work, self.problem.boot_s)
        assert self.quotas is not None
        for job, i in sorted(self.work.fresh, key=lambda x: (*self.key(*x), x[0].first + x[1])):
            lane, kind = self._choose(state, held, job, i)
            if lane is None and not self.quotas.grant([kind], _counts(state, launches)):
                lane = self._soonest(held, job, i)
                if lane is None:
                    # Nothing fits and nothing may be launched: it is ready afresh at the next call.
                    job.placed(i)
                    continue
            if lane is None:
                lane = new_lane(state, kind, len(launches), self.problem.boot_s)
                held.append(lane)
                launches.append(kind)
            lane.add(job, i, job.duration_s(i, lane.type))
            job.placed(i)
            assignments.append((job.first + i, lane.number))
            if lane.number in fleet.room_of:
                fleet.room_of[lane.number].used = True
        return assignments, launches

    def _choose(
        self, state: ClusterState, held: list[Lane], job: OpenJob, i: int
    ) -> tuple[Lane | None, int]:
        """Return the lease for a task; None and a type for a new one."""
        rest = self._rest_s(job, i)
        latest_s = float(self._latest_s[job.number][i]) + float(rest.min())
        latest_s -= float(job.table_s[job.cls[i]].min())
        best, best_key = None, (math.inf, math.inf, 0)
        for lane in held:
            if not math.isfinite(rest[lane.type]):
                continue
            end_s = lane.start_s(job, i) + float(rest[lane.type])
            if end_s <= latest_s + TIME_TOL_S:
                key = (self._extra_usd(state, lane, end_s), end_s, lane.number)
                if key < best_key:
                    best, best_key = lane, key
        if best is not None:
            return best, best.type
        kind = self._new_type(state, rest, latest_s)
        soonest = self._soonest(held, job, i)
        if soonest is not None and not state.now_s + self.problem.boot_s + rest[kind] <= latest_s:
            end_s = soonest.start_s(job, i) + float(rest[soonest.type])
            if end_s <= state.now_s + self.problem.boot_s + float(rest[kind]) + TIME_TOL_S:
                return soonest, soonest.type
        return None, kind

    def _rest_s(self, job: OpenJob, i: int) -> FloatArray:
        """Return how long a task and what follows in its bundle take on each type."""
        w, bundle = job.problem.workflow, self._bundle[job.number]
        out: FloatArray = job.table_s[job.cls[i]].copy()
        while True:
            below = w.children_of(i)
            if below.size != 1 or bundle[below[0]] != bundle[i]:
                return out
            i = int(below[0])
            out += job.table_s[job.cls[i]]

    def _extra_usd(self, state: ClusterState, lane: Lane, end_s: float) -> float:
        """Return what it costs more to hold a lease until a task ends, to the nearest 1e-9."""
        billed_s, since_s = self.problem.billing.billed_s, lane.requested_s
        more_s = billed_s(max(end_s, lane.busy_until_s) - since_s)
        more_s -= billed_s(lane.busy_until_s - since_s)
        return round(more_s * float(state.catalog.price_per_s[lane.type]), 9)

    def _new_type(self, state: ClusterState, rest: FloatArray, latest_s: float) -> int:
        """Return the cheapest type on which a new lease is in time, else the fastest."""
        held_s = rest + self.problem.boot_s
        in_time = state.now_s + held_s <= latest_s + TIME_TOL_S
        if not in_time.any():
            return int(np.argmin(rest))
        usable = np.where(in_time, held_s, 0.0)
        usd = self.problem.billing.billed_array_s(usable) * state.catalog.price_per_s
        return int(np.lexsort((rest, np.where(in_time, usd, np.inf)))[0])

    def _soonest(self, held: list[Lane], job: OpenJob, i: int) -> Lane | None:
        """Return the held lease on which a task ends first; None if it fits none."""
        ends = [
            (lane.start_s(job, i) + job.duration_s(i, lane.type), lane.number, lane)
            for lane in held
            if math.isfinite(job.duration_s(i, lane.type))
        ]
        return min(ends, key=lambda x: x[:2])[2] if ends else None


def _counts(state: ClusterState, launches: list[int]) -> list[int]:
    out = [0] * len(state.catalog)
    for kind in [*(lease.type for lease in state.leases), *launches]:
        out[kind] += 1
    return out


def make(terms: Terms) -> JitC:
    """Return JIT-C for one run."""
    return JitC(terms)
