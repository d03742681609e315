"""What the runs of a scenario say: one row a run, one row a policy."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.units import HOUR_S, TIME_TOL_S
from simulator.statistics import spread

if TYPE_CHECKING:
    import pandas as pd

    from autoscale.model.arrays import BoolArray, FloatArray
    from simulator.records import SimulationResult
    from simulator.streaming.hindsight import Hindsight
    from simulator.streaming.scenario import Scenario, Stream


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobRecords:
    """One row a job, in the order of arrival; shape (jobs,).

    Parameters
    ----------
    kinds
        Class of each.
    arrival_s, deadline_s, end_s
        When it arrived, should end, and ended, seconds on the clock; NaN without a deadline, and
        where it never ended.
    priority
        Its weight.
    hopeless
        Whether its deadline could not be met when it arrived.
    """

    kinds: tuple[str, ...]
    arrival_s: FloatArray
    deadline_s: FloatArray
    end_s: FloatArray
    priority: FloatArray
    hopeless: BoolArray

    @classmethod
    def of(cls, stream: Stream, result: SimulationResult) -> JobRecords:
        """Return the records of a run on the stream."""
        jobs = stream.jobs
        first = np.cumsum([0, *(len(job.problem.workflow) for job in jobs)])
        stated = [job.problem.deadline_s for job in jobs]
        due_s = [math.nan if d is None else d for d in stated]
        arrival_s = np.array([job.arrival_s for job in jobs])
        return cls(
            kinds=stream.kinds,
            arrival_s=arrival_s,
            deadline_s=arrival_s + np.array(due_s),
            end_s=np.maximum.reduceat(result.tasks.end_s, first[:-1]),
            priority=np.array([job.priority for job in jobs]),
            hopeless=np.array(stream.hopeless),
        )

    @property
    def missed(self) -> BoolArray:
        """Whether each ended after its deadline, or has one and never ended."""
        has_one = ~np.isnan(self.deadline_s)
        out: BoolArray = has_one & ~(self.end_s <= self.deadline_s + TIME_TOL_S)
        return out

    @property
    def turnaround_s(self) -> FloatArray:
        """From arrival to end, seconds; NaN where it never ended."""
        return self.end_s - self.arrival_s

    @property
    def tardiness_s(self) -> FloatArray:
        """Seconds by which each ended after its deadline; NaN where it never ended."""
        late: FloatArray = np.maximum(self.end_s - self.deadline_s, 0.0)
        return np.where(np.isnan(self.deadline_s), 0.0, late)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a job."""
        import pandas as pd

        columns = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        derived = {name: getattr(self, name) for name in ("missed", "turnaround_s", "tardiness_s")}
        return pd.DataFrame({"class": columns.pop("kinds"), **columns, **derived})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyRun:
    """One policy on the stream of one seed.

    Parameters
    ----------
    policy, seed
        Which.
    jobs
        What became of the jobs.
    rejected
        Jobs that were not admitted.
    stopped
        Why the run was given up (a policy that misbehaved, with its name and the time); None for
        one that came to its end.
    figures
        Of the machines: ``cost_usd``, ``utilisation``, ``launches``, ``vcpu_hours``.
    decisions, deciding_s, slowest_decision_s
        How often the policy was asked, and how long it took, seconds, in all and at most.
    result
        The records; None where they were not kept.
    money
        When each lease was requested, what it paid for from then on, seconds, and its cost, USD,
        shape (leases, 3).
    """

    policy: str
    seed: int
    jobs: JobRecords
    rejected: int
    stopped: str | None
    figures: dict[str, float]
    decisions: int
    deciding_s: float
    slowest_decision_s: float
    result: SimulationResult | None
    money: FloatArray

    @classmethod
    def of(
        cls, policy: str, seed: int, stream: Stream, result: SimulationResult, **timing: Any
    ) -> PolicyRun:
        """Return what a run's records say."""
        leases = result.leases
        return cls(
            policy=policy,
            seed=seed,
            jobs=JobRecords.of(stream, result),
            rejected=stream.rejected,
            stopped=result.reason,
            figures={
                "cost_usd": result.cost_usd,
                "utilisation": result.utilisation,
                "launches": result.n_leases,
                "vcpu_hours": float(np.nansum(result.leased_vcpu_s)) / HOUR_S,
            },
            result=result,
            money=np.column_stack([leases.requested_s, leases.billed_s, leases.cost_usd]),
            **timing,
        )

    def without_records(self) -> PolicyRun:
        """Return the run without its records, which take most of the memory."""
        return dataclasses.replace(self, result=None)

    def row(self, scenario: Scenario, bound: Hindsight | None) -> dict[str, Any]:
        """Return the run's figures; NaN where there are none."""
        jobs = self.jobs
        ended = ~np.isnan(jobs.end_s)
        missed = jobs.missed
        has_deadline = ~np.isnan(jobs.deadline_s)
        turnaround_s, priority = jobs.turnaround_s[ended], jobs.priority[ended]
        late_s = jobs.tardiness_s[ended]
        cost = self.figures["cost_usd"]
        return {
            "policy": self.policy,
            "seed": self.seed,
            "stopped": self.stopped or "",
            "jobs": ended.size,
            "ended": int(ended.sum()),
            "rejected": self.rejected,
            "hopeless": int(jobs.hopeless.sum()),
            "missed": int(missed.sum()),
            "missed_share": _over(missed.sum(), has_deadline.sum()),
            "tardiness_mean_s": float(late_s.mean()) if late_s.size else math.nan,
            "tardiness_max_s": float(late_s.max(initial=0.0)),
            "turnaround_mean_s": float(turnaround_s.mean()) if ended.any() else math.nan,
            "turnaround_weighted_s": _over(turnaround_s @ priority, priority.sum()),
            "score": float(jobs.priority[ended & ~missed].sum()),
            **self.figures,
            "over_budget_usd": self.over_budget_usd(scenario),
            "bound_usd": bound.usd if bound else math.nan,
            "work_bound_usd": bound.work_usd if bound else math.nan,
            "regret": cost / bound.usd - 1 if bound and bound.usd > 0 else math.nan,
            "decisions": self.decisions,
            "deciding_s": self.deciding_s,
            "slowest_decision_s": self.slowest_decision_s,
        }

    def over_budget_usd(self, scenario: Scenario) -> float:
        """Return by how much the budget was exceeded, USD: in all, or in the worst hour.

        What a lease costs counts evenly over the time that it pays for.
        """
        over = 0.0
        if scenario.budget_usd is not None:
            over = max(over, self.figures["cost_usd"] - scenario.budget_usd)
        if scenario.budget_usd_per_hour is not None and self.money.size:
            start_s, paid_s, usd = self.money[self.money[:, 1] > 0].T
            hours = np.arange(math.ceil(float((start_s + paid_s).max(initial=0.0)) / HOUR_S))
            low, high = hours[:, None] * HOUR_S, (hours[:, None] + 1) * HOUR_S
            shared = np.minimum(start_s + paid_s, high) - np.maximum(start_s, low)
            spent = np.maximum(shared, 0.0) @ (usd / paid_s)
            over = max(over, float(spent.max(initial=0.0)) - scenario.budget_usd_per_hour)
        return over


