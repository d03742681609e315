"""HEFT and CPOP reproduce their paper's example to the second."""

from __future__ import annotations

import numpy as np
import pytest

from autoscale.plan.check import check_plan
from autoscale.schedulers.cpop_scheduler import cpop_plan
from autoscale.schedulers.heft_scheduler import heft_plan
from tests.schedulers.published import heft_example

THREE = np.arange(3)


def test_heft_ends_the_papers_example_at_80() -> None:
    """Figure 3(a) of the paper: the machines, starts and ends of all ten tasks."""
    problem, edge_s = heft_example()
    plan = heft_plan(problem, THREE, edge_s=edge_s)
    ids = problem.workflow.ids.tolist()
    machine = dict(zip(ids, (plan.lease_type[plan.task_lease] + 1).tolist(), strict=True))
    begun = dict(zip(ids, plan.task_start_s.tolist(), strict=True))
    assert plan.makespan_s == 80.0
    assert machine == {
        "n1": 3, "n2": 1, "n3": 3, "n4": 2, "n5": 3, "n6": 2, "n7": 3, "n8": 1, "n9": 2, "n10": 2,
    }  # fmt: skip
    assert begun == {
        "n1": 0, "n2": 27, "n3": 9, "n4": 18, "n5": 28, "n6": 26, "n7": 38, "n8": 57, "n9": 56,
        "n10": 73,
    }  # fmt: skip
    assert check_plan(problem, plan) == ()


def test_cpop_ends_the_papers_example_at_86() -> None:
    """Figure 3(b) of the paper: the critical path n1, n2, n9, n10 is on machine 2."""
    problem, edge_s = heft_example()
    plan = cpop_plan(problem, THREE, edge_s=edge_s)
    ids = problem.workflow.ids.tolist()
    on = {str(t): int(plan.lease_type[plan.task_lease[ids.index(t)]]) for t in ids}
    assert plan.makespan_s == pytest.approx(86.0)
    assert {on[t] for t in ("n1", "n2", "n9", "n10")} == {1}
    assert check_plan(problem, plan) == ()
