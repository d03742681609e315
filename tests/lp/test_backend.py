"""What the solver is told besides the model."""

from __future__ import annotations

import numpy as np
import pytest

from autoscale.lp.backend import SolveStatus, solve_model
from autoscale.lp.model import LinearModel


def knapsacks(seed: int) -> LinearModel:
    """Return thirty things to choose from and five limits that they share."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(10, 100, (5, 30)).astype(float)
    model = LinearModel()
    x = model.add_variables("x", 30, cost=-weight.mean(axis=0), high=np.ones(30), integer=True)
    for r, row in enumerate(weight):
        rows = np.zeros(30, dtype=np.int64)
        model.add_rows(f"limit {r}", rows, x, row, high=[float(row.sum() // 2)])
    return model


@pytest.mark.parametrize("seed", range(3))
def test_branching_ends_after_so_many_nodes_with_a_bound_and_a_plan(seed: int) -> None:
    model = knapsacks(seed)
    best, soon = solve_model(model), solve_model(model, most_nodes=1)
    assert (best.status, soon.status) == (SolveStatus.OPTIMAL, SolveStatus.LIMIT)
    assert soon.bound <= best.objective + 1e-6 <= soon.objective + 2e-6
