"""Domination, ranks and crowding against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.schedulers.budgeted.fronts import crowding, non_dominated, ranks, selected

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


def arrays(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(pairs, dtype=float)
    return table[:, 0], table[:, 1]


def beats(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a != b and a[0] <= b[0] and a[1] <= b[1]


@given(points)
def test_what_no_other_beats_is_kept_once(pairs: list[tuple[int, int]]) -> None:
    kept = [pairs[i] for i in non_dominated(*arrays(pairs))]
    assert kept == sorted({p for p in pairs if not any(beats(q, p) for q in pairs)})


@given(points)
def test_ranks_peel_fronts_off(pairs: list[tuple[int, int]]) -> None:
    rank = ranks(*arrays(pairs)).tolist()
    left, number = set(pairs), 0
    while left:
        front = {p for p in left if not any(beats(q, p) for q in left)}
        assert {p for p, r in zip(pairs, rank, strict=True) if r == number} == front
        left -= front
        number += 1


@given(points, st.integers(1, 25))
def test_the_best_ranks_are_selected_and_the_ends_of_the_front(
    pairs: list[tuple[int, int]], count: int
) -> None:
    kept = selected(*arrays(pairs), count)
    assert len(kept) == min(count, len(pairs)) == len(set(kept.tolist()))
    distinct = sorted(set(pairs))
    chosen = {pairs[i] for i in kept}
    assert len(chosen) == min(count, len(distinct))
    front = [p for p in distinct if not any(beats(q, p) for q in distinct)]
    if count >= len(front):
        assert chosen >= set(front)
    elif count >= 2:
        assert {front[0], front[-1]} <= chosen


def test_crowding_by_hand() -> None:
    """Between (0, 10) and (10, 0), the point (2, 5) has neighbours the whole range apart."""
    time, cost = np.array([0.0, 2.0, 10.0, 4.0]), np.array([10.0, 5.0, 0.0, 4.0])
    expected = [np.inf, 0.4 + 0.6, np.inf, 0.8 + 0.5]
    assert crowding(time, cost) == pytest.approx(expected)
