"""What the runs of an experiment say: comparisons, rankings, profiles, reports.

>>> from simulator.study import Study, compare, rank, performance_profile, precision
"""

from __future__ import annotations

from simulator.study.cells import cells
from simulator.study.enough import precision, runs_needed
from simulator.study.figures import (
    plot_cost_by_deadline,
    plot_distributions,
    plot_front,
    plot_profiles,
    plot_ranking,
    write_figures,
)
from simulator.study.paired import Difference, adjusted, compare, paired_difference
from simulator.study.profiles import performance_profile, ratios
from simulator.study.ranking import Ranking, critical_difference, rank
from simulator.study.reading import read_runs
from simulator.study.report import write_report
from simulator.study.runs import Study

__all__ = [
    "Difference",
    "Ranking",
    "Study",
    "adjusted",
    "cells",
    "compare",
    "critical_difference",
    "paired_difference",
    "performance_profile",
    "plot_cost_by_deadline",
    "plot_distributions",
    "plot_front",
    "plot_profiles",
    "plot_ranking",
    "precision",
    "rank",
    "ratios",
    "read_runs",
    "runs_needed",
    "write_figures",
    "write_report",
]
