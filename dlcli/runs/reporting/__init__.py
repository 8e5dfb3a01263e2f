"""What the report of a run shows, from its folder or from memory."""
