"""Between which times tasks may lie."""
