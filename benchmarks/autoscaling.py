"""Online policies on streams: the table of policies, patterns, billings and budgets.

usage: python benchmarks/autoscaling.py run --csv rows.csv [--policies lp,scs] [--seeds 20]
       python benchmarks/autoscaling.py summary --csv rows.csv [--against scs]

``run`` plays every policy on every case and seed. Cases are the four patterns of SC'11, on machines
of today and of 2011, by the second and by the hour, with estimates that are right, 20 % too long
and 20 % too short; and the budget scenario at several budgets. Seeds are played in processes of
their own with ``--jobs``. The rows of a stream are written as soon as it is played, and streams
that the file has are skipped, so that a run that was broken off goes on; ``--partial`` adds
policies to streams that were played before. ``summary`` prints for every case each policy's mean
cost, misses and turnaround with 95 % intervals, its median regret, and its cost against one policy
over the same seeds.
"""

from __future__ import annotations

import argparse
import csv
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import AutoscaleError
from autoscale.model.billing import HOURLY, PER_SECOND
from autoscale.policies import POLICIES, about_policy
from simulator.statistics import spread
from simulator.streaming import read_scenario, run_stream
from simulator.streaming.scenario import Estimates

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from simulator.streaming.scenario import Scenario

PATTERNS = ("stable", "growing", "cycle", "on-off")
BIASES = (0.0, 0.2, -0.2)
BUDGETS = (0.5, 0.75, 1.0, 1.5, 2.5)
"""Budgets per hour as multiples of what the stream's work costs per hour at its cheapest."""

FIGURES = ("cost_usd", "missed_share", "turnaround_weighted_s", "regret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scenario with changes.

    Parameters
    ----------
    scenario
        Its shipped name.
    billing
        ``second``, ``hour``, or empty for the scenario's own.
    bias
        Of the estimates.
    budget
        Multiple of the cheapest work's cost per hour; 0 for the scenario's own terms.
    """

    scenario: str
    billing: str = ""
    bias: float = 0.0
    budget: float = 0.0

    @property
    def name(self) -> str:
        """What the table calls it."""
        parts = [self.scenario, self.billing]
        parts += [f"{self.bias:+.0%}"] if self.bias else []
        parts += [f"budget x{self.budget:g}"] if self.budget else []
        return " ".join(part for part in parts if part)

    def made(self) -> Scenario:
        """Return the scenario."""
        made = read_scenario(self.scenario)
        if self.billing:
            rule = HOURLY if self.billing == "hour" else PER_SECOND
            made = made.replace(cloud=replace(made.cloud, billing=rule))
        if self.bias:
            made = made.replace(estimates=Estimates(bias=self.bias))
        if self.budget:
            usd = self.budget * _work_usd_per_hour(made)
            made = made.replace(budget_usd_per_hour=round(usd, 2))
        return made


def _work_usd_per_hour(scenario: Scenario) -> float:
    """Return what the work of one stream costs per hour of arrivals, at its cheapest."""
    from autoscale.lp.work import work_bound_usd
    from simulator.streams import merged

    stream = scenario.stream(0)
    return work_bound_usd(merged(stream.jobs)) / (scenario.horizon_s / 3600)


def cases(given: argparse.Namespace) -> list[Case]:
    """Return the cases that are asked for."""
    found = []
    for pattern in given.patterns.split(","):
        for name in (pattern, f"{pattern}-2011"):
            for billing in given.billings.split(","):
                found += [
                    Case(scenario=name, billing=billing, bias=bias)
                    for bias in map(float, given.biases.split(","))
                ]
    budgets = [float(b) for b in given.budgets.split(",") if b]
    for bias in map(float, given.biases.split(",")):
        found += [Case(scenario="budget", budget=budget, bias=bias) for budget in budgets]
    if given.ensemble:
        found.append(Case(scenario="ensemble"))
    return [case for case in found if given.only in case.name]


def played(
    case: Case, seed: int, policies: tuple[str, ...], bound: bool = True
) -> list[dict[str, Any]]:
    """Return a row for each policy on one stream."""
    scenario = case.made()
    table = run_stream(scenario, policies, seeds=[seed], bound=bound, keep=()).to_frame()
    head = {"case": case.name, "budget_usd_per_hour": scenario.budget_usd_per_hour or ""}
    return [{**head, **{str(k): v for k, v in row.items()}} for row in table.to_dict("records")]


def run(given: argparse.Namespace) -> None:
    """Play what the file does not have yet, and append its rows."""
    known = set()
    if given.csv.exists():
        with given.csv.open(newline="") as stream:
            known = {(r["case"], r["seed"], r["policy"]) for r in csv.DictReader(stream)}
    wanted = list(_wanted(given, known))
    print(f"{len(wanted)} streams to play", flush=True)
    for done, (what, rows) in enumerate(_results(wanted, given.jobs, not given.no_bound), start=1):
        _append(given.csv, rows)
        print(f"{done}/{len(wanted)} {what}", flush=True)


def _wanted(
    given: argparse.Namespace, known: set[tuple[str, str, str]]
) -> Iterator[tuple[Case, int, tuple[str, ...]]]:
    """Yield what has to be played: seed by seed, so that all cases fill up together."""
    chosen = cases(given)
    names = given.policies.split(",") if given.policies != "all" else list(POLICIES)
    aims = {name: about_policy(name).aim for name in names}
    scenarios = {case: case.made().aim for case in chosen}
    for seed in range(given.first, given.first + given.seeds):
        for case in chosen:
            suited = [name for name in names if aims[name] == scenarios[case]]
            left = tuple(n for n in suited if (case.name, str(seed), n) not in known)
            if left:
                # All of them again, or the bound would be of other runs.
                yield case, seed, left if given.partial else tuple(suited)


def _results(
    wanted: list[tuple[Case, int, tuple[str, ...]]], jobs: int, bound: bool
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield what was played and its rows, in whatever order it is done."""
    if jobs == 1:
        for case, seed, names in wanted:
            yield f"{case.name}, seed {seed}", _guarded(case, seed, names, bound)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_guarded, *what, bound): what for what in wanted}
        for future in as_completed(futures):
            case, seed, _ = futures[future]
            yield f"{case.name}, seed {seed}", future.result()


