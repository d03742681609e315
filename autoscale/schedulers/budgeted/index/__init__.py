"""Leases sorted by when they have room, and types worth opening."""
