"""Workers that die: what they did is done again, and what kills them is found."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

import pytest

from autoscale.errors import InputError
from simulator.experiments.engines import (
    GUILTY,
    Failed,
    InProcess,
    Pool,
    Processes,
    drive,
    make_pool,
)
from tests.experiments import works

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = TypeVar("T")


@pytest.fixture
def pool() -> Iterator[Processes]:
    """Return two processes."""
    found = Processes(2)
    yield found
    found.close(now=True)


def halves(job: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    middle = len(job) // 2
    return (job[:middle], job[middle:]) if middle else (job,)


def whole(job: T) -> tuple[T, ...]:
    return (job,)


def test_what_kills_workers_is_found_and_the_rest_is_done(pool: Pool) -> None:
    """Of all numbers only the deadly one fails, whatever was in flight beside it."""
    jobs = [tuple(range(first, first + 2)) for first in range(0, 20, 2)]
    done: dict[int, object] = {}
    for job, result in drive(pool, works.square_all, iter(jobs), halves):
        if isinstance(result, Failed):
            done.update(dict.fromkeys(job, result))
        else:
            done.update(zip(job, result, strict=True))
    failed = done.pop(works.DEADLY)
    assert failed == Failed(f"its worker died {GUILTY} times while it ran alone")
    assert done == {number: number * number for number in range(20) if number != works.DEADLY}


def test_a_worker_that_dies_by_accident_costs_only_time(pool: Pool, tmp_path: Path) -> None:
    """The job is done again."""
    mark = str(tmp_path / "mark")
    assert list(drive(pool, works.die_once, iter([mark]), whole)) == [(mark, "was here")]


@pytest.mark.parametrize("here", [True, False])
def test_work_that_raises_is_told(pool: Pool, here: bool) -> None:
    """An error of the work is a result, and not the worker's death."""
    workers: Pool = InProcess() if here else pool
    results = dict(drive(workers, works.square_all, iter([(2,), (-1,), (3,)]), halves))
    assert results == {(2,): (4,), (-1,): Failed("ValueError: negative"), (3,): (9,)}


def test_jobs_are_asked_for_when_there_is_room() -> None:
    """A worker is given little ahead: what is not begun can still be made to measure."""
    asked: list[int] = []

    def jobs() -> Iterator[tuple[int, ...]]:
        for number in range(10):
            asked.append(number)
            yield (number,)

    for number, _ in enumerate(drive(InProcess(), works.square_all, jobs(), whole)):
        assert len(asked) <= number + 3


def test_one_worker_is_this_process() -> None:
    """Where nothing runs beside it, no process is started."""
    for found, expected in ((make_pool("local", 1, None), True), (InProcess(), True)):
        [(_, number)] = drive(found, works.parent, iter([0]), whole)
        assert (number == os.getpid()) is expected


def test_dask_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to install it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'autoscale\[dask\]'"):
        make_pool("dask", 1, None)
