"""Several policies on the streams of several seeds, with common random numbers."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from autoscale.errors import InputError
from autoscale.policies import make_policy
from simulator.streaming.hindsight import Hindsight, hindsight
from simulator.streaming.report import PolicyRun, StreamReport
from simulator.streams import run_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autoscale.policies.about import Terms
    from autoscale.policies.protocol import ClusterState, Decision, Policy
    from simulator.records import SimulationResult
    from simulator.streaming.scenario import Scenario, Stream

BOUND_S = 20.0
"""Seconds that the bound of one seed's stream may take, about."""


class Maker(Protocol):
    """Makes a fresh policy for one run."""

    def __call__(self, terms: Terms) -> Policy:
        """Return the policy."""


@dataclass(slots=True)
class _Timed:
    """A policy whose decisions are timed."""

    policy: Policy
    total_s: float = 0.0
    slowest_s: float = 0.0
    calls: int = field(default=0)

    @property
    def name(self) -> str:
        return self.policy.name

    def __call__(self, state: ClusterState) -> Decision:
        began = time.perf_counter()
        try:
            return self.policy(state)
        finally:
            took_s = time.perf_counter() - began
            self.total_s += took_s
            self.slowest_s = max(self.slowest_s, took_s)
            self.calls += 1


def run_stream(
    scenario: Scenario,
    policies: Sequence[str] | Mapping[str, Maker],
    *,
    seeds: Sequence[int] = (0,),
    bound: bool = True,
    bound_s: float = BOUND_S,
    keep: Sequence[int] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> StreamReport:
    """Run every policy on the stream of every seed and return the figures.

    A policy that misbehaves is stopped with its name and the time; the other runs go on. An
    interrupt (Ctrl-C) ends with the runs that were completed, if there are any.

    Parameters
    ----------
    scenario
        What arrives, where, under which chance and terms.
    policies
        Names of policies, or functions that make them, by name.
    seeds
        Whole numbers >= 0; each stands for a stream and its luck, the same for every policy.
    bound
        Whether to bound, for every seed, what any schedule would cost that knew the stream in
        advance.
    bound_s
        Seconds that the bound of a seed may take, about.
    keep
        Seeds of which the records are kept; the first if None. Those of runs that were stopped are
        kept in any case.
    tell
        Called with news on the way.

    Raises
    ------
    InputError
        No policies or seeds, an unknown policy, one that the scenario's terms do not suit, or a
        seed without jobs.
    """
    makers = _makers(policies)
    if not makers or not seeds:
        raise InputError("run_stream: expected at least one policy and one seed")
    for maker in makers.values():  # before anything has run
        maker(terms=scenario.terms(seeds[0]))
    kept = seeds[:1] if keep is None else keep
    runs: list[PolicyRun] = []
    bounds: dict[int, Hindsight] = {}
    interrupted = False
    try:
        for seed in seeds:
            stream = scenario.stream(seed)
            results: list[SimulationResult] = []
            for name, maker in makers.items():
                tell(f"seed {seed}: {name}")
                run, result = _run(scenario, stream, name, maker, seed)
                runs.append(run if seed in kept or run.stopped else run.without_records())
                results.append(result)
            if bound and not scenario.is_ensemble:
                tell(f"seed {seed}: bound")
                bounds[seed] = hindsight(scenario, stream, seed, results, time_limit_s=bound_s)
    except KeyboardInterrupt:
        if not runs:
            raise
        interrupted = True
    return StreamReport(scenario=scenario, runs=tuple(runs), bounds=bounds, interrupted=interrupted)


def _makers(policies: Sequence[str] | Mapping[str, Maker]) -> dict[str, Maker]:
    if isinstance(policies, dict):
        return policies
    return {name: partial(make_policy, name) for name in policies}


def _run(
    scenario: Scenario, stream: Stream, name: str, maker: Maker, seed: int
) -> tuple[PolicyRun, SimulationResult]:
    policy = _Timed(maker(terms=scenario.terms(seed)))
    until_s = scenario.horizon_s if scenario.is_ensemble else math.inf
    result = run_policy(
        stream.jobs, policy, scenario.luck, seed=seed, limit_s=scenario.limit_s, until_s=until_s
    )
    run = PolicyRun.of(
        name,
        seed,
        stream,
        result,
        decisions=policy.calls,
        deciding_s=policy.total_s,
        slowest_decision_s=policy.slowest_s,
    )
    return run, result
