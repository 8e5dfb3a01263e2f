"""Augmentations of training images: one class each, with its settings and what it does."""
