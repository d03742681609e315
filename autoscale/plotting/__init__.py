"""Plots: data and axes in, axes out."""
