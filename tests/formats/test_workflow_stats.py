"""Every reference workflow reads as its reference statistics say."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from autoscale.formats.workflows import read_workflow
from autoscale.model.graph import critical_path_s

if TYPE_CHECKING:
    from autoscale.model.workflow import Workflow

# Parameters are made before fixtures: the fixture ``shared`` is the same folder.
SHARED = Path(__file__).resolve().parents[3] / "shared"
STATISTICS = SHARED / "data" / "expected_workflow_stats.csv"
ROWS: dict[str, dict[str, str]] = {}
if STATISTICS.is_file():
    with STATISTICS.open(newline="") as lines:
        ROWS = {row["file"]: row for row in csv.DictReader(lines)}


class Difference(NamedTuple):
    """What we read where the table says otherwise, and why."""

    ours: dict[str, float]
    why: str


LEGACY = "workflows/wfformat-legacy/"
DIFFERENCES: dict[str, Difference] = {
    "dax/Epigenomics_997.xml.gz": Difference(
        {"total_runtime_s": 3854790.770, "total_bytes": 20719876624},
        "57 jobs have negative runtimes, -21.96 s in all, beside negative sizes, -273130288 bytes "
        "in all: both overflowed in the generator, and both count 0",
    ),
    LEGACY + "bacass-dirt02-001.v1.4.json.gz": Difference(
        {"n_edges": 14, "critical_path_s": 2150.0, "levels": 5, "max_width": 4},
        "the file declares no edges; rebuilt from files they are those of the 1.5 file",
    ),
    LEGACY + "fetchngs-dirt02-001.v1.4.json.gz": Difference(
        {"n_edges": 28, "critical_path_s": 13.0, "levels": 3, "max_width": 26},
        "the file declares no edges; rebuilt from files they are those of the 1.5 file",
    ),
}
# Uses of one file state differing sizes; ours is the producer's, the table's the one stated last.
TOTAL_BYTES = {
    "dax/CyberShake_100.xml": 322207801000,
    "dax/CyberShake_1000.xml.gz": 164015799999,
    "dax/CyberShake_30.xml": 81455630892,
    "dax/Inspiral_100.xml": 798279655,
    "dax/Inspiral_1000.xml.gz": 8221117352,
    "dax/Inspiral_30.xml": 241724347,
    "dax/Montage_100.xml": 476460128,
    "dax/Montage_1000.xml.gz": 4088295282,
    "dax/Montage_25.xml": 199929396,
    "dax/Montage_50.xml": 310185760,
    "dax/Sipht_100.xml.gz": 471478453,
    "dax/Sipht_30.xml": 386719574,
    LEGACY + "montage-2.0-osg-run001.dataset_02-osg.v0.2.json.gz": 6919371294,
    LEGACY + "montage-4.0-osg-run001.dataset_02-osg.v0.2.json.gz": 18400682879,
    LEGACY + "montage-4.0-osg-run002.dataset_02-osg.v0.2.json.gz": 18404890545,
}
DIFFERENCES |= {
    file: Difference({"total_bytes": total}, "the size that a file's producer states counts")
    for file, total in TOTAL_BYTES.items()
}


def statistics(workflow: Workflow) -> dict[str, float]:
    return {
        "n_tasks": len(workflow),
        "n_edges": workflow.n_edges,
        "total_runtime_s": float(workflow.runtime_s.sum()),
        "critical_path_s": critical_path_s(workflow, workflow.runtime_s),
        "levels": workflow.n_levels,
        "max_width": int(np.bincount(workflow.level).max()),
        "n_files": len(workflow.files),
        "total_bytes": int(workflow.files.size_bytes.sum()),
    }


@pytest.mark.usefixtures("shared")
def test_table_lists_every_workflow() -> None:
    data = SHARED / "data"
    there = [*(data / "dax").iterdir(), *(data / "workflows").glob("*/*")]
    assert sorted(ROWS) == sorted(str(path.relative_to(data)) for path in there)
    assert set(DIFFERENCES) <= set(ROWS)


@pytest.mark.usefixtures("shared")
def test_differences_are_differences() -> None:
    for file, difference in DIFFERENCES.items():
        row = dict(ROWS[file], n_edges=ROWS[file]["n_edges_declared"])
        assert all(float(row[key]) != value for key, value in difference.ours.items()), file


@pytest.mark.parametrize("file", sorted(ROWS))
def test_statistics_are_those_of_the_table(file: str) -> None:
    row = dict(ROWS[file], n_edges=ROWS[file]["n_edges_declared"])
    ours = statistics(read_workflow(SHARED / "data" / file))
    expected = {key: float(row[key]) for key in ours}
    if file in DIFFERENCES:
        expected |= DIFFERENCES[file].ours
    assert ours == pytest.approx(expected, rel=0, abs=1e-3)


@pytest.fixture(scope="module")
def judge(shared: Path) -> Any:
    spec = importlib.util.spec_from_file_location("judge", shared / "tools" / "check_plan.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the judge leaves files to the collector
@pytest.mark.parametrize("file", sorted(f for f in ROWS if "legacy" not in f))
def test_tasks_are_those_that_an_independent_reader_sees(file: str, judge: Any) -> None:
    path = SHARED / "data" / file
    theirs = (judge.read_dax if file.startswith("dax") else judge.read_wfformat)(str(path))
    ours = {
        task.id: {
            "r": task.runtime_s,
            "c": task.vcpus,
            "m": task.memory_bytes,
            "parents": set(task.parents),
            "inb": task.in_bytes,
            "outb": task.out_bytes,
        }
        for task in read_workflow(path)
    }
    for task in theirs.values():
        for internal in ("kids", "ins", "outs"):
            task.pop(internal, None)
        if file == "dax/Epigenomics_997.xml.gz":  # see DIFFERENCES
            task["r"] = max(task["r"], 0.0)
    assert ours == theirs
