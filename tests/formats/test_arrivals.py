"""Traces of arrivals: SWF and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from autoscale.errors import InputError
from autoscale.formats.arrivals import read_arrivals

if TYPE_CHECKING:
    from pathlib import Path

SWF = """; Version: 2.2
;
    1       50 3 100   2 100 1024  2 200 -1  1 1 1 -1 -1 1 -1 -1
    2       20 8  -1   4  -1   -1  4  10 -1  0 1 1 -1 -1 1 -1 -1
    3       30 8  10  -1 9.5   -1  8  10 2048  1 1 1 -1 -1 1 -1 -1
"""


def test_an_swf_log(tmp_path: Path) -> None:
    """In order of arrival from 0; requested where used is unknown; incomplete jobs are counted."""
    path = tmp_path / "log.swf"
    path.write_text(SWF)
    found = read_arrivals(path)
    assert found.arrival_s.tolist() == [0, 20]
    assert found.runtime_s.tolist() == [10, 100]
    assert found.vcpus.tolist() == [8, 2]
    assert found.memory_bytes.tolist() == [8 * 2048 * 1024, 2 * 1024 * 1024]
    assert found.notes == (f"{path}: 1 of 3 jobs are incomplete and left out",)


def test_a_table_with_all_columns(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(
        "arrival_s,runtime_s,vcpus,memory_gib,gpus,class,priority,deadline_s\n"
        "30,60,1.5,2,,b,2,\n10,,,,1,a,,600\n"
    )
    found = read_arrivals(path)
    assert found.arrival_s.tolist() == [0, 20]
    np.testing.assert_array_equal(found.runtime_s, [np.nan, 60])
    assert found.vcpus.tolist() == [1, 2]
    assert found.memory_bytes.tolist() == [0, 2 * 2**30]
    assert found.gpus.tolist() == [1, 0]
    np.testing.assert_array_equal(found.priority, [np.nan, 2])
    np.testing.assert_array_equal(found.deadline_s, [600, np.nan])
    assert found.kinds == ("a", "b")


def test_columns_of_another_name_and_dates(tmp_path: Path) -> None:
    """ISO times with more digits than Python reads; an end in place of a runtime."""
    path = tmp_path / "requests.csv"
    path.write_text(
        "WHEN,UNTIL,other\n2023-11-16 18:17:03.9799600,2023-11-16T18:18:03.97996Z,x\n"
        "2023-11-16 18:17:01.9799600,,y\n"
    )
    found = read_arrivals(path, {"arrival_s": "WHEN", "end_s": "UNTIL"})
    np.testing.assert_allclose(found.arrival_s, [0, 2], atol=1e-6)
    np.testing.assert_allclose(found.runtime_s, [np.nan, 60], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "text", "columns", "message"),
    [
        ("a.swf", "1 2 3\n", None, "row 1: expected 18 figures, found 3"),
        ("a.swf", "; only a header\n", None, "an SWF log without jobs"),
        ("a.swf", SWF.replace("50", "soon"), None, "row 3, field 2: expected a number, got 'soon'"),
        ("a.swf", SWF, {"arrival_s": "x"}, "an SWF log has columns of its own"),
        ("a.csv", "arival_s\n1\n", None, "unknown column 'arival_s'; did you mean 'arrival_s'"),
        ("a.csv", "runtime_s\n1\n", None, "row 1: expected a column 'arrival_s', found"),
        ("a.csv", "arrival_s\n", None, "a table of arrivals without rows"),
        ("a.csv", "arrival_s,vcpus\n1,-2\n", None, "row 2, column 'vcpus': expected a number >= 0"),
        ("a.csv", "arrival_s,priority\n1,0\n", None, "'priority': expected a number > 0, got '0'"),
        ("a.csv", "arrival_s\nsoon\n", None, "expected seconds or an ISO time, got 'soon'"),
        ("a.csv", "arrival_s,end_s\n5,4\n", None, "row 2: expected an end after the arrival"),
        ("a.csv", "arrival_s,end_s,runtime_s\n5,6,1\n", None, "either 'runtime_s' or 'end_s'"),
        ("a.csv", "t\n5\n", {"arrival_s": "tt"}, "unknown column 'tt'; did you mean 't'"),
        ("a.csv", "t\n5\n", {"arive": "t"}, "columns: unknown column 'arive'"),
    ],
)
def test_wrong_traces_are_refused(
    tmp_path: Path, name: str, text: str, columns: dict[str, str] | None, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_arrivals(path, columns)
    assert str(caught.value).startswith(str(path))


def test_published_traces(shared: Path) -> None:
    """Counts that their own documentation states."""
    log = read_arrivals(shared / "data/arrivals/hpc2n_subset.swf.gz")
    assert len(log) == 3170 - 25
    assert 57 < log.arrival_s[-1] / 86400 < 58
    pods = read_arrivals(
        shared / "data/arrivals/alibaba_gpu2023_pods.csv.gz",
        {"arrival_s": "creation_time", "end_s": "deletion_time", "gpus": "num_gpu"},
    )
    assert 148 < pods.arrival_s[-1] / 86400 < 150
    requests = read_arrivals(
        shared / "data/arrivals/azure_llm_2023_code.csv.gz", {"arrival_s": "TIMESTAMP"}
    )
    assert len(requests) == 8819
    assert requests.arrival_s[-1] < 3600
