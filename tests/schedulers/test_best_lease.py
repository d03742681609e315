"""IC-PCP's search for a lease against asking every lease in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from autoscale.api import make_problem
from autoscale.schedulers.critical import kernels
from autoscale.schedulers.critical.placing.kernels import NEVER, best_on_lease, held_by
from autoscale.schedulers.critical.searching.kernels import best_lease, new_search
from autoscale.schedulers.critical.windows.kernels import exits_of, new_windows, refresh
from autoscale.schedulers.leasing.instance import instance
from autoscale.schedulers.leasing.kernels import new_leases
from autoscale.workloads import generate
from tests.problems import random_problem

if TYPE_CHECKING:
    from autoscale.model.problem import Problem


def asked(x: Any, s: Any, w: Any, path: Any) -> tuple[int, int, float]:
    """Return (lease, way, not before) of the cheapest of all leases, the first of equals."""
    found, least = (-1, NEVER, 0.0), np.inf
    children = x.children[x.child_ptr[path[-1]] : x.child_ptr[path[-1] + 1]]
    there = {int(s.lease[c]) for c in children if w.assigned[c]}
    for lease in range(int(s.opened[0])):
        starts = np.empty(path.size)
        way, usd, floor = best_on_lease(x, s, w, path, lease, lease in there, starts)
        if way != NEVER and usd < least - 1e-12:
            found, least = (lease, way, floor), usd
            if usd <= 1e-12:
                break
    return found


def assert_same_choices(problem: Problem) -> None:
    x, n = instance(problem), len(problem.workflow)
    s, w = new_leases(n, n, 2 * n), new_windows(x, problem.fastest_s)
    search, exits = new_search(x, n), exits_of(x)
    key, waiting = np.arange(n).astype(np.float64), np.zeros(n, dtype=np.bool_)
    heap, stack, depth = np.empty(n, dtype=np.int64), np.empty(2 * n + 2, dtype=np.int64), 0
    while True:
        path, depth = kernels.next_path(x, w, exits, stack, depth)
        if path.size == 0:
            return
        held = np.array([held_by(x, path, k) for k in range(x.price.size)])
        expected = asked(x, s, w, path)
        assert best_lease(x, s, w, search, path, held, np.empty(path.size)) == expected
        path, moved = kernels.assign_path(x, s, w, search, path)
        refresh(x, w, np.concatenate((path, moved)), key, waiting, heap)
        for i in path[::-1]:
            stack[depth] = i
            depth += 1


@pytest.mark.parametrize("seed", range(12))
def test_the_lease_is_that_of_asking_them_all(seed: int) -> None:
    assert_same_choices(random_problem(seed, 30))


@pytest.mark.parametrize("billing", ["second", "hour"])
@pytest.mark.parametrize("factor", [1.2, 3.0])
def test_also_on_montage(billing: str, factor: float) -> None:
    """Wide levels of short tasks: most leases have paid time left under hourly billing."""
    problem = make_problem(generate("montage", 200, seed=1), billing=billing)
    path_s = problem.least_makespan_s - problem.boot_s
    assert_same_choices(problem.replace(deadline_s=problem.boot_s + factor * path_s))
