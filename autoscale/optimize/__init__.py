"""The planner: bounds, decisions, decode, improvement, certificate."""
