"""Populations of plans that are bred towards a front."""
