"""Deadlines that are met with a probability."""
