"""A progress bar with rate and time left, on a terminal, in a notebook, or as a short log."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from autoscale.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

    from simulator.experiments.running import Progress

MOST_AHEAD = 0.9
"""Share of the work that is still ahead when the time left is told first, at most."""

FIRST_S, LESS = 2.0, 2.0
"""Where there is no terminal: the first line comes after so many seconds, each next one after
so many times the time of the one before."""


@contextmanager
def showing_progress(stream: IO[str] | None = None) -> Iterator[Callable[[Progress], None]]:
    """Show how far an experiment is; yields what ``run_experiment`` takes as ``on_progress``.

    Parameters
    ----------
    stream
        Where to; standard output (in Jupyter: the cell's output) if None.
    """
    from rich.console import Console

    console = Console(file=stream)
    if not console.is_terminal and not console.is_jupyter:
        yield _logged(console.file)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )  # fmt: skip
    with Bar(*columns, console=console) as bar:
        stages: dict[str, tuple[TaskID, _Rate]] = {}

        def tell(progress: Progress) -> None:
            if progress.stage not in stages:
                number = bar.add_task(progress.stage, total=progress.total, rate="")
                stages[progress.stage] = (number, _Rate())
            number, rate = stages[progress.stage]
            bar.update(number, completed=progress.done, rate=rate.told(progress))

        yield tell


class _Rate:
    """How fast a stage goes."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    @property
    def passed_s(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self.began

    def told(self, progress: Progress) -> str:
        """Return rate, time left and failures in words."""
        new, left = progress.done - progress.found, progress.total - progress.done
        passed_s = self.passed_s
        told = []
        if new and passed_s > 0:
            rate = new / passed_s
            told.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
            # By work, as searches take longer than list schedulers; what compiles first misleads.
            if left and progress.ahead <= MOST_AHEAD:
                left_s = passed_s * progress.ahead / (1 - progress.ahead)
                told.append(f"{format_duration(left_s)} left")
        if progress.found:
            told.append(f"{progress.found:,} were there")
        if progress.failed:
            told.append(f"{progress.failed:,} failed or infeasible")
        return ", ".join(told)


def _logged(stream: IO[str]) -> Callable[[Progress], None]:
    """Return what writes a line now and then, ever less often."""
    stages: dict[str, _Rate] = {}
    due_s: dict[str, float] = {}

    def tell(progress: Progress) -> None:
        rate = stages.setdefault(progress.stage, _Rate())
        if rate.passed_s < due_s.setdefault(progress.stage, FIRST_S):
            return
        due_s[progress.stage] = LESS * rate.passed_s
        told = rate.told(progress)
        stream.write(f"{progress.done:,} of {progress.total:,} {progress.stage}: {told}\n")
        stream.flush()

    return tell
