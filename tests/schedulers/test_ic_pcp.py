"""IC-PCP reproduces the schedule that its paper works through, and the costs that it reports."""

from __future__ import annotations

from autoscale.plan.check import check_plan
from autoscale.schedulers.ic_pcp_scheduler import ic_pcp_plan
from tests.schedulers.published import ic_pcp_example


def test_the_papers_example() -> None:
    """Tables 2 and 3: four instances, what runs on each and when; cost 14, makespan 29."""
    problem, edge_s = ic_pcp_example()
    plan = ic_pcp_plan(problem, edge_s=edge_s)
    leases = {
        plan.lease(n).tasks: (plan.lease(n).type.name, plan.lease(n).start_s, plan.lease(n).end_s)
        for n in range(plan.n_leases)
    }
    assert leases == {
        ("t2", "t6", "t9"): ("S2", 0.0, 28.0),
        ("t5", "t8"): ("S2", 14.0, 28.0),
        ("t3",): ("S3", 0.0, 9.0),
        ("t1", "t4", "t7"): ("S3", 0.0, 29.0),
    }
    costs = sorted(round(plan.lease(n).cost_usd, 9) for n in range(plan.n_leases))
    assert costs == [1.0, 3.0, 4.0, 6.0]
    assert plan.makespan_s == 29.0
    assert check_plan(problem, plan) == ()
