"""Explanations of a network's predictions, and of its units and filters."""
