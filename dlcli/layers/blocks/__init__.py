"""Blocks of convolutional networks: skip connections, and what goes with them."""
