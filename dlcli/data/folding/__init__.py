"""Rows cut into folds, and everything fitted anew on the training rows of each."""
