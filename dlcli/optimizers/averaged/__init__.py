"""Optimizers whose weights are averaged over the steps."""
