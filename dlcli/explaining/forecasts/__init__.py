"""Forecasts beside baselines, and beside what came."""
