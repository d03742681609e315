"""From what people write to a problem."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import autoscale as az
from autoscale.api import default_region, example_names, make_problem, read_workflow
from autoscale.errors import InputError
from autoscale.model.billing import HOURLY, PER_SECOND, Billing
from autoscale.model.workflow import Workflow, WorkflowBuilder
from tests.problems import small_catalog

if TYPE_CHECKING:
    from autoscale.model.catalog import Catalog


@pytest.fixture(scope="module")
def workflow() -> Workflow:
    builder = WorkflowBuilder("two steps").add("first", runtime_s=60, outputs={"a": 1e9})
    return builder.add("second", runtime_s=30, parents=["first"], inputs={"a": 1e9}).build()


def test_text_and_numbers_mean_the_same(workflow: Workflow) -> None:
    """Every figure may be given as text or as a number."""
    as_text = make_problem(
        workflow, deadline="2h", budget="$5", boot="1m30s", storage_bandwidth="80Mbit/s"
    )
    as_number = make_problem(workflow, deadline=7200, budget=5.0, boot=90, storage_bandwidth=1e7)
    for figure in ("deadline_s", "budget_usd", "boot_s", "storage_bandwidth"):
        assert getattr(as_text, figure) == getattr(as_number, figure)
    # 1 GB at 10 MB/s is slower than any link: 100 s each way.
    kinds = as_text.catalog
    k = kinds.names.index("m5.large")
    whole_machine = as_text.durations_on(k) - workflow.runtime_s / kinds[k].speed
    assert whole_machine == pytest.approx(100 * kinds[k].vcpus)


def test_the_workflows_own_goal_counts_unless_another_is_given(workflow: Workflow) -> None:
    """A deadline or budget of the workflow is the default, and is overruled by an argument."""
    own = workflow.replace(deadline_s=500.0, budget_usd=7.0)
    assert make_problem(own).deadline_s == 500.0
    assert make_problem(own).budget_usd == 7.0
    assert make_problem(own, deadline="10m", budget=1).deadline_s == 600.0
    assert make_problem(workflow).deadline_s is None


@pytest.mark.parametrize(
    ("catalog", "region"),
    [
        ("aws", "us-east-1"),
        ("gcp", "us-central1"),
        ("azure", "eastus"),
        ("ec2-2011", "us-east-1-2011"),
    ],
)
def test_each_cloud_has_a_home_region(workflow: Workflow, catalog: str, region: str) -> None:
    """Where no region is named, the cloud's customary one is taken, and only that."""
    assert make_problem(workflow, catalog=catalog).catalog.regions == (region,)


def test_without_a_home_region_the_first_counts() -> None:
    """A catalogue of unknown regions gives its first in alphabetical order."""
    assert default_region(small_catalog()) == "here"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("second", PER_SECOND),
        ("hour", HOURLY),
        ("1m,10m", Billing(quantum_s=60, minimum_s=600)),
        ("60,0", Billing(quantum_s=60, minimum_s=0)),
    ],
)
def test_billing_rules_by_name_and_by_figure(workflow: Workflow, text: str, rule: Billing) -> None:
    """Rules have names; any other is a quantum and a minimum."""
    assert make_problem(workflow, billing=text).billing == rule
    assert make_problem(workflow, billing=rule).billing == rule


def test_purchase_chooses_prices(workflow: Workflow) -> None:
    """Spot leases pay the spot price, both offers each type twice where it has one."""
    counts = {
        p: len(make_problem(workflow, purchase=p, types="m5*").catalog)
        for p in ("on-demand", "spot", "both")
    }
    assert counts["both"] == counts["on-demand"] + counts["spot"]
    spot = make_problem(workflow, purchase="spot", types="m5.large").catalog[0]
    assert spot.price_usd_per_hour == spot.spot_usd_per_hour
    assert spot.key == "m5.large@spot"


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("deadline", "soon", "deadline: expected something like"),
        ("deadline", 0, "deadline: expected a finite number > 0"),
        ("deadline", math.nan, "deadline: expected a finite number > 0"),
        ("budget", "-5", "budget: expected an amount"),
        ("budget", -5.0, "budget: expected a finite number > 0"),
        ("catalog", "awz", "unknown catalogue 'awz'; did you mean 'aws'"),
        ("region", "us-east-9", "unknown region 'us-east-9'; did you mean 'us-east-1'"),
        ("types", "m5.largr", "did you mean 'm5.large'"),
        ("types", " , ", "types: expected patterns"),
        ("purchase", "spott", "did you mean 'spot'"),
        ("billing", "minute", "billing: expected 'second', 'hour'"),
        ("billing", "0,60", "quantum_s must be finite and > 0"),
        ("boot", "-1", "boot: expected something like"),
        ("boot", -1.0, "boot: expected seconds >= 0"),
        ("storage_bandwidth", "0", "storage bandwidth: expected something like"),
        ("storage_bandwidth", 0.0, "storage bandwidth: expected bytes/s > 0"),
    ],
)
def test_nonsense_is_refused_by_name(
    workflow: Workflow, argument: str, value: object, message: str
) -> None:
    """Each argument out of range is named in the error, with what was expected."""
    with pytest.raises(InputError, match=message):
        make_problem(workflow, **{argument: value})  # type: ignore[arg-type]


def test_every_example_is_read_by_full_and_short_name() -> None:
    """Examples can be named in full or by how their names begin, and say where they come from."""
    names = example_names()
    assert len(names) >= 3
    for name in names:
        full, short = read_workflow(name), read_workflow(name.rsplit("-", 1)[0])
        assert full.path == short.path == name
        assert f"-{len(full)}" in name
        assert full.notes == ()


@pytest.mark.parametrize("name", ["example:", "example:montaj"])
def test_unknown_examples_are_refused(name: str) -> None:
    """An example that does not exist gives the nearest or all names."""
    with pytest.raises(InputError, match="montage-300"):
        read_workflow(name)


def test_the_public_names_are_what_their_modules_define() -> None:
    """Every name of ``__all__`` exists, is documented, and is the object of its home module."""
    for name in az.__all__:
        thing = getattr(az, name)
        if name != "__version__":
            assert thing.__doc__
            assert getattr(importlib.import_module(thing.__module__), name) is thing
    with pytest.raises(AttributeError, match="no attribute 'scale'"):
        _ = az.scale
    assert set(az.__all__) <= set(dir(az))


def test_importing_loads_nothing_heavy() -> None:
    """Neither the package nor the command line's help loads numpy, numba or their like."""
    heavy = "{'numpy', 'numba', 'pandas', 'matplotlib', 'scipy', 'simpy', 'pulp', 'highspy'}"
    code = (
        "import sys, autoscale\n"
        "from autoscale.cli import main\n"
        "assert main(['plan', '--help']) == 0\n"
        f"loaded = {heavy} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_a_catalogue_object_is_taken_as_it_is(workflow: Workflow) -> None:
    """A catalogue made in code serves as well as one by name."""
    offer: Catalog = small_catalog()
    assert make_problem(workflow, catalog=offer).catalog == offer
