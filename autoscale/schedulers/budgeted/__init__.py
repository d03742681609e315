"""What the schedulers for budgets and fronts share: options, moves, archives, goals."""
