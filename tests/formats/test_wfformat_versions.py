"""One execution, written down in several schema versions, is one workflow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from autoscale.formats.workflows import read_workflow

if TYPE_CHECKING:
    from pathlib import Path

    from autoscale.model.workflow import Task, Workflow

CASES = [
    *(("blast-chameleon-small-002", v) for v in ("1.0", "1.2", "1.3", "1.4")),
    *(("montage-chameleon-2mass-005d-001", v) for v in ("1.0", "1.2", "1.3", "1.4")),
    *(("epigenomics-chameleon-hep-1seq-100k-001", v) for v in ("1.0", "1.2", "1.3", "1.4")),
    ("bacass-dirt02-001", "1.4"),
    ("fetchngs-dirt02-001", "1.4"),
]
# Version 1.0 of this one leaves the job number out of the names, and has no programs.
BARE_NAMES = ("epigenomics-chameleon-hep-1seq-100k-001", "1.0")


def contents(workflow: Workflow, *, bare: bool) -> dict[str, dict[str, object]]:
    def known(name: str) -> str:
        return re.sub(r"_ID\d+$", "", name) if bare else name

    def row(task: Task) -> dict[str, object]:
        return {
            "category": None if bare else task.category,
            "runtime_s": task.runtime_s,
            "vcpus": task.vcpus,
            "memory_bytes": task.memory_bytes,
            "parents": {known(p) for p in task.parents},
            "in_bytes": task.in_bytes,
            "out_bytes": task.out_bytes,
        }

    return {known(task.id): row(task) for task in workflow}


@pytest.mark.parametrize(("name", "version"), CASES)
def test_old_version_equals_1_5(shared: Path, name: str, version: str) -> None:
    folder = shared / "data" / "workflows"
    (new,) = folder.glob(f"wfformat-1.5/{name}.json*")
    old = folder / "wfformat-legacy" / f"{name}.v{version}.json.gz"
    bare = (name, version) == BARE_NAMES
    expected = contents(read_workflow(new), bare=bare)
    assert len(expected) > 10
    assert contents(read_workflow(old), bare=bare) == expected