def _guarded(case: Case, seed: int, names: tuple[str, ...], bound: bool) -> list[dict[str, Any]]:
    try:
        return played(case, seed, names, bound)
    except AutoscaleError as error:
        print(f"{case.name}, seed {seed}: {error}", file=sys.stderr, flush=True)
        return []


def _append(path: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        if new:
            writer.writeheader()
        writer.writerows(rows)


def summary(given: argparse.Namespace) -> None:
    """Print a table a case."""
    import pandas as pd

    if not given.csv.exists():
        sys.exit(f"{given.csv}: no such file; make it with: run --csv {given.csv}")
    table = pd.read_csv(given.csv)
    # Rows that were played again replace the ones before.
    table = table.drop_duplicates(["case", "seed", "policy"], keep="last")
    for case, rows in table.groupby("case", sort=False):
        print(f"\n### {case}, {rows['seed'].nunique()} seeds\n")
        _print_case(rows, given.against)


def _print_case(rows: pd.DataFrame, against: str) -> None:
    head = ["policy", "cost USD", "missed", "turnaround min", "regret, median", "over budget"]
    print("| " + " | ".join([*head, f"cost against {against}", "slowest s", "stopped"]) + " |")
    print("| " + " | ".join(["---"] * (len(head) + 3)) + " |")
    done = rows[rows["stopped"].isna()]
    cost = done.pivot_table(index="seed", columns="policy", values="cost_usd")
    for policy, own in rows.groupby("policy", sort=True):
        ended = own[own["stopped"].isna()]
        figures = {name: spread(ended[name].to_numpy(dtype=float)) for name in FIGURES}
        paired = "-"
        if policy in cost and against in cost and policy != against:
            ratio = spread((cost[policy] / cost[against] - 1).dropna().to_numpy(dtype=float))
            paired = _shown(ratio, "{:+.1%}")
        cells = [
            str(policy),
            _shown(figures["cost_usd"], "{:.2f}"),
            _shown(figures["missed_share"], "{:.2%}"),
            _shown(figures["turnaround_weighted_s"], "{:.1f}", 60),
            f"{figures['regret'].p50:.1%}",
            f"{ended['over_budget_usd'].max():.2f}",
            paired,
            f"{own['slowest_decision_s'].max():.2f}",
            str(len(own) - len(ended)),
        ]
        print("| " + " | ".join(cells) + " |")


def _shown(found: Any, form: str, unit: float = 1.0) -> str:
    half = (found.high - found.mean) / unit
    about = "" if np.isnan(half) else f" ±{form.format(half).lstrip('+')}"
    return form.format(found.mean / unit) + about


def main() -> None:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    play = commands.add_parser("run")
    play.add_argument("--csv", type=Path, required=True)
    play.add_argument("--policies", default="all")
    play.add_argument("--patterns", default=",".join(PATTERNS))
    play.add_argument("--billings", default="second,hour")
    play.add_argument("--biases", default=",".join(f"{b:g}" for b in BIASES))
    play.add_argument("--budgets", default=",".join(f"{b:g}" for b in BUDGETS))
    play.add_argument("--ensemble", action="store_true")
    play.add_argument("--only", default="", help="only cases whose name has this part")
    play.add_argument("--seeds", type=int, default=20)
    play.add_argument("--first", type=int, default=0, help="the first seed")
    play.add_argument("--jobs", type=int, default=1, help="processes")
    play.add_argument(
        "--partial", action="store_true", help="of a stream, play only the policies that it lacks"
    )
    play.add_argument(
        "--no-bound", action="store_true", help="without the bound in hindsight, most of the time"
    )
    play.set_defaults(act=run)
    show = commands.add_parser("summary")
    show.add_argument("--csv", type=Path, required=True)
    show.add_argument("--against", default="scs")
    show.set_defaults(act=summary)
    given = parser.parse_args()
    given.act(given)


if __name__ == "__main__":
    main()
