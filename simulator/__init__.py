"""Discrete-event simulation of plans on a cloud."""
