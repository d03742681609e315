"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from autoscale.model.catalog import Catalog
    from autoscale.model.problem import Problem
    from autoscale.model.workflow import Workflow

Json = Annotated[
    bool,
    Parameter(name="--json", negative="", show_default=False, help="Print the facts as JSON."),
]
Gantt = Annotated[
    str | None,
    Parameter(name="--gantt", help="Draw the leases over time: a .png, .svg or .pdf file."),
]
Fleet = Annotated[
    str | None,
    Parameter(name="--fleet", help="Draw leased and busy vCPUs over time: .png, .svg or .pdf."),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a workflow file is read."""

    default_runtime: Annotated[
        str | None, Parameter(help="Runtime of tasks whose file states none, e.g. 10s.")
    ] = None

    def read(self, path: str) -> Workflow:
        """Return the workflow; what is doubtful in it goes to standard error."""
        from autoscale.api import read_workflow
        from autoscale.cli.output import note, progress
        from autoscale.errors import InputError
        from autoscale.units import parse_duration

        runtime = None
        if self.default_runtime is not None:
            try:
                runtime = parse_duration(self.default_runtime)
            except InputError as error:
                raise InputError(f"--default-runtime: {error}") from None
        with progress(f"reading {PurePath(path).name}"):
            workflow = read_workflow(path, default_runtime_s=runtime)
        for line in workflow.notes:
            note(line)
        return workflow


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Offer:
    """What may be leased, and under which rules."""

    catalog: Annotated[
        str, Parameter(help="aws, gcp, azure, ec2-2011, or the path of a .csv file.")
    ] = "aws"
    region: Annotated[
        str | None, Parameter(help="Region; us-east-1, us-central1 or eastus if not given.")
    ] = None
    types: Annotated[
        str | None, Parameter(help="Only types whose name matches, e.g. 'c7*,m7*'.")
    ] = None
    purchase: Annotated[str, Parameter(help="on-demand, spot or both.")] = "on-demand"
    billing: Annotated[
        str, Parameter(help="second (at least 1m), hour, or QUANTUM,MINIMUM such as 1m,10m.")
    ] = "second"
    boot: Annotated[str, Parameter(help="From the request of a machine to its first task.")] = "90"
    transfers: Annotated[
        bool, Parameter(help="Count the time to fetch and store files.", negative="--no-transfers")
    ] = True
    storage_bandwidth: Annotated[
        str | None,
        Parameter(help="What the object store grants a machine, e.g. 500MB/s; unlimited if not."),
    ] = None
    quota: Annotated[
        tuple[str, ...],
        Parameter(
            help="Most that is leased at any moment, e.g. instances=20, vcpus=64, 'c7*:vcpus=64'; "
            "may be repeated."
        ),
    ] = ()
    allow: Annotated[
        tuple[str, ...],
        Parameter(help="Types of a category, e.g. 'mProject=c7*,m7*'; may be repeated."),
    ] = ()

    def problem(self, workflow: Workflow, **goal: Any) -> Problem:
        """Return the problem of planning the workflow on this offer."""
        from autoscale.api import make_problem
        from autoscale.formats.catalog_csv import load_catalog

        catalog = load_catalog(self.catalog)
        problem = make_problem(
            workflow,
            catalog=catalog,
            region=self.region,
            types=self.types,
            purchase=self.purchase,  # type: ignore[arg-type]
            billing=self.billing,
            boot=self.boot,
            transfers=self.transfers,
            storage_bandwidth=self.storage_bandwidth,
            quotas=self.quota,
            allowed=self.allow,
            **goal,
        )
        if self.region is None:
            note_region(catalog)
        return problem


def note_region(catalog: Catalog) -> str:
    """Return the region that is taken where none is named, and say so on standard error."""
    from autoscale.api import default_region
    from autoscale.cli.output import note

    region = default_region(catalog)
    if len(catalog.regions) > 1:
        note(f"region {region}; others with --region: {', '.join(catalog.regions)}")
    return region
