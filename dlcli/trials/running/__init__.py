"""How trials are executed: stacked or sequential, over processes."""
