"""Trials: training runs that differ in config, seed or fold, and the rules that ask for them."""
