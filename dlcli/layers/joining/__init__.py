"""How several inputs of a network are joined."""
