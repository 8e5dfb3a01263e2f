"""Pictures of their own: `dlcli plot`, `dlcli find-lr`."""
