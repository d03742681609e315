"""Workflows as levels of groups of like tasks, and the MILP over them."""
