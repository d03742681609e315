"""Immutable data and pure functions on it: workflow, catalogue, billing, problem, graph."""
