"""Examples that papers work through, as problems in their own models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.model.billing import Billing
from autoscale.model.catalog import Catalog, InstanceType
from autoscale.model.problem import Problem
from autoscale.model.workflow import WorkflowBuilder
from autoscale.schedulers.leasing.instance import edge_times

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray


def paper_problem(
    rows: dict[str, list[float]],
    edges: dict[tuple[str, str], float],
    prices: list[float],
    quantum: float,
) -> tuple[Problem, FloatArray]:
    """Return a problem in a paper's model, and what its data take between machines.

    Parameters
    ----------
    rows
        Seconds of each task on each type.
    edges
        Seconds that data take to another machine, by (parent, child).
    prices
        USD per quantum of each type; a type runs one task at a time and boots at once.
    quantum
        Seconds that are charged together.
    """
    builder = WorkflowBuilder("published")
    for task in rows:
        builder.add(task, runtime_s=1.0, parents=[p for p, child in edges if child == task])
    workflow = builder.build()
    types = tuple(
        InstanceType(
            name=f"S{k + 1}", vcpus=1, memory_gib=1.0, price_usd_per_hour=3600 / quantum * price
        )
        for k, price in enumerate(prices)
    )
    problem = Problem(
        workflow=workflow,
        catalog=Catalog(types),
        boot_s=0.0,
        billing=Billing(quantum_s=quantum, minimum_s=0.0),
        transfers=False,
        durations_s=np.array([rows[str(task)] for task in workflow.ids.tolist()], dtype=np.float64),
    )
    return problem, edge_times(problem, edges)


def ic_pcp_example() -> tuple[Problem, FloatArray]:
    """Return the nine tasks of Abrishami, Naghibzadeh and Epema (FGCS 29, 2013), deadline 30."""
    rows = {
        "t1": [2, 5, 8], "t2": [5, 12, 16], "t3": [3, 5, 9], "t4": [4, 6, 10], "t5": [3, 8, 11],
        "t6": [4, 8, 11], "t7": [5, 8, 11], "t8": [3, 6, 8], "t9": [5, 8, 14],
    }  # fmt: skip
    edges = {
        ("t1", "t4"): 1, ("t4", "t7"): 1, ("t4", "t8"): 1, ("t2", "t5"): 2, ("t2", "t6"): 2,
        ("t3", "t6"): 2, ("t5", "t8"): 4, ("t6", "t9"): 3,
    }  # fmt: skip
    problem, edge_s = paper_problem(rows, edges, [5, 2, 1], 10.0)
    return problem.replace(deadline_s=30.0), edge_s


def heft_example() -> tuple[Problem, FloatArray]:
    """Return the ten tasks on three machines of Topcuoglu, Hariri and Wu (TPDS 13(3), 2002)."""
    rows = {
        "n1": [14, 16, 9], "n2": [13, 19, 18], "n3": [11, 13, 19], "n4": [13, 8, 17],
        "n5": [12, 13, 10], "n6": [13, 16, 9], "n7": [7, 15, 11], "n8": [5, 11, 14],
        "n9": [18, 12, 20], "n10": [21, 7, 16],
    }  # fmt: skip
    edges = {
        ("n1", "n2"): 18, ("n1", "n3"): 12, ("n1", "n4"): 9, ("n1", "n5"): 11, ("n1", "n6"): 14,
        ("n2", "n8"): 19, ("n2", "n9"): 16, ("n3", "n7"): 23, ("n4", "n8"): 27, ("n4", "n9"): 23,
        ("n5", "n9"): 13, ("n6", "n8"): 15, ("n7", "n10"): 17, ("n8", "n10"): 11,
        ("n9", "n10"): 13,
    }  # fmt: skip
    return paper_problem(rows, edges, [1, 1, 1], 1.0)
