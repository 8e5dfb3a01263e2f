"""Several inputs: a branch of layers for each, and how the branches are joined."""
