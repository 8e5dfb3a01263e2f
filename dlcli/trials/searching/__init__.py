"""The search of `dlcli tune`: its space, its samplers, its rounds, and what it finds."""
