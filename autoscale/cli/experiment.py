"""The command ``experiment``: every run of a file, recorded so that nothing is lost."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from autoscale.cli.options import Json  # noqa: TC001 - read when the command is built

if TYPE_CHECKING:
    from simulator.experiments.amount import Estimate
    from simulator.experiments.cases import Cases
    from simulator.experiments.running import ExperimentResult

MANY_RUNS = 1_000_000
"""Above so many runs the command asks first."""


def experiment(
    file: Annotated[str, Parameter(help="A TOML file, or example:NAME.")],
    /,
    *,
    output: Annotated[
        str | None,
        Parameter(name=("--output", "-o"), help="Folder for the results; with none, only check."),
    ] = None,
    resume: Annotated[
        bool, Parameter(help="Go on where the results in the folder end.", negative="")
    ] = False,
    engine: Annotated[str, Parameter(help="local (processes) or dask (a cluster).")] = "local",
    workers: Annotated[
        int | None, Parameter(help="How many; as many as there are cores if not given.")
    ] = None,
    address: Annotated[
        str | None,
        Parameter(help="Scheduler of a Dask cluster, tcp://...; one is started here if not given."),
    ] = None,
    yes: Annotated[
        bool, Parameter(help=f"Run even more than {MANY_RUNS:,} runs.", negative="")
    ] = False,
    json: Json = False,
) -> int:
    """Run an experiment: workflows, offers, deadlines, planners, chance and seeds, combined.

    The file is checked as a whole before anything runs. Exit code 5 if runs failed; the rest is
    run all the same.
    """
    from autoscale.cli.entry import DONE
    from autoscale.cli.output import note, progress
    from autoscale.errors import InputError
    from simulator.experiments.amount import estimate
    from simulator.experiments.cases import count_runs, resolve
    from simulator.experiments.engines import check_workers
    from simulator.experiments.reading import read_experiment

    if output is not None and not output.strip():
        raise InputError(f"--output: expected a folder, got {output!r}")
    if output is None and resume:
        raise InputError("--resume: needs the folder of the results, --output")
    check_workers(engine, workers, address)
    described = read_experiment(file)
    count = count_runs(described)
    if output is not None and not yes:
        _confirm(count)
    with progress(f"checking {count:,} runs"):
        cases = resolve(described)
    expected = estimate(cases)
    if output is None:
        _report_check(cases, expected, json)
        return DONE
    note(_amount(expected, workers or os.cpu_count() or 1, cluster=address is not None))
    return _run(cases, output, json, engine=engine, workers=workers, address=address, resume=resume)


def _run(cases: Cases, output: str, json: bool, **how: Any) -> int:
    from autoscale.cli.entry import DONE, INFEASIBLE, INTERRUPTED, PARTLY_DONE
    from autoscale.cli.output import note
    from simulator.experiments.progress import showing_progress
    from simulator.experiments.running import run_experiment

    with showing_progress(sys.stderr) as tell:
        result = run_experiment(cases, output, on_progress=tell, **how)
    _report(result, json)
    if result.interrupted:
        note(f"interrupted: go on with --resume; {result.recorded:,} runs are recorded")
        return INTERRUPTED
    if result.failed:
        return PARTLY_DONE
    return INFEASIBLE if result.infeasible == cases.n_runs else DONE


def _confirm(count: int) -> None:
    """Ask whether to run very many runs.

    Raises
    ------
    InputError
        There is nobody to ask, or the answer is no.
    """
    from autoscale.errors import InputError

    if count <= MANY_RUNS:
        return
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"{count:,} runs: begin? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise InputError(f"not begun: {count:,} runs")
    raise InputError(
        f"{count:,} runs are more than {MANY_RUNS:,}: confirm with --yes, or make the grid smaller"
    )


def _amount(expected: Estimate, workers: int, *, cluster: bool) -> str:
    """Return in words what an experiment amounts to."""
    from autoscale.units import format_duration

    about = f"{expected.plans:,} plans, {expected.runs:,} runs"
    if cluster:
        return about
    many = "1 worker" if workers == 1 else f"{workers} workers"
    return f"{about}; about {format_duration(expected.wall_s(workers))} with {many}"


def _report_check(cases: Cases, expected: Estimate, as_json: bool) -> None:
    from rich.text import Text

    from autoscale.cli.output import emit, emit_json

    workers = os.cpu_count() or 1
    if as_json:
        emit_json(
            {
                "name": cases.name,
                "plans": expected.plans,
                "runs": expected.runs,
                "estimated_seconds": expected.wall_s(workers),
                "workers": workers,
            }
        )
        return
    amount = _amount(expected, workers, cluster=False)
    emit(Text(f"ok: {cases.name}: {amount}; run it with -o FOLDER"))


def experiment_facts(result: ExperimentResult) -> dict[str, Any]:
    """Return what a session did as plain data."""
    return {
        "name": result.cases.name,
        "folder": str(result.folder),
        "tables": [str(path) for path in result.tables],
        "plans": len(result.cases.plans),
        "runs": result.cases.n_runs,
        "recorded": result.recorded,
        "failed": result.failed,
        "infeasible": result.infeasible,
        "interrupted": result.interrupted,
        "seconds": result.seconds,
        "errors": result.errors,
    }


def _report(result: ExperimentResult, as_json: bool) -> None:
    from rich.text import Text

    from autoscale.cli.output import emit, emit_json
    from autoscale.units import format_duration

    facts = experiment_facts(result)
    if as_json:
        emit_json(facts)
        return
    shown = [f"{result.recorded:,} of {result.cases.n_runs:,} runs"]
    shown += [
        f"{count:,} {what}"
        for count, what in ((result.failed, "failed"), (result.infeasible, "without a plan"))
        if count
    ]
    lines = [f"{result.cases.name}: {', '.join(shown)}, in {format_duration(result.seconds)}"]
    lines += [f"{count:,} runs: {error}" for error, count in result.errors.items()]
    lines += [f"written: {', '.join(facts['tables'])}"]
    emit(*(Text(line) for line in lines))
