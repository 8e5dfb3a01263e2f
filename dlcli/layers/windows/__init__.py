"""Layers that slide a window over positions."""
