"""Paths placed on one lease."""
