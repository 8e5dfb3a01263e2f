"""The loss landscape: losses over planes of weights."""
