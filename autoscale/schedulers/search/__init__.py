"""Search over assignments and orders: PSO, L-ACO, IC-Loss."""
