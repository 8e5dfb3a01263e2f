"""What a trained network can be asked: how it learned, how good it is, why, and what is inside."""
