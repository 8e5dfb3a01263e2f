"""Text → tokens: words, characters, bytes, or parts of words; what is fitted to training texts."""
