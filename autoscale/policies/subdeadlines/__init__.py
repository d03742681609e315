"""Deadline assignment of SC'11: a type and a window for every task of a job."""
