"""Charts: what they show, and how they become SVG, or a PNG where a file of it is asked for."""
