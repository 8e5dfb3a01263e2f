"""Optimizers that treat matrices as matrices, and other parameters otherwise."""
