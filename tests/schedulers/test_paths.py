"""GAIN's moves with paths kept up to date against computing every path anew, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.api import make_problem
from autoscale.model import graph
from autoscale.schedulers.budgeted.listing import Offer, offer
from autoscale.schedulers.budgeted.moves.kernels import renewed_gains
from autoscale.schedulers.budgeted.moves.path import way_of
from autoscale.schedulers.spss_scheduler import types_in_time
from autoscale.workloads import generate
from tests.problems import random_problem
from tests.schedulers.paid_by_use import paid_by_use
from tests.tiny import tiny_problem

if TYPE_CHECKING:
    from autoscale.model.problem import Problem


class Plain:
    """The moves of GAIN, every longest path read off all edges before every batch of moves."""

    def __init__(self, given: Offer) -> None:
        self.x, self.cls = given.x, given.problem.task_class
        self.types, self.share = given.types, given.type_usd
        self.n = len(self.cls)
        self.position = (self.types[self.cls] >= 0).sum(axis=1) - 1

    def seconds(self, i: int, position: int) -> float:
        return float(self.x.duration[self.cls[i], self.types[self.cls[i], position]])

    def weigh(self) -> list[tuple[float, float, int, int]]:
        """Return (-score, -tie-breaker, task, position) of each task's best move, best first."""
        x, n = self.x, self.n
        d = [self.seconds(i, self.position[i]) for i in range(n)]
        above = [list(range(x.parent_ptr[i], x.parent_ptr[i + 1])) for i in range(n)]
        below = [list(range(x.child_ptr[i], x.child_ptr[i + 1])) for i in range(n)]
        before, rank = [0.0] * n, [0.0] * n
        for i in range(n):
            for e in above[i]:
                p = x.parents[e]
                before[i] = max(before[i], before[p] + d[p] + x.edge_s[e])
        for i in reversed(range(n)):
            rank[i] = d[i] + max(
                [0.0] + [x.child_edge_s[e] + rank[x.children[e]] for e in below[i]]
            )
        after = [rank[i] - d[i] for i in range(n)]
        edges = [(-1, v, d[v] + after[v]) for v in range(n) if not above[v]]
        edges += [(u, n, before[u] + d[u]) for u in range(n) if not below[u]]
        for v in range(n):
            for e in above[v]:
                u = x.parents[e]
                edges.append((u, v, before[u] + d[u] + x.edge_s[e] + d[v] + after[v]))
        length, found = max(rank), []
        for i in range(n):
            here = self.position[i]
            if here == 0 or before[i] + d[i] + after[i] < length * (1.0 - 1e-12):
                continue
            others = max([0.0] + [value for u, v, value in edges if u < i < v])
            score, tie, to = -np.inf, -np.inf, -1
            for p in range(here):
                own = self.share[self.cls[i]]
                money = abs(own[p] - own[here])
                path = before[i] + self.seconds(i, p) + after[i]
                value, then = (
                    (length - max(path, others)) / money,
                    (d[i] - self.seconds(i, p)) / money,
                )
                if value > score + 1e-12 or (value >= score - 1e-12 and then > tie):
                    score, tie, to = value, then, p
            found.append((-score, -tie, i, to))
        return sorted(found)

    def moves(self, batch: int) -> list[tuple[int, int]]:
        made = []
        while found := self.weigh()[:batch]:
            for _, _, i, to in found:
                self.position[i] = to
                made.append((i, to))
        return made


def assert_same_moves(problem: Problem, batch: int) -> None:
    given_types = offer(problem)
    task, to = renewed_gains(given_types.x, given_types.types, given_types.type_usd, batch, -np.inf)
    assert list(zip(task.tolist(), to.tolist(), strict=True)) == Plain(given_types).moves(batch)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 25), st.sampled_from([1, 2, 7]), st.integers(0, 2))
def test_moves_are_those_of_computing_every_path_anew(
    seed: int, n: int, batch: int, kind: int
) -> None:
    problem = (tiny_problem(seed), random_problem(seed, n), paid_by_use(seed, n))[kind]
    assert_same_moves(problem, batch)


@pytest.mark.parametrize("family", ["1000genome", "montage", "fork-join", "epigenomics"])
def test_moves_on_the_shapes_of_real_workflows(family: str) -> None:
    """Wide joins and forks, equal tasks side by side."""
    options = {"runtime_cv": 0.0} if family == "fork-join" else {}
    assert_same_moves(make_problem(generate(family, 50, seed=3, **options)), 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 3.0))
def test_the_way_ends_no_sooner_than_the_deadline_is_met(seed: int, factor: float) -> None:
    """The types are those that looking through the whole way finds."""
    problem = random_problem(seed, 25)
    path_s = problem.least_makespan_s - problem.boot_s
    problem = problem.replace(deadline_s=problem.boot_s + factor * path_s)
    way = way_of(offer(problem), gain=True, renewed=True)
    for count in range(len(way) + 1):
        kind = way.types_after(count)
        length = graph.critical_path_s(problem.workflow, problem.durations_on(kind))
        if length <= factor * path_s:
            break
    # The bound is the same up to rounding; so is the place, unless a path is as long as it.
    if abs(length - factor * path_s) > 1e-6:
        assert types_in_time(problem).tolist() == kind.tolist()
