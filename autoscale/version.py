"""The version of the project; the one place that states it."""

__version__ = "0.1.0"
"""Version of the package, written into every plan."""
