"""Generators of workflows, from published profiles."""
