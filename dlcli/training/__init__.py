"""The step, the loop around it, what it is made of, and checkpoints."""