def _over(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else math.nan


SUMMARISED = (
    "cost_usd", "missed_share", "tardiness_mean_s", "tardiness_max_s", "turnaround_mean_s",
    "turnaround_weighted_s", "score", "utilisation", "launches", "vcpu_hours", "over_budget_usd",
    "regret", "slowest_decision_s",
)  # fmt: skip
"""Figures that are averaged over runs."""

COUNTED = ("jobs", "ended", "rejected", "hopeless", "missed")
"""Figures that are added up."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamReport:
    """The runs of a scenario.

    Parameters
    ----------
    scenario
        What was run.
    runs
        By seed, then by policy.
    bounds
        What hindsight says of each seed's stream; empty where it was not asked.
    interrupted
        Whether runs are missing because of an interrupt.
    """

    scenario: Scenario
    runs: tuple[PolicyRun, ...]
    bounds: dict[int, Hindsight]
    interrupted: bool = False

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies, in the order of their first runs."""
        return tuple(dict.fromkeys(run.policy for run in self.runs))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a run: policy, seed, why it was stopped, and its figures."""
        import pandas as pd

        return pd.DataFrame([r.row(self.scenario, self.bounds.get(r.seed)) for r in self.runs])

    def jobs_frame(self) -> pd.DataFrame:
        """Return one row a job of every run."""
        import pandas as pd

        parts = [
            run.jobs.to_frame().assign(
                policy=run.policy, seed=run.seed, job=range(len(run.jobs.kinds))
            )
            for run in self.runs
        ]
        table = pd.concat(parts, ignore_index=True)
        first = ["policy", "seed", "job"]
        return table[[*first, *(c for c in table.columns if c not in first)]]

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Return one row a policy, over the runs that came to their end.

        ``runs`` and ``stopped`` count runs; jobs are added up; each other figure has its mean, and
        the ends of the mean's confidence interval (Student's t) in ``NAME_low`` and ``NAME_high``.

        Parameters
        ----------
        level
            Of confidence, between 0 and 1.
        """
        import pandas as pd

        frame = self.to_frame()
        rows = []
        for policy in self.policies:
            own = frame[frame["policy"] == policy]
            done = own[own["stopped"] == ""]
            row: dict[str, Any] = {
                "policy": policy,
                "runs": len(done),
                "stopped": len(own) - len(done),
            }
            row.update({name: int(done[name].sum()) for name in COUNTED})
            for name in SUMMARISED:
                found = spread(done[name].to_numpy(dtype=np.float64), level)
                row[name] = found.mean
                row[f"{name}_low"], row[f"{name}_high"] = found.low, found.high
            row["regret_median"] = float(done["regret"].median()) if len(done) else math.nan
            rows.append(row)
        return pd.DataFrame(rows)
