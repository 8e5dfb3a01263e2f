"""`dlcli compare-optimizers` and `dlcli find-lr`."""
