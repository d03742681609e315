"""The named offline algorithms, one a module."""
