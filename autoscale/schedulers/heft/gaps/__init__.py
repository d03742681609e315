"""List scheduling where a lease runs one task at a time: its room is a list of gaps."""
