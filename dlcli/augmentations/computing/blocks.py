"""Images in blocks that caches hold; imported where they are computed."""

from collections.abc import Iterator

from torch import Tensor

_FLOAT_BYTES = 4
_BLOCK_BYTES = 2**20  # of floats: larger temporaries are given back to the system, and asked anew


def blocks(images: Tensor) -> Iterator[slice]:
    """Yield the rows of each block of images [rows, channels, height, width]."""
    size = max(1, _BLOCK_BYTES // (_FLOAT_BYTES * max(1, images[:1].numel())))
    for start in range(0, len(images), size):
        yield slice(start, start + size)
