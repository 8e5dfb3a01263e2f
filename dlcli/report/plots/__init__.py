"""Pictures outside of pages: `dlcli plot`, `dlcli find-lr`."""
