"""Maxima over the parents of wide joins are those of reading them all."""

from __future__ import annotations

import numpy as np
import pytest

from autoscale.schedulers.critical.joins.kernels import (
    WIDE,
    first_of_most,
    most,
    new_fan,
    set_value,
)


@pytest.mark.parametrize("seed", range(5))
def test_maxima_are_those_of_all_members(seed: int) -> None:
    """Owners narrow and wide, members with several owners, values that rise, fall and tie."""
    rng = np.random.default_rng(seed)
    n_members, widths = 150, [3, WIDE, WIDE + 1, 64, 65, 150]
    members = np.concatenate([rng.permutation(n_members)[:width] for width in widths])
    ptr = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    edge_s = rng.integers(0, 4, members.size).astype(np.float64)
    fan = new_fan(ptr, members, edge_s, n_members)
    wide = [i for i, width in enumerate(widths) if width > WIDE]
    assert [i for i in range(len(widths)) if fan.roots[i, 0] >= 0] == wide
    value = np.full((2, n_members), -np.inf)
    for _ in range(400):
        row, member = int(rng.integers(2)), int(rng.integers(n_members))
        value[row, member] = rng.choice([-np.inf, *range(20)])
        set_value(fan, row, member, value[row, member])
        for i in wide:
            own = slice(ptr[i], ptr[i + 1])
            arrives = value[row, members[own]] + edge_s[own]
            assert most(fan, row, i) == arrives.max()
            first = int(np.argmax(arrives)) if arrives.max() > -np.inf else -1
            assert first_of_most(fan, row, i) == first
