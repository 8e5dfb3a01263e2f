"""The diagnosis of a run, by its learning curves."""
