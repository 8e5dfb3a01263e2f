"""What augmentations compute with tensors; imported when rows are augmented."""
