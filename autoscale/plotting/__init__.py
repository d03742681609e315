"""Plots of plans: a plan (or its explanation) and optional axes in, axes out."""

from autoscale.plotting.fleet import plot_fleet
from autoscale.plotting.gantt import plot_gantt
from autoscale.plotting.money import plot_money
from autoscale.plotting.pareto import plot_pareto

__all__ = ["plot_fleet", "plot_gantt", "plot_money", "plot_pareto"]
