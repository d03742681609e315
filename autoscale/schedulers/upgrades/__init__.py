"""A type for every task, upgraded from the cheapest until a deadline is met (Greedy, GAIN)."""
