"""What a network sees in images: a file for each section of the page."""
