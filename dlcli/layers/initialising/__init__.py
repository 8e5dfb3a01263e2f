"""How the weights of a layer begin."""
