"""YAML text → plain data whose every value knows its place, and back."""
