"""Plans: what they are, how decisions become one, how one is checked."""
