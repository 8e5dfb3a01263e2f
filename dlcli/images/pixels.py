"""Pixels of any kind (palettes, 16 bits, CMYK, transparency) → 8 bits of RGB or grey."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_BACKGROUND = (255, 255, 255)  # behind what is transparent
_WHITE_16_BIT = 65535
_BITS_TAG = 258  # TIFF's BitsPerSample


def plain(image: "Image", mode: str) -> "Image":
    """Return a loaded image in the mode `RGB` or `L`, 8 bits each; in `RGBA` if it is transparent.

    16-bit greys are scaled to 8 bits. 32-bit greys and floating-point numbers, whose files say
    nothing of what is white, are scaled from their smallest to their largest number, except for
    floating-point numbers from 0 to 1, where 1 is white.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _from_numbers(image).convert(mode)
    if image.mode == mode and "transparency" not in image.info:
        return image
    return image.convert("RGBA" if image.has_transparency_data else mode)


def opaque(image: "Image", mode: str) -> "Image":
    """Return an image in the mode, what is transparent laid on white."""
    from PIL import Image

    if image.mode != "RGBA":
        return image
    background = Image.new("RGBA", image.size, (*_BACKGROUND, 255))
    return Image.alpha_composite(background, image).convert(mode)


def _from_numbers(image: "Image") -> "Image":
    """Return an image of wide integers or floating-point numbers in the mode `L`."""
    from PIL import Image

    numbers = np.asarray(image)
    low, high = 0.0, _white_of(image)
    if high is None:
        low, high = float(numbers.min()), float(numbers.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("it has pixels that are not finite")
        if image.mode == "F" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
    grey = numbers.astype(np.float32)
    grey -= low
    grey *= 255 / ((high - low) or 1.0)
    np.clip(np.rint(grey, out=grey), 0, 255, out=grey)
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey[numbers == key] = 255
    return Image.fromarray(grey.astype(np.uint8), "L")


def _white_of(image: "Image") -> float | None:
    """Return the number that means white; None where the file doesn't say it."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PPM", "PNG")):
        bits = getattr(image, "tag_v2", {}).get(_BITS_TAG, (16,))
        return float(2 ** bits[0] - 1) if bits[0] < 16 else float(_WHITE_16_BIT)
    return None
