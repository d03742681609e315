"""Generators of workflows from published profiles, and of streams in which they arrive."""

from autoscale.workloads.applications import APPLICATIONS, application
from autoscale.workloads.arrivals import Cycle, Growing, OnOff, Pattern, Stable, arrival_times_s
from autoscale.workloads.ensembles import ensemble
from autoscale.workloads.families import FAMILIES, Family, generate

__all__ = [
    "APPLICATIONS",
    "FAMILIES",
    "Cycle",
    "Family",
    "Growing",
    "OnOff",
    "Pattern",
    "Stable",
    "application",
    "arrival_times_s",
    "ensemble",
    "generate",
]
