"""Combinations of settings in which one undoes another, never acts, or acts twice."""
