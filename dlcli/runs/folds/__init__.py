"""`dlcli train --folds`: cross-validation, whose networks are an ensemble."""
