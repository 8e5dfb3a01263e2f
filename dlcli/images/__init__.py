"""Image files → headers and decoded pixels. Pillow is imported when a file is opened."""
