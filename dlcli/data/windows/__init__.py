"""Forecasts: tables whose rows are steps of series → windows over them."""
