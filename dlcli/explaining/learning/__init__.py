"""How a run learned, by its curves."""
