"""The whole problem in whole numbers, for Google's CP-SAT: a process of its own.

``python -m autoscale.lp.cpsat`` reads the data of :class:`GridProblem` as JSON and writes a line of
JSON for every better plan or bound. A process of its own, because OR-tools and HiGHS's Python
package bring libraries that cannot share one (https://github.com/google/or-tools/issues/5246).

Variables, on a grid of whole time steps: start and end of every task; for every type as many
leases as could be useful, each with its first start, its last end and what it is charged; and
whether a task runs on a lease. Leases of a type are interchangeable, so they are used in order,
and lease number j holds no task before the j-th that fits.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class GridProblem:
    """A planning problem in whole numbers.

    Parameters
    ----------
    duration
        Steps that each task holds each type, -1 where it does not fit; one list a task.
    parents
        Parents of each task.
    needs, capacities
        What tasks need and types have: one list a task, and a type.
    boot, horizon
        Steps until a lease is ready; the deadline.
    quantum, minimum
        Rule of billing in steps; a quantum of 1 charges what is held.
    price
        What a step of each type costs, in whole units.
    most_leases
        Leases of each type that could be useful.
    quotas
        (What a lease of each type counts, limit) of each quota.
    most_cost
        Cost of a plan at hand, in units.
    hint
        Lease, type of that lease and start of each task in a plan at hand.
    time_limit_s, seed
        For the solver.
    """

    duration: list[list[int]]
    parents: list[list[int]]
    needs: list[list[int]]
    capacities: list[list[int]]
    boot: int
    horizon: int
    quantum: int
    minimum: int
    price: list[int]
    most_leases: list[int]
    quotas: list[tuple[list[int], int]]
    most_cost: int
    hint: list[tuple[int, int, int]]
    time_limit_s: float
    seed: int

    def to_json(self) -> bytes:
        """Return the data as JSON."""
        import msgspec

        return msgspec.json.encode(asdict(self))


class _Model:
    """The constraint model of a grid problem."""

    def __init__(self, given: GridProblem) -> None:
        from ortools.sat.python import cp_model

        self.given = given
        self.model: Any = cp_model.CpModel()
        n = len(given.duration)
        self.start = [self._time(given.boot) for _ in range(n)]
        self.end = [self._time(given.boot) for _ in range(n)]
        for i, parents in enumerate(given.parents):
            for p in parents:
                self.model.add(self.start[i] >= self.end[p])
        self.hosts: list[list[Any]] = [[] for _ in range(n)]
        self.leases: list[tuple[int, list[tuple[int, Any]]]] = []
        self.counted: list[tuple[int, Any]] = []
        cost = [
            price * charged
            for kind, price in enumerate(given.price)
            for charged in self._leases_of(kind)
        ]
        for literals in self.hosts:
            self.model.add_exactly_one(literals)
        for weights, limit in given.quotas:
            inside = [(k, interval) for k, interval in self.counted if weights[k]]
            self.model.add_cumulative(
                [x for _, x in inside], [weights[k] for k, _ in inside], limit
            )
        self.model.add(sum(cost) <= given.most_cost)
        self.model.minimize(sum(cost))

    def _time(self, low: int) -> Any:
        return self.model.new_int_var(low, self.given.horizon, "")

    def _leases_of(self, kind: int) -> Iterator[Any]:
        """Add the leases of a type; yield what each is charged."""
        given, before = self.given, None
        fitting = [i for i, row in enumerate(given.duration) if row[kind] >= 0]
        hinted = self._hinted(kind)
        for number in range(min(len(fitting), given.most_leases[kind])):
            used = self.model.new_bool_var("")
            if before is not None:
                self.model.add_implication(used, before)
            before = used
            hint = hinted[number] if number < len(hinted) else frozenset()
            yield self._lease(kind, used, fitting[number:], hint)

    def _lease(self, kind: int, used: Any, tasks: list[int], hint: frozenset[int]) -> Any:
        given, model = self.given, self.model
        first, last = self._time(given.boot), self._time(0)
        members, intervals, resident = [], [], []
        for i in tasks:
            d = given.duration[i][kind]
            here = model.new_bool_var("")
            model.add_hint(here, i in hint)
            self.hosts[i].append(here)
            members.append((i, here))
            model.add_implication(here, used)
            model.add(first <= self.start[i]).only_enforce_if(here)
            model.add(last >= self.end[i]).only_enforce_if(here)
            model.add(self.end[i] == self.start[i] + d).only_enforce_if(here)
            if d > 0:
                resident.append(i)
                intervals.append(
                    model.new_optional_fixed_size_interval_var(self.start[i], d, here, "")
                )
        for r, capacity in enumerate(given.capacities[kind]):
            demands = [given.needs[i][r] for i in resident]
            model.add_cumulative(intervals, demands, capacity)
            if capacity > 0 and r != 1:  # work takes room: redundant, but the solver sees it
                work = sum(given.needs[i][r] * given.duration[i][kind] * x for i, x in members)
                model.add(capacity * (last - first) >= work).only_enforce_if(used)
        self.leases.append((kind, members))
        return self._charge(kind, used, first, last)

    def _charge(self, kind: int, used: Any, first: Any, last: Any) -> Any:
        """Add what a lease is charged, and count it in the quotas."""
        given, model = self.given, self.model
        most = given.horizon + given.boot + given.quantum + given.minimum
        charged = model.new_int_var(0, most, "")
        if given.quantum > 1:
            quanta = model.new_int_var(0, most // given.quantum + 1, "")
            model.add(quanta * given.quantum >= last - first + given.boot).only_enforce_if(used)
            model.add(charged >= quanta * given.quantum)
        else:
            model.add(charged >= last - first + given.boot).only_enforce_if(used)
        model.add(charged >= given.minimum).only_enforce_if(used)
        if given.quotas:
            held = model.new_int_var(0, given.horizon + given.boot, "")
            interval = model.new_optional_interval_var(first - given.boot, held, last, used, "")
            self.counted.append((kind, interval))
        return charged

    def _hinted(self, kind: int) -> list[frozenset[int]]:
        """Return the tasks of each lease of a type in the plan at hand, by their first task."""
        members: dict[int, list[int]] = {}
        for i, (lease, of_kind, start) in enumerate(self.given.hint):
            if of_kind == kind:
                members.setdefault(lease, []).append(i)
                self.model.add_hint(self.start[i], start)
        return [frozenset(tasks) for tasks in sorted(members.values())]

    def placed(self, value: Any) -> dict[str, list[int]]:
        """Return where and when tasks run, given a function from variables to values."""
        n = len(self.given.duration)
        task_lease = [-1] * n
        lease_type: list[int] = []
        for kind, members in self.leases:
            here = [i for i, literal in members if value(literal)]
            for i in here:
                task_lease[i] = len(lease_type)
            if here:
                lease_type.append(kind)
        start = [int(value(x)) for x in self.start]
        return {"task_lease": task_lease, "lease_type": lease_type, "start": start}


def solve_grid(given: GridProblem, tell: Any) -> None:
    """Solve, telling of every better plan and bound, and at last how it ended."""
    from ortools.sat.python import cp_model

    built = _Model(given)

    class Better(cp_model.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            placed = built.placed(self.value)
            tell({"cost": self.objective_value, "bound": self.best_objective_bound, **placed})

    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = given.time_limit_s
    solver.parameters.random_seed = given.seed
    solver.parameters.num_workers = 1  # one, so that the same problem gives the same plan
    solver.parameters.linearization_level = 2
    solver.best_bound_callback = lambda bound: tell({"bound": bound})
    status = solver.solve(built.model, Better())
    ended = {cp_model.OPTIMAL: "optimal", cp_model.INFEASIBLE: "infeasible"}
    out: dict[str, Any] = {"status": ended.get(status, "limit")}
    if status != cp_model.INFEASIBLE:
        out["bound"] = solver.best_objective_bound
    tell(out)


def main() -> None:
    """Read a problem from standard input; write news to standard output, a line each."""
    import msgspec

    given = msgspec.json.decode(sys.stdin.buffer.read(), type=GridProblem)

    def tell(news: dict[str, Any]) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(news) + b"\n")
        sys.stdout.buffer.flush()

    solve_grid(given, tell)


if __name__ == "__main__":
    main()
