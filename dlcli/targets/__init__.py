"""Targets: what is predicted."""
