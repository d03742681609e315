"""Several partial schedules grown side by side."""
