"""A linear model as sparse arrays with names for its blocks.

Built once; HiGHS takes the arrays as they are, and :meth:`LinearModel.to_pulp` gives the same model
to every solver that PuLP can drive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray


@dataclass(slots=True)
class Box:
    """Within what a model's variables and rows lie, as arrays that may be changed.

    Parameters
    ----------
    low, high
        Bounds of the variables.
    row_low, row_high
        Sides of the rows.
    """

    low: FloatArray
    high: FloatArray
    row_low: FloatArray
    row_high: FloatArray


@dataclass(slots=True)
class LinearModel:
    """Minimise ``cost @ x`` subject to ``row_low <= A x <= row_high``, ``low <= x <= high``.

    Variables and rows are added in blocks, each with a name for duals and for people.

    Examples
    --------
    >>> model = LinearModel()
    >>> x = model.add_variables("x", 2, cost=[1.0, 2.0], high=4.0)
    >>> _ = model.add_rows("cover", [0, 0], x, [1.0, 1.0], low=[3.0])
    >>> model.n_variables, model.n_rows
    (2, 1)
    """

    variables: dict[str, slice] = field(default_factory=dict)
    rows: dict[str, slice] = field(default_factory=dict)
    _cost: list[Any] = field(default_factory=list)
    _low: list[Any] = field(default_factory=list)
    _high: list[Any] = field(default_factory=list)
    _integer: list[Any] = field(default_factory=list)
    _row_low: list[Any] = field(default_factory=list)
    _row_high: list[Any] = field(default_factory=list)
    _entries: list[tuple[Any, Any, Any]] = field(default_factory=list)
    _matrix: Any = None
    n_variables: int = 0
    n_rows: int = 0

    def add_variables(
        self,
        name: str,
        count: int,
        *,
        cost: Any = 0.0,
        low: Any = 0.0,
        high: Any = np.inf,
        integer: bool = False,
    ) -> IntArray:
        """Add a block of variables and return their indices."""
        first = self.n_variables
        self.n_variables += count
        self.variables[name] = slice(first, self.n_variables)
        for store, value in ((self._cost, cost), (self._low, low), (self._high, high)):
            store.append(np.broadcast_to(np.asarray(value, dtype=np.float64), count))
        self._integer.append(np.full(count, integer))
        return np.arange(first, self.n_variables)

    def add_rows(
        self,
        name: str,
        row: Any,
        column: Any,
        value: Any,
        *,
        low: Any = -np.inf,
        high: Any = np.inf,
    ) -> IntArray:
        """Add a block of rows given as triplets and return the rows' indices.

        Parameters
        ----------
        name
            Name of the block.
        row, column, value
            Triplets; rows are numbered from 0 within the block, entries of one place add up.
        low, high
            Sides of each row; the longer of the two says how many rows there are.
        """
        low, high = np.atleast_1d(low), np.atleast_1d(high)
        count = low.size if high.size == 1 else high.size  # a side without entries: no rows
        first = self.n_rows
        self.n_rows += count
        self.rows[name] = slice(first, self.n_rows)
        self._row_low.append(np.broadcast_to(low.astype(np.float64), count))
        self._row_high.append(np.broadcast_to(high.astype(np.float64), count))
        triplet = np.broadcast_arrays(np.asarray(row) + first, column, value)
        self._entries.append((triplet[0].ravel(), triplet[1].ravel(), triplet[2].ravel()))
        self._matrix = None
        return np.arange(first, self.n_rows)

    @property
    def cost(self) -> FloatArray:
        """Objective coefficients."""
        return np.concatenate(self._cost)

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of the variables."""
        return np.concatenate(self._low), np.concatenate(self._high)

    @property
    def integer(self) -> Any:
        """Which variables are integer, boolean."""
        return np.concatenate(self._integer)

    @property
    def sides(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper sides of the rows."""
        if not self._row_low:
            return np.zeros(0), np.zeros(0)
        return np.concatenate(self._row_low), np.concatenate(self._row_high)

    @property
    def box(self) -> Box:
        """Bounds and sides."""
        return Box(*self.bounds, *self.sides)

    def matrix(self) -> Any:
        """Return the coefficients as a CSC matrix, shape (rows, variables); not to be changed."""
        shape = (self.n_rows, self.n_variables)
        if not self._entries:
            return sparse.csc_matrix(shape)
        # The solver and every bound from its multipliers ask for the same one.
        if self._matrix is None or self._matrix.shape != shape:
            row, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
            self._matrix = sparse.coo_matrix((value, (row, column)), shape=shape).tocsc()
        return self._matrix

    def to_pulp(self, name: str = "model") -> Any:
        """Return the same model as a ``pulp.LpProblem``, for every solver that PuLP can drive."""
        import pulp

        problem = pulp.LpProblem(name, pulp.LpMinimize)
        (low, high), integer, cost = self.bounds, self.integer, self.cost
        x = [
            problem.add_variable(
                f"x{j}",
                float(low[j]) if np.isfinite(low[j]) else None,
                float(high[j]) if np.isfinite(high[j]) else None,
                "Integer" if integer[j] else "Continuous",
            )
            for j in range(self.n_variables)
        ]
        problem += pulp.lpSum(float(cost[j]) * x[j] for j in range(self.n_variables))
        matrix = self.matrix().tocsr()
        row_low, row_high = self.sides
        for i in range(self.n_rows):
            entries = slice(matrix.indptr[i], matrix.indptr[i + 1])
            total = pulp.lpSum(
                float(v) * x[j]
                for j, v in zip(matrix.indices[entries], matrix.data[entries], strict=True)
            )
            if np.isfinite(row_low[i]):
                problem += total >= float(row_low[i])
            if np.isfinite(row_high[i]):
                problem += total <= float(row_high[i])
        return problem


def usable_duals(model: LinearModel, row_dual: FloatArray, box: Box | None = None) -> FloatArray:
    """Return the multipliers with those set to 0 that are not numbers or have no side.

    Rows that the model got after it was solved have multiplier 0, too. A box stands for the
    model's own bounds and sides.
    """
    box = box or model.box
    y = np.zeros(model.n_rows)
    y[: row_dual.size] = np.where(np.isfinite(row_dual), row_dual, 0.0)
    y = np.where((y > 0) & ~np.isfinite(box.row_low), 0.0, y)
    return np.where((y < 0) & ~np.isfinite(box.row_high), 0.0, y)


def dual_bound(model: LinearModel, row_dual: FloatArray, box: Box | None = None) -> float:
    """Return a lower bound on the minimum that holds whatever the duals are.

    For any row multipliers ``y``, ``min c x >= y-weighted sides + sum over variables of the least
    (c - A'y) x within the variable's bounds`` (Neumaier and Shcherbina, Math. Programming 99,
    2004). A solver's rounding errors can make the bound weaker, never wrong; -inf where a variable
    without an upper bound would be needed. A box stands for the model's own bounds and sides.
    """
    box = box or model.box
    y = usable_duals(model, row_dual, box)
    reduced = model.cost - model.matrix().T @ y
    with np.errstate(invalid="ignore"):
        sides = np.where(y > 0, y * box.row_low, np.where(y < 0, y * box.row_high, 0.0))
        ends = np.where(reduced < 0, reduced * box.high, 0.0)
        ends = np.where(reduced > 0, reduced * box.low, ends)
    total = float(sides.sum() + ends.sum())
    scale = float(np.abs(sides).sum() + np.abs(ends[np.isfinite(ends)]).sum())
    return total - 1e-12 * scale
