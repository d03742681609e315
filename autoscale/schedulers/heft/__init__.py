"""List scheduling on a fleet that is given: HEFT, CPOP, and the choice of a fleet."""
