"""Numbers → colours → the bytes of a small PNG, without a library for images, or of a JPEG."""

import struct
import zlib

import numpy as np

# Cividis (Nuñez et al. 2018), which is safe for colour-blind readers: every 16th of its colours.
_CIVIDIS = (
    (0, 34, 78), (0, 44, 100), (20, 55, 112), (44, 65, 111), (61, 76, 108), (76, 87, 108),
    (90, 97, 110), (104, 109, 113), (118, 121, 119), (133, 133, 122), (148, 145, 120),
    (164, 158, 115), (181, 171, 108), (199, 185, 97), (217, 199, 83), (236, 214, 61),
    (254, 232, 56),
)  # fmt: skip
# Brown, white, purple: PuOr of ColorBrewer, from its dark end to the other.
_DIVERGING = (
    (127, 59, 8), (179, 88, 6), (224, 130, 20), (253, 184, 99), (254, 224, 182), (247, 247, 247),
    (216, 218, 235), (178, 171, 210), (128, 115, 172), (84, 39, 136), (45, 0, 75),
)  # fmt: skip

_QUALITY = 88  # of a JPEG


def from_dark_to_bright(shares: np.ndarray) -> np.ndarray:
    """Return colours [..., 3] as uint8 of shares [...] from 0 to 1."""
    return _interpolated(shares, _CIVIDIS)


def around_middle(shares: np.ndarray) -> np.ndarray:
    """Return colours [..., 3] as uint8 of shares [...]: 0.5 is white, 0 orange, 1 purple."""
    return _interpolated(shares, _DIVERGING)


def _interpolated(shares: np.ndarray, colors: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    ends = np.linspace(0.0, 1.0, len(colors))
    found = [np.interp(shares, ends, channel) for channel in np.array(colors, np.float64).T]
    pixels: np.ndarray = np.rint(np.stack(found, -1)).astype(np.uint8)
    return pixels


def png_of(pixels: np.ndarray) -> bytes:
    """Return a PNG of pixels [height, width, 3 or 4], uint8 (RFC 2083)."""
    height, width, channels = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def jpeg_of(pixels: np.ndarray) -> bytes:
    """Return a JPEG of opaque pixels [height, width, 3 or 4], uint8: a tenth of a PNG's bytes."""
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3])).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
