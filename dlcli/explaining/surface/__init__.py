"""The loss over planes of weights."""
