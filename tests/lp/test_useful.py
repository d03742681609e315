"""Problems confined to the types that a better plan can lease."""

from __future__ import annotations

import numpy as np
import pytest

from autoscale.errors import InputError
from autoscale.lp.useful import affordable, confined
from autoscale.model.limits import Quota
from tests.problems import random_problem


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("quota", [False, True])
def test_tasks_are_as_slow_as_the_types_that_are_left(seed: int, quota: bool) -> None:
    problem = random_problem(seed, n_tasks=12)
    if quota:  # the same from the table of durations
        problem = problem.replace(quotas=(Quota(limit=10**6),))
    rng = np.random.default_rng(seed)
    usable = rng.random(len(problem.catalog)) < 0.6
    fits = problem.fits[problem.task_class][:, usable].any(axis=1)
    if not fits.all():
        with pytest.raises(InputError, match="fits no"):
            _ = problem.with_usable(usable)
        assert confined(problem, usable) is problem
        return
    fewer = confined(problem, usable)
    duration = problem.duration_s[problem.task_class]
    assert fewer.fastest_s == pytest.approx(duration[:, usable].min(axis=1))
    assert np.isinf(fewer.duration_s[:, ~usable]).all()
    kind = int(np.flatnonzero(usable)[0])
    assert np.array_equal(fewer.durations_on(kind), problem.durations_on(kind))
    if not usable.all():
        assert np.isinf(fewer.durations_on(int(np.flatnonzero(~usable)[0]))).all()


def test_what_costs_as_much_as_the_plan_is_left_out() -> None:
    problem = random_problem(1, n_tasks=8)
    least = problem.catalog.price_per_s * problem.billing.billed_s(problem.boot_s)
    dearest = float(least.max())
    fewer = affordable(problem, dearest * (1 - 1e-5))
    assert fewer.usable is not None
    assert np.array_equal(fewer.usable, least < dearest)
    assert affordable(problem, dearest * (1 + 1e-5)) is problem
