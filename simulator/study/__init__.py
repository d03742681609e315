"""What the runs of an experiment say: comparisons, rankings, profiles, reports.

>>> from simulator.study import Study, compare, rank, performance_profile, precision
"""

from __future__ import annotations

from simulator.study.enough import precision, runs_needed
from simulator.study.paired import Difference, adjusted, compare, paired_difference
from simulator.study.profiles import performance_profile, ratios
from simulator.study.ranking import Ranking, critical_difference, rank
from simulator.study.runs import Study

__all__ = [
    "Difference",
    "Ranking",
    "Study",
    "adjusted",
    "compare",
    "critical_difference",
    "paired_difference",
    "performance_profile",
    "precision",
    "rank",
    "ratios",
    "runs_needed",
]
