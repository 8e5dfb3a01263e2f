"""What a network sees in images: where it looks, and what its layers respond to."""
