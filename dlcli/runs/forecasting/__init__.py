"""Forecasts: predicting the rows to come, and windows of a run's data."""
