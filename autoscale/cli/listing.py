"""The commands that list and make things: show, catalog, planners, generate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from autoscale.cli.options import Fleet, Gantt, Json, Reading, note_region

if TYPE_CHECKING:
    from autoscale.plan.plan import Plan

_READING = Reading()

Order = Literal["name", "price", "work-price", "vcpus", "memory", "speed"]


def show(
    path: Annotated[str, Parameter(help="A workflow (file or example:NAME) or a plan.")],
    /,
    *,
    workflow: Annotated[
        str | None, Parameter(help="The workflow of a plan, if it has moved since.")
    ] = None,
    reading: Reading = _READING,
    gantt: Gantt = None,
    fleet: Fleet = None,
    json: Json = False,
) -> None:
    """Show the statistics of a workflow, or the leases of a plan."""
    from autoscale.cli import facts
    from autoscale.cli.output import emit, emit_json
    from autoscale.cli.planning import check_pictures, draw, report_plan
    from autoscale.errors import InputError

    check_pictures(gantt, fleet)
    if _is_plan(path):
        plan = _read_with_workflow(path, workflow, reading)
        draw(plan, gantt, fleet)
        report_plan(plan, as_json=json)
        return
    if gantt or fleet or workflow:
        raise InputError(f"{path}: --gantt, --fleet and --workflow need a plan, not a workflow")
    report = facts.workflow_facts(reading.read(path))
    if json:
        emit_json(report)
        return
    from autoscale.cli.render import workflow_parts

    emit(*workflow_parts(report))


def _is_plan(path: str) -> bool:
    from autoscale.api import EXAMPLE
    from autoscale.formats.files import read_bytes

    if path.startswith(EXAMPLE):
        return False
    return Path(path).is_dir() or b'"autoscale-plan/' in read_bytes(path)


def _read_with_workflow(path: str, workflow: str | None, reading: Reading) -> Plan:
    """Read a plan and its workflow, which is looked for where the plan says."""
    from autoscale.api import EXAMPLE
    from autoscale.errors import InputError
    from autoscale.formats.plan_json import read_plan, read_plan_document

    if workflow is None:
        stated = read_plan_document(path).get("workflow")
        named = stated.get("path") if isinstance(stated, dict) else None
        if not isinstance(named, str):
            raise InputError(f"{path}: does not say where its workflow is; give --workflow PATH")
        beside = Path(path).parent / named
        workflow = named
        if not named.startswith(EXAMPLE) and not Path(named).exists():
            if not beside.exists():
                raise InputError(
                    f"{path}: its workflow {named} is no longer there; give --workflow PATH"
                )
            workflow = os.fspath(beside)
    return read_plan(path, reading.read(workflow))


def catalog(
    name: Annotated[
        str | None, Parameter(help="aws, gcp, azure, ec2-2011 or a .csv file; all if not given.")
    ] = None,
    /,
    *,
    region: Annotated[str | None, Parameter(help="Only this region.")] = None,
    types: Annotated[str | None, Parameter(help="Only names that match, e.g. 'c7*,m7*'.")] = None,
    vcpus: Annotated[int, Parameter(help="At least so many vCPUs.")] = 0,
    memory: Annotated[float, Parameter(help="At least so many GiB of memory.")] = 0.0,
    gpu: Annotated[
        bool, Parameter(help="Only types with GPUs.", negative="", show_default=False)
    ] = False,
    spot: Annotated[
        bool, Parameter(help="Only types offered as spot.", negative="", show_default=False)
    ] = False,
    sort: Annotated[Order, Parameter(help="What to sort by.")] = "name",
    limit: Annotated[int | None, Parameter(help="At most so many rows.")] = None,
    json: Json = False,
) -> None:
    """List the price tables, or the instance types in one of them."""
    from autoscale.cli import facts
    from autoscale.cli.output import emit, emit_json
    from autoscale.errors import InputError
    from autoscale.formats.catalog_csv import load_catalog

    if limit is not None and limit < 1:
        raise InputError(f"--limit: expected a whole number >= 1, got {limit}")
    if name is None:
        _overview(json)
        return
    offer = load_catalog(name)
    offer = offer.in_region(note_region(offer) if region is None else region)
    if types is not None:
        from autoscale.api import split_patterns

        offer = offer.matching(split_patterns(types))
    offer = offer.where(
        lambda t: (
            t.vcpus >= vcpus
            and t.memory_gib >= memory
            and (t.gpus > 0 or not gpu)
            and (t.spot_usd_per_hour is not None or not spot)
        ),
        "filtering by vCPUs, memory, GPU and spot",
    )
    rows = _sorted(facts.catalog_facts(offer), sort)
    shown = rows[:limit]
    if json:
        emit_json(shown)
        return
    from autoscale.cli.render import catalog_table

    count = (
        f"{len(rows)} types" if len(shown) == len(rows) else f"{len(shown)} of {len(rows)} types"
    )
    emit(catalog_table(shown, f"{offer.name}, {', '.join(offer.regions)}: {count}"))


def _sorted(rows: list[dict[str, object]], sort: Order) -> list[dict[str, object]]:
    key, down = {
        "name": ("instance_type", False),
        "price": ("price_usd_per_hour", False),
        "work-price": ("usd_per_work_hour", False),
        "vcpus": ("vcpus", False),
        "memory": ("memory_gib", False),
        "speed": ("speed", True),
    }[sort]
    ordered = sorted(rows, key=lambda row: str(row["instance_type"]))
    return sorted(ordered, key=lambda row: row[key], reverse=down)  # type: ignore[arg-type,return-value]


def _overview(as_json: bool) -> None:
    from autoscale.cli.output import emit, emit_json
    from autoscale.formats.catalog_csv import load_catalog, shipped_catalogs

    rows = []
    for name in shipped_catalogs():
        offer = load_catalog(name)
        rows.append({"catalog": name, "types": len(offer), "regions": list(offer.regions)})
    if as_json:
        emit_json(rows)
        return
    from autoscale.cli.render import overview_table

    emit(overview_table(rows))


def planners(*, json: Json = False) -> None:
    """List the planners: what each is for, what it does, and where it was published."""
    from autoscale.cli import facts
    from autoscale.cli.output import emit, emit_json

    rows = facts.planner_facts()
    if json:
        emit_json(rows)
        return
    from autoscale.cli.render import planners_table

    emit(planners_table(rows))


def generate(
    family: Annotated[str, Parameter(help="montage, cybershake, epigenomics, inspiral, ...")],
    /,
    *,
    tasks: Annotated[int, Parameter(name=("--tasks", "-n"), help="About so many tasks.")] = 1000,
    seed: Annotated[int, Parameter(help="Same seed, same workflow.")] = 0,
    output: Annotated[
        str, Parameter(name=("--output", "-o"), help="Where to write it: .json or .json.gz.")
    ],
    json: Json = False,
) -> None:
    """Generate a workflow of a published shape and write it as WfFormat."""
    from autoscale.cli import facts
    from autoscale.cli.output import check_writable, emit, emit_json, progress
    from autoscale.formats.wfformat_writer import write_wfformat
    from autoscale.workloads.families import generate as make

    check_writable("--output", output, kinds=(".json", ".json.gz"))
    with progress(f"generating {family}"):
        workflow = make(family, tasks, seed=seed).replace(path=output)
    with progress(f"writing {output}"):
        write_wfformat(workflow, output)
    report = facts.workflow_facts(workflow)
    if json:
        emit_json(report)
        return
    from autoscale.cli.render import workflow_parts

    emit(*workflow_parts(report))
