"""An ensemble as a problem, and what is admitted of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import InputError
from autoscale.model.arrays import string_array
from autoscale.model.workflow import FileTable, Workflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autoscale.model.arrays import IntArray
    from autoscale.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsemblePlan:
    """Which workflows of an ensemble run, and how.

    Parameters
    ----------
    plan
        One plan for all workflows that are admitted, or None where none is. Its tasks are called
        ``NUMBER/ID``, the number being that of the workflow in the ensemble.
    admitted
        Numbers of the admitted workflows, ascending; 0 has the highest priority.
    owner
        Number of the workflow that each task of the plan belongs to, shape (tasks,).
    """

    plan: Plan | None
    admitted: tuple[int, ...]
    owner: IntArray

    @property
    def score(self) -> float:
        """The sum of 2 ** -priority over the admitted workflows, priorities counting from 1.

        Examples
        --------
        >>> EnsemblePlan(plan=None, admitted=(0, 2), owner=np.zeros(0, np.int64)).score
        0.625
        """
        return math.fsum(2.0 ** -(1 + number) for number in self.admitted)


def merged(workflows: Sequence[Workflow], numbers: Sequence[int]) -> tuple[Workflow, IntArray]:
    """Return the workflows side by side as one, and the number of each task's workflow.

    Parameters
    ----------
    workflows
        At least one.
    numbers
        What each is called: its tasks' ids become ``NUMBER/ID``, likewise its files' names.

    Raises
    ------
    InputError
        There is no workflow.
    """
    if not workflows:
        raise InputError("ensemble: expected at least one workflow, got none")
    sizes = [len(w) for w in workflows]
    first = np.concatenate([[0], np.cumsum(sizes)])
    names = list(dict.fromkeys(name for w in workflows for name in w.categories))
    code = {name: c for c, name in enumerate(names)}
    category = np.concatenate(
        [np.array([code[name] for name in w.categories])[w.category] for w in workflows]
    )
    edges = [
        (w.parents + first[y], np.repeat(np.arange(len(w)), np.diff(w.parent_ptr)) + first[y])
        for y, w in enumerate(workflows)
    ]
    whole = Workflow.from_columns(
        name=" + ".join(w.name for w in workflows),
        ids=string_array(
            f"{y}/{i}" for y, w in zip(numbers, workflows, strict=True) for i in w.ids
        ),
        runtime_s=np.concatenate([w.runtime_s for w in workflows]),
        edges=(np.concatenate([e[0] for e in edges]), np.concatenate([e[1] for e in edges])),
        category=(names, category),
        vcpus=np.concatenate([w.vcpus for w in workflows]),
        memory_bytes=np.concatenate([w.memory_bytes for w in workflows]),
        gpus=np.concatenate([w.gpus for w in workflows]),
        files=_merged_files(workflows, numbers, first),
        where="ensemble",
    )
    # Tasks are sorted by level, those of a level in the order given.
    order = np.argsort(np.concatenate([w.level for w in workflows]), kind="stable")
    return whole, np.repeat(np.asarray(numbers, dtype=np.int64), sizes)[order]


def _merged_files(workflows: Sequence[Workflow], numbers: Sequence[int], first: Any) -> FileTable:
    tables = [w.files for w in workflows]
    offset = np.concatenate([[0], np.cumsum([len(table) for table in tables])])

    def uses(ptr_of: str, members_of: str) -> tuple[Any, Any]:
        tasks, files = [], []
        for y, table in enumerate(tables):
            count = np.diff(getattr(table, ptr_of))
            tasks.append(np.repeat(np.arange(count.size), count) + first[y])
            files.append(getattr(table, members_of) + offset[y])
        return np.concatenate(tasks), np.concatenate(files)

    return FileTable.from_uses(
        string_array(f"{y}/{n}" for y, t in zip(numbers, tables, strict=True) for n in t.names),
        np.concatenate([table.size_bytes for table in tables]),
        uses("input_ptr", "inputs"),
        uses("output_ptr", "outputs"),
        int(first[-1]),
    )
