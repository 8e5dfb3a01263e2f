"""The protocol of a comparison, and its verdict."""
