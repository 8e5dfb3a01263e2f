"""Metrics with intervals and baselines, calibration, and the largest errors."""
