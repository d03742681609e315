"""The only importer of solvers: HiGHS by arrays; its answers are read with suspicion."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from autoscale.errors import SolverError
from autoscale.lp.model import Box, LinearModel, dual_bound

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray

logger = logging.getLogger(__name__)

SIMPLEX_ROWS = 600
"""Larger linear programs go to the interior-point method."""

BASIS_ROWS = 4000
"""From the interior of larger ones the way to a vertex, and so to a basis, is not looked for."""


class SolveStatus(Enum):
    """How a solver run ended."""

    OPTIMAL = "optimal"
    LIMIT = "limit"
    INFEASIBLE = "infeasible"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveResult:
    """Outcome of one solver run.

    Parameters
    ----------
    status
        How it ended.
    x
        Values of the variables, or None without any.
    objective
        Value of ``x``; inf without any.
    bound
        Lower bound on the minimum; -inf when unknown. For linear programs it is recomputed from
        the duals, so that it holds even if the solver errs.
    row_dual
        Multipliers of the rows, or None (integer models have none).
    proven
        Of an infeasible model: whether the solver's own proof (a ray of multipliers) holds here.
    basis
        Where the simplex method ended, to begin with the next time; None without one.
    """

    status: SolveStatus
    x: FloatArray | None
    objective: float
    bound: float
    row_dual: FloatArray | None = None
    proven: bool = False
    basis: Any = None


NODES = 2**31 - 1
"""HiGHS's largest number of nodes: no limit."""

NOTHING = SolveResult(status=SolveStatus.FAILED, x=None, objective=math.inf, bound=-math.inf)


def solve_model(
    model: LinearModel,
    *,
    time_limit_s: float = math.inf,
    relative_gap: float = 1e-4,
    most_nodes: int = NODES,
) -> SolveResult:
    """Return HiGHS's answer to the model; never raises for what a solver may do wrong.

    Parameters
    ----------
    model
        What is minimised.
    time_limit_s
        Seconds after which HiGHS stops.
    relative_gap
        Integer models stop at this gap between value and bound.
    most_nodes
        Integer models stop after so many nodes, which are the same on every machine.
    """
    try:
        return _highs(model, time_limit_s, relative_gap, most_nodes)
    except Exception as error:  # whatever a solver does, it must not cost the user the plan
        logger.warning("HiGHS failed: %s", error)
        return NOTHING


class SolvedAgain:
    """A linear program that is solved within one box after another, each time from a basis.

    Parameters
    ----------
    model
        Without whole numbers; not to be changed.
    """

    def __init__(self, model: LinearModel) -> None:
        self.model = model
        self._solver: Any = None

    def solve(self, box: Box, basis: Any, *, time_limit_s: float) -> SolveResult:
        """Return HiGHS's answer; never raises for what a solver may do wrong.

        Parameters
        ----------
        box
            Bounds and sides instead of the model's own.
        basis
            Of a solution of the model within any box; for fewer rows if it got some since.
        time_limit_s
            Seconds after which HiGHS stops.
        """
        try:
            return self._again(box, basis, time_limit_s)
        except Exception as error:  # whatever a solver does, it must not cost the user the plan
            logger.warning("HiGHS failed: %s", error)
            return NOTHING

    def _again(self, box: Box, basis: Any, time_limit_s: float) -> SolveResult:
        highspy: Any = import_module("highspy")
        model = self.model
        if self._solver is None:
            self._solver = _new_solver(highspy)
            lp = _highs_lp(highspy, model, integral=False)
            if self._solver.passModel(lp) == highspy.HighsStatus.kError:
                raise SolverError("the model was refused")
        solver = self._solver
        columns = np.arange(model.n_variables, dtype=np.int32)
        rows = np.arange(model.n_rows, dtype=np.int32)
        solver.changeColsBounds(columns.size, columns, box.low, box.high)
        solver.changeRowsBounds(rows.size, rows, box.row_low, box.row_high)
        solver.setOptionValue("time_limit", solver.getRunTime() + max(0.0, time_limit_s))
        if solver.setBasis(_padded(highspy, basis, model.n_rows)) == highspy.HighsStatus.kError:
            raise SolverError("the basis was refused")
        if solver.run() == highspy.HighsStatus.kError:
            raise SolverError("the run ended in an error")
        return _read(highspy, solver, model, integral=False, box=box)


def _padded(highspy: Any, basis: Any, n_rows: int) -> Any:
    """Return a basis in which rows that were added since do not bind."""
    status = list(basis.row_status)
    if len(status) < n_rows:
        basic = highspy.HighsBasisStatus.kBasic
        longer = highspy.HighsBasis()
        longer.valid = True
        longer.col_status = basis.col_status
        longer.row_status = status + [basic] * (n_rows - len(status))
        return longer
    return basis


