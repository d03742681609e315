"""Dispatch of ready tasks against a plain search over all leases."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as hs

from autoscale.policies.rolling.dispatch import Dispatch

COLUMNS = (4, 7)
"""Considered types, as indices into some catalogue."""

NOW_S, CAUTION, URGENT_S = 100.0, 0.1, 50.0


def cluster(rng: np.random.Generator, coarse: bool) -> tuple[Any, Any]:
    """Return a backlog of one job and a fleet of which many leases are alike."""
    n, n_leases = int(rng.integers(1, 12)), int(rng.integers(1, 9))
    expected = rng.integers(1, 60, (n, 2)).astype(float)
    expected[rng.random((n, 2)) < 0.1] = np.inf
    cost = expected * [1.0, 3.0]
    job = SimpleNamespace(
        view=SimpleNamespace(first=30),
        expected=expected,
        cost=cost,
        need=rng.integers([1, 1, 0], [3, 3, 2], (n, 3)).astype(float),
        due=NOW_S + rng.integers(0, 80, n),
        limit=rng.choice([30.0, 90.0, np.inf], n),
        end_estimate_s=np.full(n, np.nan),
    )
    keys = sorted((float(NOW_S + rng.integers(-30, 90)), 30 + i) for i in range(n))
    backlog = SimpleNamespace(columns=COLUMNS, ready=keys, running={}, job_of=lambda _: job)
    views, held = {}, {}
    for number in rng.permutation(50)[:n_leases].tolist():
        vcpus, memory, gpus = rng.integers(0, 4), rng.integers(1, 4), rng.integers(0, 2)
        views[number] = SimpleNamespace(
            number=number,
            type=COLUMNS[int(rng.integers(0, 2))],
            ready_s=None if rng.random() < 0.1 else 0.0,
            leaves_s=NOW_S + 9 if rng.random() < 0.1 else None,
            free_vcpus=int(vcpus),
            free_memory=float(memory),
            free_gpus=int(gpus),
        )
        held[number] = SimpleNamespace(paid_until_s=NOW_S + float(rng.choice([20.0, 45.0])))
    return backlog, SimpleNamespace(views=views, held=held, coarse=coarse)


def plain(backlog: Any, fleet: Any, renewable: set[int]) -> list[tuple[int, int]]:
    """Return the assignments if every ready task looks at every lease, again after a renewal."""
    job, kinds = backlog.job_of(0), [COLUMNS.index(v.type) for v in fleet.views.values()]
    room = {
        v.number: [v.free_vcpus, v.free_memory, v.free_gpus]
        for v in fleet.views.values()
        if v.ready_s is not None and v.leaves_s is None and v.free_vcpus > 0
    }
    ready, paid_s = list(backlog.ready), {m: held.paid_until_s for m, held in fleet.held.items()}
    out, refused = [], set()
    while True:
        tempted = set()
        for key, task in list(ready):
            i, ranks = task - 30, []
            fastest = min(job.expected[i][c] for c in set(kinds))
            for m, free in room.items():
                c = COLUMNS.index(fleet.views[m].type)
                takes_s = job.expected[i][c]
                end_s, on_time = NOW_S + takes_s, NOW_S + fastest <= job.due[i]
                calm = not fleet.coarse and key - URGENT_S > NOW_S
                if (
                    takes_s == np.inf
                    or (job.need[i] > free).any()
                    or (calm and job.cost[i][c] > job.limit[i])
                    or (end_s > job.due[i] and on_time and takes_s > 1.01 * fastest)
                ):
                    continue
                if fleet.coarse and NOW_S + takes_s * (1 + CAUTION) > paid_s[m]:
                    tempted.add(m)
                    continue
                ranks.append((max(0.0, end_s - job.due[i]), job.cost[i][c], free[0], m))
            if ranks:
                m = min(ranks)[3]
                room[m] = [f - n for f, n in zip(room[m], job.need[i], strict=True)]
                if room[m][0] <= 0:
                    del room[m]
                ready.remove((key, task))
                out.append((task, m))
        wanted = sorted(tempted - refused, key=lambda m: (paid_s[m], m))
        if not room or not ready or not set(wanted) & renewable:
            return out
        m = next(m for m in wanted if m in renewable)
        refused |= set(wanted[: wanted.index(m)])
        renewable = renewable - {m}
        paid_s[m] += 100.0


@settings(max_examples=400, deadline=None)
@given(hs.integers(0, 10**6), hs.booleans())
def test_leases_that_are_alike_are_taken_as_if_each_were_looked_at(seed: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    backlog, fleet = cluster(rng, coarse)
    renewable = {m for m in fleet.views if rng.random() < 0.5}
    expected, left = plain(backlog, fleet, set(renewable)), set(renewable)

    def renews(number: int) -> bool:
        if number not in left:
            return False
        left.remove(number)
        fleet.held[number].paid_until_s += 100.0
        return True

    dispatch = Dispatch(NOW_S, backlog, fleet, caution=CAUTION, urgent_s=URGENT_S)
    assert dispatch.run(renews) == expected
    assert dispatch.used == {number for _, number in expected}
