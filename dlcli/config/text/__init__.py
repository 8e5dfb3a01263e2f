"""YAML text → plain data with the place of each value, and back."""
