"""The layers of a network: a class for each type, which is its config section and all about it."""
