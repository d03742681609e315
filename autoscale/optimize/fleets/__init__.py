"""Starts from fleets of machines that are there from the beginning, and a climb over fleets."""
