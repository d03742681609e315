"""Generators of workflows, from published profiles."""

from autoscale.workloads.families import FAMILIES, Family, generate

__all__ = ["FAMILIES", "Family", "generate"]
