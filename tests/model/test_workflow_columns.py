"""Columns refuse what they cannot hold, and their order depends on the tasks alone."""

from __future__ import annotations

import pytest

from autoscale.errors import InputError
from autoscale.model.workflow import Workflow, WorkflowBuilder


@pytest.mark.parametrize("memory", [2**63, 2**80, 1e30, -1, float("nan"), float("inf")])
def test_memory_that_no_column_holds(memory: float) -> None:
    builder = WorkflowBuilder("w").add("a", runtime_s=1)
    builder.add("b", runtime_s=1, memory_bytes=memory)
    with pytest.raises(InputError, match="task 'b': memory must be a finite number >= 0 and below"):
        builder.build()


def test_neighbours_are_in_the_order_of_tasks() -> None:
    # "c" is given first and runs last, so that the order given is not the topological one.
    edges = ([3, 1, 2, 1, 1], [0, 0, 0, 2, 3])
    workflow = Workflow.from_columns(
        name="w", ids=["c", "a", "y", "x"], runtime_s=[1, 1, 1, 1], edges=edges
    )
    assert workflow.ids.tolist() == ["a", "y", "x", "c"]
    assert workflow.task("a").children == ("y", "x", "c")
    assert workflow.task("c").parents == ("a", "y", "x")
