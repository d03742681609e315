"""Moves of single tasks to other types, by what they change in makespan and cost."""
