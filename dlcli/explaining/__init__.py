"""Analyses of a trained network: how it learned, how good it is, and why."""
