"""Bounds on when leases have room, for schedulers that ask thousands for every task."""
