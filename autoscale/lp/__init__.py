"""Formulations as sparse matrices, lower bounds, and the only importer of solvers."""
