"""The commands about plans: plan, check, simulate, explain, diff."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from autoscale.cli.luck import Luck
from autoscale.cli.options import Fleet, Gantt, Json, Offer, Reading

_OFFER, _READING, _LUCK = Offer(), Reading(), Luck()

WorkflowPath = Annotated[
    str,
    Parameter(help="A file of WfFormat JSON, Pegasus DAX or CSV, or example:NAME."),
]
PlanPath = Annotated[str, Parameter(help="A plan that `autoscale plan -o` wrote.")]


def plan(
    workflow: WorkflowPath,
    /,
    *,
    deadline: Annotated[
        str | None, Parameter(help="Every task ends by then, e.g. 2h; cost is minimised.")
    ] = None,
    budget: Annotated[
        str | None,
        Parameter(help="The plan costs at most so many dollars, e.g. 5; alone, time is minimised."),
    ] = None,
    offer: Offer = _OFFER,
    reading: Reading = _READING,
    planner: Annotated[
        str, Parameter(help="lp, exact, or a scheduler; `autoscale planners` lists them.")
    ] = "lp",
    time_limit: Annotated[str, Parameter(help="The planner ends after about so long.")] = "20",
    gap: Annotated[
        str, Parameter(help="Planner lp ends once this close to the certified bound, e.g. 2%.")
    ] = "1%",
    seed: Annotated[int, Parameter(help="Seed of all randomness.")] = 0,
    output: Annotated[
        str | None,
        Parameter(
            name=("--output", "-o"),
            help="Write the plan: .json, .json.gz, or a folder of Parquet files (NAME.parquet).",
        ),
    ] = None,
    gantt: Gantt = None,
    fleet: Fleet = None,
    json: Json = False,
) -> int:
    """Plan a workflow: which machines to lease, when, and which task runs where."""
    from autoscale.cli.planning import PlanRequest, run_plan

    request = PlanRequest(
        workflow=workflow,
        deadline=deadline,
        budget=budget,
        planner=planner,
        time_limit=time_limit,
        gap=gap,
        seed=seed,
        output=output,
        gantt=gantt,
        fleet=fleet,
        json=json,
    )
    return run_plan(request, offer, reading)


def check(
    workflow: WorkflowPath,
    plan: PlanPath,
    /,
    *,
    reading: Reading = _READING,
    json: Json = False,
) -> int:
    """Check a plan against the rules of the execution model; exit code 3 if it breaks any."""
    from autoscale.cli.entry import DONE, INFEASIBLE
    from autoscale.cli.output import emit_json, progress
    from autoscale.formats.plan_json import read_plan
    from autoscale.plan.check import check_plan

    found = read_plan(plan, reading.read(workflow))
    with progress("checking"):
        violations = check_plan(found.problem, found)
    if json:
        emit_json({"ok": not violations, "violations": list(violations)})
    else:
        _print_verdict(repr(found), violations)
    return INFEASIBLE if violations else DONE


def _print_verdict(plan: str, violations: tuple[str, ...]) -> None:
    from rich.text import Text

    from autoscale.cli.output import emit

    if violations:
        emit(Text(f"{len(violations)} violations in {plan}"), *(Text(f"- {v}") for v in violations))
    else:
        emit(Text(f"ok: {plan}"))


def simulate(
    workflow: WorkflowPath,
    plan: PlanPath,
    /,
    *,
    runs: Annotated[
        int | None, Parameter(help="Replications; 1000 where chance is on, else 1.")
    ] = None,
    seed: Annotated[int, Parameter(help="Seed of all luck.")] = 0,
    luck: Luck = _LUCK,
    deadline: Annotated[
        str | None, Parameter(help="How often is this met? The plan's deadline if not given.")
    ] = None,
    start: Annotated[
        str, Parameter(help="Tasks start as planned, or early where they can: planned or early.")
    ] = "planned",
    precision: Annotated[
        str | None, Parameter(help="Stop once intervals are this narrow, e.g. 1%.")
    ] = None,
    confidence: Annotated[str, Parameter(help="Level of confidence of intervals.")] = "95%",
    plot: Annotated[
        str | None, Parameter(help="Draw how cost and makespan are spread: .png, .svg or .pdf.")
    ] = None,
    run: Annotated[int, Parameter(help="Which run --run-plot, --trace, --records show.")] = 0,
    run_plot: Annotated[
        str | None, Parameter(help="Draw one run, machine by machine: .png, .svg or .pdf.")
    ] = None,
    trace: Annotated[
        str | None, Parameter(help="Write one run for Perfetto or chrome://tracing: .json.")
    ] = None,
    records: Annotated[
        str | None,
        Parameter(help="Write a folder of Parquet tables: all runs, and one in full."),
    ] = None,
    reading: Reading = _READING,
    json: Json = False,
) -> int:
    """Play a plan: once with all chance off, or many times against chance.

    With all chance off, the exit code is 3 if the plan's figures do not hold.
    """
    from autoscale.cli.simulating import SimulateRequest, run_simulate

    request = SimulateRequest(
        workflow=workflow,
        plan=plan,
        runs=runs,
        seed=seed,
        deadline=deadline,
        start=start,
        precision=precision,
        confidence=confidence,
        plot=plot,
        run=run,
        run_plot=run_plot,
        trace=trace,
        records=records,
        json=json,
    )
    return run_simulate(request, luck, reading)


def explain(
    workflow: WorkflowPath,
    plan: PlanPath,
    /,
    *,
    prices: Annotated[
        bool,
        Parameter(
            help="Solve the linear relaxation: what more time is worth, and runner-up types.",
            negative="--no-prices",
        ),
    ] = True,
    catalog: Annotated[
        str | None,
        Parameter(help="Where runner-up types come from; the plan's cloud if not given."),
    ] = None,
    region: Annotated[str | None, Parameter(help="Region of the catalogue; the plan's.")] = None,
    types: Annotated[
        str | None, Parameter(help="Only runner-up types whose name matches, e.g. 'c7*,m7*'.")
    ] = None,
    plot: Annotated[
        str | None, Parameter(help="Draw where the money goes: a .png, .svg or .pdf file.")
    ] = None,
    reading: Reading = _READING,
    json: Json = False,
) -> int:
    """Explain a plan: where money and time go, what more time is worth, which types just missed."""
    from autoscale.cli.explain import ExplainRequest, run_explain

    request = ExplainRequest(
        workflow=workflow,
        plan=plan,
        prices=prices,
        catalog=catalog,
        region=region,
        types=types,
        plot=plot,
        json=json,
    )
    return run_explain(request, reading)


def diff(
    workflow: WorkflowPath,
    a: PlanPath,
    b: PlanPath,
    /,
    *,
    reading: Reading = _READING,
    json: Json = False,
) -> int:
    """Compare two plans of a workflow: cost, time, leases, tasks that moved, rules that differ."""
    from autoscale.cli.diff import run_diff

    return run_diff(workflow, a, b, reading, as_json=json)
