"""Passes over the workflow graph: critical path, upward rank, windows.

Durations are given per task in seconds, in the workflow's topological order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.workflow import Workflow


def earliest_finish_s(
    workflow: Workflow, duration_s: FloatArray, entry_s: float = 0.0
) -> FloatArray:
    """Return when each task can end at the earliest, if none starts before ``entry_s``."""
    from autoscale.model import kernels

    out: FloatArray = kernels.earliest_finish(
        workflow.parent_ptr, workflow.parents, duration_s, entry_s
    )
    return out


def tail_s(workflow: Workflow, duration_s: FloatArray) -> FloatArray:
    """Return the length of the longest chain after each task, the task itself left out."""
    from autoscale.model import kernels

    out: FloatArray = kernels.tail_lengths(workflow.child_ptr, workflow.children, duration_s)
    return out


def upward_rank_s(workflow: Workflow, duration_s: FloatArray) -> FloatArray:
    """Return the length of the longest chain that starts with each task."""
    return tail_s(workflow, duration_s) + duration_s


def critical_path_s(workflow: Workflow, duration_s: FloatArray) -> float:
    """Return the length of the longest chain, in seconds."""
    return float(earliest_finish_s(workflow, duration_s).max(initial=0.0))


def critical_path(workflow: Workflow, duration_s: FloatArray) -> IntArray:
    """Return the indices of the tasks on a longest chain, first to last."""
    finish = earliest_finish_s(workflow, duration_s)
    chain = [int(np.argmax(finish))]
    while True:
        above = workflow.parents_of(chain[-1])
        if above.size == 0:
            return np.array(chain[::-1], dtype=np.int64)
        chain.append(int(above[np.argmax(finish[above])]))


def latest_finish_s(workflow: Workflow, duration_s: FloatArray, deadline_s: float) -> FloatArray:
    """Return when each task must end at the latest for all to end by ``deadline_s``."""
    return deadline_s - tail_s(workflow, duration_s)
