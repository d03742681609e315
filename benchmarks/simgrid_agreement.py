"""Do the engine and SimGrid agree on fixed plans of fifty workflows? Prints a table.

usage: PYTHONPATH=. python benchmarks/simgrid_agreement.py [--shared ../shared] [--csv out.csv]

Needs SimGrid's Python bindings (Debian: ``apt-get install python3-simgrid``). Figures are relative
differences of the makespan, SimGrid against the engine, each plan played with runtimes that are
not as planned (coefficient of variation 0.3), so that orders, waits and capacities decide:
``compute``: no transfers; ``transfers``: each at its fixed share of the link; ``contended``:
transfers share their link and the storage service max-min fairly, the service so slow that half
of the plan's time would go by if it were never idle; all in SimGrid's plain fluid model (CM02).
``transfers LV08``, ``contended LV08``: the same in SimGrid's default model, which takes 3 % of
every link for protocol overhead and weighs transfers by the links on their way. ``slower``: how
much longer contention makes the plan.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from simulator import simulate
from simulator.chance import Chance
from tests.simgrid import cases
from tests.simgrid.outside import ask, described, python_with_simgrid

COLUMNS = {
    "compute": ("off", "CM02"),
    "transfers": ("caps", "CM02"),
    "contended": ("max-min", "CM02"),
    "transfers LV08": ("caps", "LV08"),
    "contended LV08": ("max-min", "LV08"),
}


def measure(name: str, number: int) -> dict[str, str | float]:
    """Return one row of the table."""
    plan = cases.drifted(cases.planned(name, number), number)
    row: dict[str, str | float] = {
        "workflow": Path(name).name.split(".")[0],
        "tasks": len(plan.problem.workflow),
        "leases": plan.n_leases,
        "planner": plan.provenance.planner,
    }
    for column, (network, model) in COLUMNS.items():
        played = plan.replace(problem=plan.problem.replace(transfers=network != "off"))
        shared = cases.contended(plan, "equal") if network == "max-min" else None
        ours_s = simulate(played, shared and Chance(network=shared)).makespan_s
        row[column] = ask(described(played, network, model, shared))[1].max() / ours_s - 1
        if column == "contended":
            row["slower"] = f"{ours_s / simulate(plan).makespan_s:.2f}"
    return row


def main() -> None:
    """Print the table and its medians and extremes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    if python_with_simgrid() is None:
        sys.exit("SimGrid is not here; Debian has it as python3-simgrid")
    rows = []
    for number, name in enumerate(cases.names(given.shared)):
        rows.append(measure(name, number))
        if number == 0:
            print("| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
        cells = (f"{x:.1e}" if isinstance(x, float) else str(x) for x in rows[-1].values())
        print("| " + " | ".join(cells) + " |", flush=True)
    for column in COLUMNS:
        off = np.abs([float(row[column]) for row in rows])
        print(f"{column}: median {np.median(off):.1e}, worst {off.max():.1e} of {len(rows)}")
    if given.csv:
        with given.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
