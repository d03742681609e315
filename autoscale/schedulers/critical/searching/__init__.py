"""The search for a lease for a path."""