def _new_solver(highspy: Any, **more: Any) -> Any:
    solver = highspy.Highs()
    # One thread, so that the same model gives the same answer.
    settings = {"output_flag": False, "threads": 1, "random_seed": 0, **more}
    for key, value in settings.items():
        if solver.setOptionValue(key, value) != highspy.HighsStatus.kOk:
            raise SolverError(f"option {key} was refused")
    return solver


def _highs(
    model: LinearModel, time_limit_s: float, relative_gap: float, most_nodes: int
) -> SolveResult:
    highspy: Any = import_module("highspy")  # its stubs do not cover what is used

    solver = _new_solver(
        highspy,
        mip_rel_gap=relative_gap,
        mip_max_nodes=most_nodes,
        time_limit=max(0.0, time_limit_s),
    )
    integral = bool(model.integer.any())
    if not integral and model.n_rows > SIMPLEX_ROWS:
        # The duals of interior points are as good as vertices' for bounds, and sooner there.
        solver.setOptionValue("solver", "ipm")
        if model.n_rows > BASIS_ROWS:
            solver.setOptionValue("run_crossover", "off")
    if solver.passModel(_highs_lp(highspy, model, integral)) == highspy.HighsStatus.kError:
        raise SolverError("the model was refused")
    if solver.run() == highspy.HighsStatus.kError:
        raise SolverError("the run ended in an error")
    return _read(highspy, solver, model, integral)


def _highs_lp(highspy: Any, model: LinearModel, integral: bool) -> Any:
    matrix = model.matrix()
    low, high = model.bounds
    row_low, row_high = model.sides
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = model.n_variables, model.n_rows
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = model.cost, low, high
    lp.row_lower_, lp.row_upper_ = row_low, row_high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = matrix.indptr.astype(np.int32)
    lp.a_matrix_.index_ = matrix.indices.astype(np.int32)
    lp.a_matrix_.value_ = matrix.data
    if integral:
        kind = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kind[int(flag)] for flag in model.integer]
    return lp


def _read(
    highspy: Any, solver: Any, model: LinearModel, integral: bool, box: Box | None = None
) -> SolveResult:
    status = {
        highspy.HighsModelStatus.kOptimal: SolveStatus.OPTIMAL,
        highspy.HighsModelStatus.kInfeasible: SolveStatus.INFEASIBLE,
        highspy.HighsModelStatus.kTimeLimit: SolveStatus.LIMIT,
        highspy.HighsModelStatus.kIterationLimit: SolveStatus.LIMIT,
        highspy.HighsModelStatus.kSolutionLimit: SolveStatus.LIMIT,
    }.get(solver.getModelStatus(), SolveStatus.FAILED)
    solution, info = solver.getSolution(), solver.getInfo()
    x = np.array(solution.col_value)
    has_values = bool(solution.value_valid) and x.size == model.n_variables
    objective = float(model.cost @ x) if has_values else math.inf
    if integral:
        bound = float(info.mip_dual_bound)
        # A bound above the value of a point at hand is a lie, and is not repeated.
        sane = math.isfinite(bound) and bound <= objective + 1e-6 * max(1.0, abs(objective))
        return SolveResult(
            status=status,
            x=x if has_values else None,
            objective=objective,
            bound=bound if sane else -math.inf,
        )
    dual = np.array(solution.row_dual) if solution.dual_valid else None
    if dual is not None and dual.size != model.n_rows:
        dual = None
    if status is SolveStatus.INFEASIBLE:
        return SolveResult(
            status=status,
            x=None,
            objective=math.inf,
            bound=-math.inf,
            proven=_is_proof(model, solver),
        )
    basis = solver.getBasis()
    return SolveResult(
        status=status,
        x=x if has_values else None,
        objective=objective,
        bound=dual_bound(model, dual, box) if dual is not None else -math.inf,
        row_dual=dual,
        basis=basis if basis.valid and len(basis.row_status) == model.n_rows else None,
    )


def _is_proof(model: LinearModel, solver: Any) -> bool:
    """Return whether the solver's dual ray shows, here, that the rows contradict one another."""
    try:
        answer = solver.getDualRay()
        ray = np.array(answer[2] if len(answer) > 2 else answer[-1], dtype=np.float64)
    except Exception:
        return False
    if ray.size != model.n_rows:
        return False
    free = LinearModel(**{**vars_of(model), "_cost": [np.zeros(model.n_variables)]})
    return max(dual_bound(free, ray), dual_bound(free, -ray)) > 1e-9


def vars_of(model: LinearModel) -> dict[str, Any]:
    """Return the parts of a model by name."""
    return {name: getattr(model, name) for name in LinearModel.__dataclass_fields__}
