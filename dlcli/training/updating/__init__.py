"""What changes with the weights: their average, and numbers that follow the steps."""
