"""One network on several processes: who they are, what they exchange, how they end together."""
