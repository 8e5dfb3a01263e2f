"""Layers that embed columns."""
