"""A small experiment that has everything: goals that can and cannot be met, kernel and engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autoscale.model.workflow import WorkflowBuilder
from simulator.chance import Boot, Chance, InstanceFailure, Network, Runtime, TaskFailure
from simulator.distributions import Lognormal, factor
from simulator.experiments.spec import Experiment, Grid, Offer

if TYPE_CHECKING:
    from pathlib import Path

    from autoscale.model.workflow import Workflow

NOISE = Chance(
    boot=Boot(time_s=Lognormal(mean=60, cv=0.3)),
    runtime=Runtime(task=factor(0.3)),
    task_failure=TaskFailure(probability=0.02, retries=0),
    instance_failure=InstanceFailure(rate_per_hour=2),
)
LINKS = NOISE.replace(network=Network(sharing="max-min"))


def chain_and_fan(width: int) -> Workflow:
    """Return a source, some tasks side by side, and a sink."""
    builder = WorkflowBuilder(f"fan {width}").add("source", runtime_s=40)
    names = [f"work{i}" for i in range(width)]
    for number, name in enumerate(names):
        builder = builder.add(name, runtime_s=60 + 17 * number, parents=["source"])
    return builder.add("sink", runtime_s=30, parents=names).build()


def small(**changes: Any) -> Experiment:
    """Return 2 workflows x 2 goals x 2 planners x 3 chances x 3 seeds x 2 replications."""
    grid = {
        "workflows": ("fan", "wide"),
        "catalogs": "two",
        "deadline_factors": (1.5,),
        "deadlines": (60.0,),
        "planners": ("list", "heft"),
        "chances": ("none", "noise", "links"),
        "seeds": (5, 2, 9),
        "replications": 2,
        **changes,
    }
    return Experiment(
        name="small",
        grids=Grid(**grid),
        workflows={"fan": chain_and_fan(4), "wide": chain_and_fan(9)},
        catalogs={"two": Offer(catalog="aws", types="c7i.large,c7i.xlarge")},
        chances={"noise": NOISE, "links": LINKS},
    )


FILE = """
name = "killed"
[grid]
workflows = ["fan", "wide"]
catalogs = ["two"]
deadline_factors = [1.5, 3]
planners = ["list", "heft"]
chances = ["noise", "links"]
seeds = SEEDS
replications = 10
[workflows.fan]
path = "fan.csv"
[workflows.wide]
path = "wide.csv"
[catalogs.two]
catalog = "aws"
types = "c7i.large,c7i.xlarge"
[chances.noise]
boot.time_s = { family = "lognormal", mean = 60, cv = 0.3 }
runtime.task = { family = "lognormal", mean = 1, cv = 0.3 }
[chances.links]
runtime.task = { family = "lognormal", mean = 1, cv = 0.3 }
network.sharing = "max-min"
"""


def write_file(folder: Path, seeds: int) -> Path:
    """Write an experiment with its workflows; it has 160 runs a seed."""
    for name, width in (("fan", 4), ("wide", 9)):
        lines = ["id,runtime_s,parents", "source,40,"]
        names = [f"work{i}" for i in range(width)]
        lines += [f"{work},{60 + 17 * i},source" for i, work in enumerate(names)]
        lines += [f"sink,30,{';'.join(names)}"]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    path = folder / "killed.toml"
    path.write_text(FILE.replace("SEEDS", str(seeds)))
    return path
