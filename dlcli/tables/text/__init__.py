"""Text files of rows: how they are written, and their records block by block."""
