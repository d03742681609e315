"""Experiments: many plans, policies and runs from one file, recorded so that nothing is lost."""
