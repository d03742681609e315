"""Ensembles: several workflows of different priority that share a deadline and a budget."""
