"""Kinds of columns: what cells mean, what is fitted to them, how they are encoded."""
