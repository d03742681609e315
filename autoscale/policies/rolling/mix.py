"""Which fleet of a given price does most of the work that arrives: a small integer program.

Sets: groups ``g`` of tasks that need the same and are as fast everywhere, types ``k``.
Data: ``W_g`` seconds of work of a group seen so far, at the speed of its fastest type, times a
power of its jobs' priorities (which have mean 1); ``s_gk`` how fast type ``k`` does it, 1 for the
fastest; ``c_gr`` what one of its tasks holds of resource ``r``; ``C_kr`` what a lease has of it;
``m_gk`` how many of its tasks a lease holds at once; ``p_k`` price; ``B`` budget.
Variables: ``n_k`` leases, integer; ``x_gk`` tasks of a group that run on a type at once; ``z``
the share of all work done per second.

    max z
    (1) sum_g c_gr x_gk <= C_kr n_k                 for every type and resource
    (2) x_gk <= m_gk n_k                            for every group and type
    (3) sum_k s_gk x_gk >= z W_g                    for every group
    (4) sum_k p_k n_k <= B
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray
    from autoscale.policies.rolling.work import JobWork

MOST_GROUPS = 24
FAVOUR = 0.5
"""Work of a job counts by this power of its priority: 0 not at all, 1 in proportion."""

GAP = 0.01
MOST_NODES = 1000
"""Of branch and bound: a limit by the clock would let a busy machine decide otherwise."""


class Mix:
    """The work seen so far, by group."""

    def __init__(self) -> None:
        self._priority, self._jobs = 0.0, 0
        self._work: dict[tuple[float, ...], float] = {}
        self._speed: dict[tuple[float, ...], FloatArray] = {}

    def add(self, job: JobWork) -> None:
        """Take note of the work of a job that has arrived."""
        self._priority += job.view.job.priority
        self._jobs += 1
        weight = (job.view.job.priority * self._jobs / self._priority) ** FAVOUR
        fastest = job.stated.min(axis=1)
        speed = np.where(fastest[:, None] > 0, fastest[:, None] / job.stated, 1.0)
        rows = np.round(np.concatenate([job.need, speed], axis=1), 3)
        groups, member, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        total = np.bincount(group.reshape(-1), weight * fastest)
        for row, i, work_s in zip(groups.tolist(), member.tolist(), total.tolist(), strict=True):
            key = tuple(row)
            self._work[key] = self._work.get(key, 0.0) + work_s
            self._speed[key] = speed[i]

    def work_s(self) -> float:
        """Return all work seen so far, seconds at the speed of the fastest types."""
        return float(sum(self._work.values()))

    def speed(self, n_types: int) -> FloatArray:
        """Return how fast each type is for the work on average, 1 for the fastest."""
        total = np.zeros(n_types)
        weight = np.zeros(n_types)
        for key, work_s in self._work.items():
            speed = np.resize(self._speed[key], n_types)
            total += work_s * speed
            weight += work_s * (speed > 0)
        out: FloatArray = total / np.maximum(weight, 1e-12)
        return out

    def best(
        self, room: FloatArray, price: FloatArray, budget: float, allowed: FloatArray
    ) -> tuple[FloatArray, float]:
        """Return the leases of each type, and the share of all work that they do per second.

        Parameters
        ----------
        room
            What a lease of each type has, shape (types, resources).
        price, budget
            Of each type, and of all leases together.
        allowed
            Whether each type may be used.
        """
        from autoscale.lp.backend import solve_model
        from autoscale.lp.model import LinearModel

        n_types = price.size
        keys = sorted(self._work, key=lambda k: (-self._work[k], k))[:MOST_GROUPS]
        work = np.array([self._work[k] for k in keys])
        need = np.array([k[:3] for k in keys])
        speed = np.array([np.resize(self._speed[k], n_types) for k in keys])
        with np.errstate(divide="ignore", invalid="ignore"):
            holds = np.where(need[:, None, :] > 0, room / need[:, None, :], np.inf)
        most = np.floor(holds.min(axis=2) + 1e-9) * (speed > 0) * allowed
        most = np.minimum(most, 1e6)
        model = LinearModel()
        z = model.add_variables("share", 1, cost=-1.0)
        high = np.floor(budget / price + 1e-9)
        n = model.add_variables("leases", n_types, high=high, integer=True)
        x = model.add_variables("tasks", most.size).reshape(most.shape)
        types = np.arange(n_types)
        # Memory is in bytes: rows of 1e10 beside rows of 1 made HiGHS fail now and then.
        size = np.maximum(room.max(axis=0), 1e-12)
        for r in range(room.shape[1]):  # (1)
            rows = np.concatenate([types, np.tile(types, work.size)])
            columns = np.concatenate([n, x.ravel()])
            values = np.concatenate([-room[:, r], np.repeat(need[:, r], n_types)]) / size[r]
            model.add_rows(f"room {r}", rows, columns, values, high=np.zeros(n_types))
        every = np.arange(most.size)  # (2)
        columns = np.concatenate([x.ravel(), np.tile(n, work.size)])
        values = np.concatenate([np.ones(most.size), -most.ravel()])
        rows = np.concatenate([every, every])
        model.add_rows("holds", rows, columns, values, high=np.zeros(most.size))
        group = np.arange(work.size)  # (3)
        rows = np.concatenate([np.repeat(group, n_types), group])
        columns = np.concatenate([x.ravel(), np.repeat(z, work.size)])
        values = np.concatenate([speed.ravel(), -work / work.sum()])
        model.add_rows("work", rows, columns, values, low=np.zeros(work.size))
        model.add_rows("budget", np.zeros(n_types, dtype=np.int64), n, price, high=[budget])  # (4)
        found = solve_model(model, relative_gap=GAP, most_nodes=MOST_NODES)
        if found.x is None:
            return high, 0.0
        return np.round(found.x[n]), float(found.x[0]) / float(work.sum())
