"""LOSS2, LOSS3 and GAIN written plainly, for the papers' model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.schedulers.paid_by_use import costs_usd, longest_path, unbeaten

if TYPE_CHECKING:
    from autoscale.model.problem import Problem

Where = dict[int, int]
"""Position of each task in its row of types, quickest first."""


class Moves:
    """One of the three algorithms on a problem, every makespan computed from scratch."""

    def __init__(self, problem: Problem, *, gain: bool, renewed: bool) -> None:
        assert problem.durations_s is not None
        self.problem, self.gain, self.renewed = problem, gain, renewed
        self.seconds, self.usd = problem.durations_s, costs_usd(problem)
        self.n = len(self.usd)
        self.rows = [unbeaten(problem, i) for i in range(self.n)]

    def types(self, budget: float) -> dict[int, int]:
        """Return the type of each task where the algorithm stops."""
        at = {i: len(row) - 1 if self.gain else 0 for i, row in enumerate(self.rows)}
        fixed = self.weighed(at)
        while self.gain or self.cost(at) > budget + 1e-6:
            fixed = self.weighed(at) if self.renewed else [m for m in fixed if m[3] > at[m[2]]]
            if not fixed:
                break
            _, _, i, p = fixed.pop(0)
            if self.gain and self.cost({**at, i: p}) > budget + 1e-6:
                break
            at[i] = p
        return {i: row[at[i]] for i, row in enumerate(self.rows)}

    def lengths(self, where: Where) -> list[float]:
        """Return each task's duration."""
        return [float(self.seconds[i, row[where[i]]]) for i, row in enumerate(self.rows)]

    def length(self, where: Where) -> float:
        """Return the makespan."""
        return longest_path(self.problem, self.lengths(where))

    def cost(self, where: Where) -> float:
        """Return what all tasks cost."""
        return float(sum(self.usd[i, row[where[i]]] for i, row in enumerate(self.rows)))

    def critical(self, where: Where, task: int) -> bool:
        """Return whether a longest path leads through the task."""
        longer = self.lengths(where)
        longer[task] += 1.0
        return longest_path(self.problem, longer) > self.length(where) + 0.5

    def weighed(self, where: Where) -> list[tuple[float, float, int, int]]:
        """Return (weight, tie-breaker, task, new position) of every move, best first."""
        found = []
        for i, row in enumerate(self.rows):
            if self.gain and not self.critical(where, i):
                continue
            to = range(where[i]) if self.gain else range(where[i] + 1, len(row))
            for p in to:
                money = abs(self.usd[i, row[p]] - self.usd[i, row[where[i]]])
                time = self.length({**where, i: p}) - self.length(where)
                own = abs(self.seconds[i, row[p]] - self.seconds[i, row[where[i]]])
                then = own / money if self.gain else money
                found.append((round(time / money, 9), -then, i, p))
        return sorted(found)
