"""The state of a run, and the file that holds it."""
