"""Forecasts: a file for each section of the page."""
