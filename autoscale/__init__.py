"""Cost-aware planning of workflows on rented machines, with a certified bound on every plan.

>>> import autoscale as az
>>> workflow = az.read_workflow("example:montage")
>>> problem = az.make_problem(workflow, deadline="10m", types="c7i*")
>>> plan = az.solve(problem, time_limit_s=1)
>>> az.check_plan(problem, plan)
()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.modules import lazy

if TYPE_CHECKING:
    from autoscale.api import make_problem, read_workflow
    from autoscale.errors import AutoscaleError, InfeasibleError, InputError
    from autoscale.formats.catalog_csv import load_catalog
    from autoscale.formats.plan_json import read_plan, write_plan
    from autoscale.formats.wfformat_writer import write_wfformat
    from autoscale.model.billing import Billing
    from autoscale.model.catalog import Catalog, InstanceType
    from autoscale.model.problem import Problem
    from autoscale.model.workflow import Workflow, WorkflowBuilder
    from autoscale.optimize.explain import Explanation, explain_plan
    from autoscale.optimize.pareto import pareto_front
    from autoscale.optimize.planner import solve
    from autoscale.plan.check import check_plan
    from autoscale.plan.diff import PlanDiff, diff_plans
    from autoscale.plan.front import ParetoFront
    from autoscale.plan.plan import Plan
    from autoscale.plotting.fleet import plot_fleet
    from autoscale.plotting.gantt import plot_gantt
    from autoscale.plotting.money import plot_money
    from autoscale.plotting.pareto import plot_pareto
    from autoscale.version import __version__
    from autoscale.workloads.families import generate

__all__ = [
    "AutoscaleError",
    "Billing",
    "Catalog",
    "Explanation",
    "InfeasibleError",
    "InputError",
    "InstanceType",
    "ParetoFront",
    "Plan",
    "PlanDiff",
    "Problem",
    "Workflow",
    "WorkflowBuilder",
    "__version__",
    "check_plan",
    "diff_plans",
    "explain_plan",
    "generate",
    "load_catalog",
    "make_problem",
    "pareto_front",
    "plot_fleet",
    "plot_gantt",
    "plot_money",
    "plot_pareto",
    "read_plan",
    "read_workflow",
    "solve",
    "write_plan",
    "write_wfformat",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "api": ("make_problem", "read_workflow"),
        "errors": ("AutoscaleError", "InfeasibleError", "InputError"),
        "formats.catalog_csv": ("load_catalog",),
        "formats.plan_json": ("read_plan", "write_plan"),
        "formats.wfformat_writer": ("write_wfformat",),
        "model.billing": ("Billing",),
        "model.catalog": ("Catalog", "InstanceType"),
        "model.problem": ("Problem",),
        "model.workflow": ("Workflow", "WorkflowBuilder"),
        "optimize.explain": ("Explanation", "explain_plan"),
        "optimize.pareto": ("pareto_front",),
        "optimize.planner": ("solve",),
        "plan.check": ("check_plan",),
        "plan.diff": ("PlanDiff", "diff_plans"),
        "plan.front": ("ParetoFront",),
        "plan.plan": ("Plan",),
        "plotting.fleet": ("plot_fleet",),
        "plotting.gantt": ("plot_gantt",),
        "plotting.money": ("plot_money",),
        "plotting.pareto": ("plot_pareto",),
        "version": ("__version__",),
        "workloads.families": ("generate",),
    },
)
