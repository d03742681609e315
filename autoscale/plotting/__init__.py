"""Plots of plans: a plan and optional axes in, axes out."""

from autoscale.plotting.fleet import plot_fleet
from autoscale.plotting.gantt import plot_gantt
from autoscale.plotting.pareto import plot_pareto

__all__ = ["plot_fleet", "plot_gantt", "plot_pareto"]
