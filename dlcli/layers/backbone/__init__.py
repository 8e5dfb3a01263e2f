"""Networks for images by timm, whose weights others have trained."""
