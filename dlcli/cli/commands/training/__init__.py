"""What `dlcli train` does, by what is asked for: a run, folds, several processes."""
