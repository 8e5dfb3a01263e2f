"""Series: the rows of a table in the order of time, and what of them travels in checkpoints."""
