"""`dlcli train`, and what belongs to a run under way."""
