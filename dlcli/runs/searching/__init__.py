"""`dlcli tune`."""
