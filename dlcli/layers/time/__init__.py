"""Layers over the positions of sequences."""
