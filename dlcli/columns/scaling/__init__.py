"""Scaling of numbers."""
